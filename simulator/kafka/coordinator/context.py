"""What the parts of a coordinator share: time, the history, what topics there are, and the broker's settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from trio_consumer import Partition

from ...runtime.clock import VirtualClock
from ...world.history import History, Transition
from .tables import Emit

NEWCOMER_SECONDS = 300.0
"""How long a new member may wait for its first join to end, whatever its session timeout is."""


@attrs.define
class Context:
    """See the module.

    Args:
        clock: Virtual time.
        history: Is told of each row that is taken.
        topics: How many partitions each existing topic has.
        version: Of the broker: ``4.3`` brought KIP-1251 and KAFKA-19233.
        initial_delay: ``group.initial.rebalance.delay.ms``: how long the first join of an empty group waits for others.
        session: ``group.consumer.session.timeout.ms``, for members of KIP-848; classic members say theirs.
        heartbeat: ``group.consumer.heartbeat.interval.ms``, which members of KIP-848 are told.
        metadata_max: ``offset.metadata.max.bytes``, in characters: what is taken for one partition.
    """

    clock: VirtualClock
    history: History
    topics: Callable[[], Mapping[str, int]]
    version: str = "4.3"
    initial_delay: float = 0.0
    session: float = 45.0
    heartbeat: float = 5.0
    metadata_max: int = 4096
    _numbers: int = 0

    @property
    def recent(self) -> bool:
        """True for 4.3 and later."""
        major, _, minor = self.version.partition(".")
        return (int(major), int(minor)) >= (4, 3)

    def exists(self, partition: Partition) -> bool:
        return partition.number < self.topics().get(partition.topic, 0)

    def emitter(self, group: str) -> Emit:
        """Tells the history of the rows that this group takes."""
        add = self.history.add
        return lambda table, state, event, after: add(Transition(group, table, state, event, after))

    def new_id(self, name: str) -> str:
        """A member id, made of the name of its process or instance. Kafka appends a UUID."""
        self._numbers += 1
        return f"{name}-{self._numbers}"


@attrs.frozen
class MemberView:
    """A member, as the coordinator knows it.

    Args:
        process: Name of the process that joined.
        instance: ``group.instance.id`` or ``None``.
        owned: Its partitions: of its last assignment (classic); assigned or not yet given back (KIP-848).
        target: What it shall have in the end; the same as ``owned`` under the classic protocol.
        epoch: The generation (classic) or its member epoch.
        state: In the member's table.
    """

    process: str
    instance: str | None
    owned: tuple[Partition, ...]
    target: tuple[Partition, ...]
    epoch: int
    state: str
