"""What the contract suite needs of an implementation of the port: brokers to fill and to look into, and `connect`."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import attrs
import trio
from confluent_kafka import Producer

from tests import support
from trio_consumer import Partition
from trio_consumer.client.confluent import connect
from trio_consumer.client.port import Client, Committed

SECONDS_MAX = 40.0
"""Deadline of every test here. It can only fail a test."""


class GroupProtocol(enum.Enum):
    """The three ways in which a group shares partitions."""

    RANGE = "range"
    COOPERATIVE = "cooperative-sticky"
    CONSUMER = "consumer"


class Differs(enum.Enum):
    """Rows of the table in README.md: where a backend is not like a real broker."""

    TAKES_ANY_METADATA = enum.auto()
    REFUSES_COMMITS_WHILE_REBALANCING = enum.auto()
    FENCES_NO_STATIC_MEMBER = enum.auto()
    HAS_NO_TRANSACTIONS = enum.auto()


class Backend(Protocol):
    """One implementation, with brokers behind it."""

    @property
    def name(self) -> str: ...

    @property
    def differs(self) -> frozenset[Differs]: ...

    def connect(
        self, group: str, topics: Sequence[str], protocol: GroupProtocol, more: Mapping[str, Any]
    ) -> AbstractAsyncContextManager[Client]:
        """A client of this group."""
        ...

    async def new_topic(self, partitions: int) -> str:
        """Create a topic; its name."""
        ...

    async def produce(self, partition: Partition, values: Iterable[bytes]) -> list[int]:
        """Append records; their offsets."""
        ...

    async def produce_transaction(self, partition: Partition, values: Iterable[bytes]) -> None:
        """Append records in one transaction, which leaves a marker after them."""
        ...

    async def committed(self, group: str, partitions: Iterable[Partition]) -> Mapping[Partition, Committed]:
        """What the broker holds for a group."""
        ...


@attrs.frozen
class ConfluentBackend:
    """confluent-kafka, on a cluster that really listens."""

    name: str
    cluster: support.Cluster
    session_ms: int
    differs: frozenset[Differs] = frozenset()

    def settings(self, group: str, protocol: GroupProtocol, more: Mapping[str, Any]) -> dict[str, Any]:
        settings: dict[str, Any] = {"bootstrap.servers": self.cluster.bootstrap_servers, "group.id": group}
        if protocol is GroupProtocol.CONSUMER:
            settings["group.protocol"] = "consumer"
        else:
            settings["partition.assignment.strategy"] = protocol.value
            settings["session.timeout.ms"] = self.session_ms
            settings["heartbeat.interval.ms"] = 200
        return {**settings, "fetch.wait.max.ms": 50, **more}

    def connect(
        self, group: str, topics: Sequence[str], protocol: GroupProtocol, more: Mapping[str, Any]
    ) -> AbstractAsyncContextManager[Client]:
        return connect(self.settings(group, protocol, more), topics)

    async def new_topic(self, partitions: int) -> str:
        return await trio.to_thread.run_sync(support.new_topic, self.cluster, partitions)

    async def produce(self, partition: Partition, values: Iterable[bytes]) -> list[int]:
        def produce() -> list[int]:
            landed = support.produce(
                self.cluster.bootstrap_servers,
                partition.topic,
                [(value[:4], value) for value in values],
                partition=partition.number,
            )
            return [offset for _, offset in landed]

        return await trio.to_thread.run_sync(produce)

    async def produce_transaction(self, partition: Partition, values: Iterable[bytes]) -> None:
        def produce() -> None:
            settings = {"bootstrap.servers": self.cluster.bootstrap_servers, "log_level": 2}
            producer = Producer({**settings, "transactional.id": support.unique("transaction")})
            producer.init_transactions(support.SECONDS_MAX)
            producer.begin_transaction()
            for value in values:
                producer.produce(partition.topic, value, partition=partition.number)
            producer.commit_transaction(support.SECONDS_MAX)

        await trio.to_thread.run_sync(produce)

    async def committed(self, group: str, partitions: Iterable[Partition]) -> Mapping[Partition, Committed]:
        asked = list(partitions)
        return await trio.to_thread.run_sync(support.committed, self.cluster.bootstrap_servers, group, asked)
