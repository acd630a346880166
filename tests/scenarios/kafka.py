"""What a scenario can do to Kafka: one interface, for the simulator and for a real broker.

Names of topics and groups are unique already. Errors are Kafka's names as text; ``""`` is none.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import attrs

from trio_consumer import Partition
from trio_consumer.client.port import Client, Commit, Committed

SESSION_SECONDS = 3.0
"""Session timeout of every member, under each protocol."""
POLL_INTERVAL_SECONDS = 4.0
"""``max.poll.interval.ms`` of members that are to exceed it."""
METADATA_SECONDS = 0.5
"""How often clients refresh their metadata, and so learn of new topics and partitions."""


class GroupProtocol(enum.Enum):
    """The three ways in which a group shares partitions."""

    RANGE = "range"
    COOPERATIVE = "cooperative-sticky"
    CONSUMER = "consumer"


def settings(protocol: GroupProtocol, group: str, more: Mapping[str, Any]) -> dict[str, Any]:
    """A member's settings, as scenarios want them everywhere; of ``more``, underscores are read as dots."""
    if protocol is GroupProtocol.CONSUMER:
        joins: dict[str, Any] = {"group.protocol": "consumer"}
    else:
        joins = {
            "partition.assignment.strategy": protocol.value,
            "session.timeout.ms": int(1000 * SESSION_SECONDS),
            "heartbeat.interval.ms": 300,
        }
    return {
        "group.id": group,
        "topic.metadata.refresh.interval.ms": int(1000 * METADATA_SECONDS),
        "fetch.wait.max.ms": 100,
        **joins,
        **{name.replace("_", "."): value for name, value in more.items()},
    }


@attrs.frozen(kw_only=True)
class Identity:
    """Who commits, as the request says it.

    Args:
        member: Member id.
        generation: The generation, or under KIP-848 the member epoch; -1 for an outsider.
        instance: ``group.instance.id``.
    """

    member: str = ""
    generation: int = -1
    instance: str | None = None


class Transaction(Protocol):
    """A transaction of a producer in one partition."""

    async def append(self, count: int) -> None: ...

    async def commit(self) -> None: ...

    async def abort(self) -> None: ...


class Kafka(Protocol):
    """One Kafka. A member is called by the name that `connect` was given."""

    def unique(self, what: str) -> str: ...

    def connect(
        self, member: str, settings: Mapping[str, Any], topics: Sequence[str], *, apart: bool
    ) -> AbstractAsyncContextManager[Client]:
        """A client of the port. One that is ``apart`` is a process of its own, that can be killed and stopped."""
        ...

    # Topics and logs

    async def create_topic(self, topic: str, partitions: int, config: Mapping[str, str]) -> None: ...

    async def add_partitions(self, topic: str, total: int) -> None: ...

    async def delete_topic(self, topic: str) -> None: ...

    async def recreate_topic(self, topic: str, partitions: int) -> None:
        """Delete it, and create it again as fast as can be."""
        ...

    async def produce(self, partition: Partition, records: Sequence[tuple[bytes | None, bytes | None]]) -> None: ...

    async def begin_transaction(self, partition: Partition) -> Transaction: ...

    async def delete_records(self, partition: Partition, before: int) -> None: ...

    async def compact(self, partition: Partition) -> None:
        """Return when only the last record of each key is left."""
        ...

    # The group's coordinator

    async def members(self, group: str) -> int:
        """How many members the coordinator lists."""
        ...

    async def identity(self, group: str, member: str, partition: Partition) -> Identity:
        """What this member puts into its commits now. It may commit this partition, to find out."""
        ...

    async def committed(self, group: str, partition: Partition) -> Committed: ...

    async def commit(self, group: str, who: Identity, partition: Partition, commit: Commit) -> str:
        """A request by hand."""
        ...

    async def alter_offset(self, group: str, partition: Partition, offset: int) -> str:
        """As an administrator does."""
        ...

    async def delete_group(self, group: str) -> str: ...

    # Links and processes

    def cut(self, member: str) -> None:
        """Its connections break, and no new one comes about until `heal`."""
        ...

    def hold(self, member: str) -> None:
        """Its connections stay, and carry nothing until `heal`."""
        ...

    def deafen(self, member: str) -> None:
        """What brokers answer to it is thrown away; `cut` and `heal` end it."""
        ...

    def heal(self, member: str) -> None: ...

    def kill(self, member: str) -> None:
        """SIGKILL."""
        ...

    def stop(self, member: str) -> None:
        """SIGSTOP."""
        ...

    def go_on(self, member: str) -> None:
        """SIGCONT."""
        ...

    async def broker_dies(self) -> None: ...

    async def broker_returns(self) -> None:
        """It has its data, and answers."""
        ...
