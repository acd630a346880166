"""What the contract suite needs of an implementation of the port: brokers to fill and to look into, and `connect`."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import attrs
import trio
from confluent_kafka import Producer

from simulator.client import Surroundings, connector
from simulator.faults.faults import Faults
from simulator.kafka.cluster import Cluster as SimulatedCluster
from simulator.kafka.network import Network
from simulator.runtime.clock import VirtualClock
from simulator.runtime.dice import Dice, SeededDice
from simulator.runtime.processes import Process
from simulator.world.history import History
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

    @property
    def session_ms(self) -> int: ...

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


def settings(
    servers: str, session_ms: int, group: str, protocol: GroupProtocol, more: Mapping[str, Any]
) -> dict[str, Any]:
    """What each implementation is opened with."""
    settings: dict[str, Any] = {"bootstrap.servers": servers, "group.id": group}
    if protocol is GroupProtocol.CONSUMER:
        settings["group.protocol"] = "consumer"
    else:
        settings["partition.assignment.strategy"] = protocol.value
        settings["session.timeout.ms"] = session_ms
        settings["heartbeat.interval.ms"] = 200
    return {**settings, "fetch.wait.max.ms": 50, **more}


@attrs.frozen
class SimulatedBackend:
    """The simulator's client on its brokers, in virtual time. Each member is a process of its own."""

    clock: VirtualClock
    dice: Dice
    faults: Faults
    history: History
    cluster: SimulatedCluster
    network: Network
    name: str = "simulator"
    differs: frozenset[Differs] = frozenset()
    session_ms: int = 6000
    _numbers: Iterator[int] = attrs.field(factory=lambda: itertools.count(1))
    _tenures: Iterator[int] = attrs.field(factory=lambda: itertools.count(1))
    _commits: Iterator[int] = attrs.field(factory=lambda: itertools.count(1))

    def connect(
        self, group: str, topics: Sequence[str], protocol: GroupProtocol, more: Mapping[str, Any]
    ) -> AbstractAsyncContextManager[Client]:
        process = Process(f"m{next(self._numbers)}.1", self.clock)
        surroundings = Surroundings(
            process=process,
            network=self.network,
            clock=self.clock,
            dice=self.dice.split(process.name),
            faults=self.faults,
            history=self.history,
            nodes=self.cluster.nodes,
            tenures=self._tenures,
            commits=self._commits,
        )
        return connector(surroundings)(settings("simulated:9092", self.session_ms, group, protocol, more), topics)

    async def new_topic(self, partitions: int) -> str:
        topic = support.unique("topic")
        self.cluster.create_topic(topic, partitions)
        await trio.sleep(0.1)
        return topic

    async def produce(self, partition: Partition, values: Iterable[bytes]) -> list[int]:
        offsets = [self.cluster.append(partition, value[:4], value) for value in values]
        await self._replicated(partition)
        return offsets

    async def produce_transaction(self, partition: Partition, values: Iterable[bytes]) -> None:
        transaction = self.cluster.begin_transaction(partition)
        for value in values:
            transaction.append(None, value)
        transaction.commit()
        await self._replicated(partition)

    async def committed(self, group: str, partitions: Iterable[Partition]) -> Mapping[Partition, Committed]:
        await trio.lowlevel.checkpoint()
        return {partition: self.cluster.coordinator.committed(group, partition) for partition in partitions}

    async def _replicated(self, partition: Partition) -> None:
        """A producer that asks for all acknowledgements waits until consumers can see its records."""
        while self.cluster.log(partition).high_watermark < self.cluster.end(partition):  # noqa: ASYNC110  costs nothing
            await trio.sleep(0.001)


def simulated(clock: VirtualClock) -> SimulatedBackend:
    """Three brokers without faults."""
    dice = SeededDice(0)
    history = History(clock)
    faults = Faults((), dice.split("faults"), history)
    cluster = SimulatedCluster(clock, dice.split("cluster"), faults, history)
    network = Network(clock, dice.split("network"), faults, history, cluster.serve, cluster.nodes)
    return SimulatedBackend(clock, dice.split("clients"), faults, history, cluster, network)


@attrs.frozen
class ConfluentBackend:
    """confluent-kafka, on a cluster that really listens."""

    name: str
    cluster: support.Cluster
    session_ms: int
    differs: frozenset[Differs] = frozenset()

    def connect(
        self, group: str, topics: Sequence[str], protocol: GroupProtocol, more: Mapping[str, Any]
    ) -> AbstractAsyncContextManager[Client]:
        return connect(settings(self.cluster.bootstrap_servers, self.session_ms, group, protocol, more), topics)

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
