"""What a scenario promises: its options, with the consumer's defaults, as the oracles need them."""

from __future__ import annotations

from trio_consumer.config import ConsumerConfig, Order

from ..oracles.expectations import Expectations
from .scenario import GROUP, Scenario

SETTLE_SECONDS = 20.0
"""How long after the faults a member may still notice what they did to it: sessions, joins, slow answers."""


def expectations(scenario: Scenario, *, effects: bool = True, cancellable: bool = True) -> Expectations:
    """What the oracles hold this scenario to.

    Args:
        scenario: What runs.
        effects: Whether its handlers tell of an effect each time they succeed, as the stock handler does.
        cancellable: Whether they give way to a cancellation at their next checkpoint, unless a fault says otherwise.
    """
    config = ConsumerConfig(**scenario.consumer_options)
    return Expectations(
        group=GROUP,
        order=config.order.value if isinstance(config.order, Order) else "unordered",
        null_key=config.null_key,
        concurrency=config.concurrency,
        attempts=config.attempts,
        exhausted=config.exhausted,
        queued_records_max=config.queued_records_max,
        queued_records_max_per_partition=config.queued_records_max_per_partition,
        queued_bytes_max=config.queued_bytes_max,
        offset_map_characters_max=config.offset_map_characters_max,
        grace_seconds=config.grace,
        revoke_seconds=config.revoke_deadline,
        stop_seconds=config.stop_deadline,
        hooks=scenario.hooks,
        read_committed=scenario.settings.get("isolation.level", "read_committed") == "read_committed",
        offset_reset=scenario.settings.get("auto.offset.reset", "earliest"),
        faults=bool(scenario.faults),
        effects=effects,
        cancellable=cancellable,
        heal_seconds=scenario.heal_seconds,
        settle_seconds=SETTLE_SECONDS,
    )
