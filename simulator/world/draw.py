"""From a seed to a scenario: what is not given is drawn. Each seed has its own swarm of faults.

All is drawn in every case, so that giving one thing changes nothing else.
"""

from __future__ import annotations

from typing import Any

from ..faults.catalogue import KINDS
from ..runtime.dice import Dice, SeededDice
from .scenario import PROTOCOLS, SCHEDULERS, VERSIONS, Scenario

REFERENCE_FAULTS = frozenset({"crash", "leave", "join", "rebalance-storm"})
"""Crashes and rebalances: what the published rate of seeds per second is measured with."""

SWARM_SHARES = (0.05, 0.15, 0.4, 0.8)
"""Part of the kinds that a seed enables. Few at once, so that one does not hide another."""


def draw(seed: int, *, dice: Dice | None = None, **given: Any) -> Scenario:
    """The scenario of this seed.

    Args:
        seed: Any whole number.
        dice: Draws instead of the seed.
        given: Fields of `Scenario` that are not drawn. ``options`` and ``settings`` are added to what is drawn.

    Raises:
        ConfigurationError: A given value is out of its range.
    """
    source = (dice or SeededDice(seed)).split("scenario")
    drawn: dict[str, Any] = {
        "scheduler": source.choice(SCHEDULERS),
        "depth": source.between(2, 6),
        "protocol": source.choice(PROTOCOLS),
        "members": source.choice((2, 2, 2, 1, 3, 3, 4)),
        "static": source.chance(0.25),
        "partitions": source.choice((3, 3, 1, 2, 4, 6)),
        "records": source.choice((120, 120, 60, 20, 200)),
        "keys": source.choice((8, 8, 1, 3, 40)),
        "handler_seconds": source.choice((0.05, 0.05, 0.0, 0.01, 0.2)),
        "hooks": source.chance(0.25),
        "faults": _swarm(source),
        "scale": {},
        "fault_seconds": source.choice((3.0, 6.0, 6.0, 10.0)),
        "version": source.choice(VERSIONS),
    }
    options, settings = _options(source), _settings(source)
    drawn["options"] = {**options, **given.pop("options", {})}
    drawn["settings"] = {**settings, **given.pop("settings", {})}
    scale = {kind: source.choice((1.0, 1.0, 0.3, 3.0)) for kind in sorted(drawn["faults"]) if KINDS[kind].rate}
    drawn["scale"] = {kind: factor for kind, factor in scale.items() if factor != 1.0}
    return Scenario(seed=seed, **{**drawn, **given})


def reference(seed: int) -> Scenario:
    """The scenario that figures are measured with: 2 members, 3 partitions, 120 records, crashes and rebalances."""
    drawn = draw(seed)
    return Scenario(
        seed=seed,
        scheduler=drawn.scheduler,
        depth=drawn.depth,
        protocol=drawn.protocol,
        faults=REFERENCE_FAULTS,
        fault_seconds=3.0,
        options={"commit_interval": 0.1, "grace": 0.4, "revoke_deadline": 2.0},
    )


def _swarm(source: Dice) -> frozenset[str]:
    share = source.choice(SWARM_SHARES)
    return frozenset(kind for kind in KINDS if source.chance(share))


def _options(source: Dice) -> dict[str, Any]:
    """Keyword arguments of `open_consumer`. The first of each choice is the plainest."""
    revoke_deadline = source.choice((2.0, 1.0, 2.5))
    drawn = {
        "order": source.choice(("key", "key", "key", "partition", "unordered")),
        "null_key": source.choice(("unordered", "partition")),
        "concurrency": source.choice((16, 256, 4, 2, 1)),
        "attempts": source.choice((5, 3, 2, 1, None)),
        "backoff": source.choice((0.05, 0.01, 0.3)),
        "exhausted": source.choice(("skip", "halt")),
        "commit_interval": source.choice((0.1, 0.04, 0.5)),
        "commit_count": source.choice((50_000, 5, 1)),
        "grace": source.choice((0.4, 0.0, 0.1)),
        "revoke_deadline": revoke_deadline,
        "stop_deadline": source.choice((2.0, 0.5, 5.0)),
        "queued_records_max": source.choice((100_000, 50, 16, 8)),
        "queued_records_max_per_partition": source.choice((10_000, 20, 8, 4)),
        "offset_map_characters_max": source.choice((4095, 4095, 60, 20, 0)),
    }
    # Mostly the plain ones: a limit of one record hides what needs many.
    return {name: value for name, value in drawn.items() if source.chance(0.6) or name in ("revoke_deadline", "grace")}


def _settings(source: Dice) -> dict[str, Any]:
    return {
        "auto.offset.reset": "latest" if source.chance(0.08) else "earliest",
        "isolation.level": "read_uncommitted" if source.chance(0.2) else "read_committed",
    }
