"""Scenarios in the simulator: `SimulatedKafka` for each, in a world without faults and without a consumer."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import trio

from simulator.client import Surroundings, connector
from simulator.faults.faults import Faults
from simulator.kafka.cluster import Cluster
from simulator.kafka.network import Network
from simulator.kafka.replica import Transaction as Appending
from simulator.kafka.requests import OffsetCommit, OffsetCommitted, Response
from simulator.runtime.clock import VirtualClock
from simulator.runtime.dice import SeededDice
from simulator.runtime.processes import Process
from simulator.runtime.run import run
from simulator.runtime.schedulers import Fifo
from simulator.world.history import History
from trio_consumer import Partition
from trio_consumer.client.port import Client, Commit, Committed

from .kafka import SESSION_SECONDS, Identity
from .kafka import Transaction as AnyTransaction

T = TypeVar("T")

HEARTBEAT_SECONDS = 0.3
LOADING_SECONDS = 0.2
OUTAGE_SECONDS = 1e6


class Transaction:
    """A transaction of the simulator's, with the interface of scenarios."""

    def __init__(self, appending: Appending) -> None:
        self._appending = appending

    async def append(self, count: int) -> None:
        for number in range(count):
            self._appending.append(None, b"%d" % number)

    async def commit(self) -> None:
        self._appending.commit()

    async def abort(self) -> None:
        self._appending.abort()


class SimulatedKafka:
    """One Kafka of one broker; implements `tests.scenarios.kafka.Kafka`.

    Args:
        seed: Decides latencies and the like, which no observation may depend on.
        version: Of the broker.
    """

    def __init__(self, seed: int = 0, *, version: str = "4.3") -> None:
        self.clock = VirtualClock()
        self.dice = SeededDice(seed)
        self.history = History(self.clock)
        self.faults = Faults((), self.dice.split("faults"), self.history)
        self.cluster = Cluster(
            self.clock, self.dice.split("cluster"), self.faults, self.history, nodes=1, version=version
        )
        self.cluster.coordinator.settings.session = SESSION_SECONDS
        self.cluster.coordinator.settings.heartbeat = HEARTBEAT_SECONDS
        self.network = Network(
            self.clock, self.dice.split("network"), self.faults, self.history, self.cluster.serve, self.cluster.nodes
        )
        self._tenures = itertools.count(1)
        self._commits = itertools.count(1)
        self._names = itertools.count(1)
        self._groups: list[str] = []
        self._lives: dict[str, int] = {}
        self._processes: dict[str, Process] = {}

    def run(self, act: Callable[[], Awaitable[T]]) -> T:
        """Run this in virtual time."""
        return run(act, clock=self.clock, scheduler=Fifo())

    def unique(self, what: str) -> str:
        name = f"{what}-{next(self._names)}"
        if what == "group":
            self._groups.append(name)
        return name

    @asynccontextmanager
    async def connect(
        self, member: str, settings: Mapping[str, Any], topics: Sequence[str], *, apart: bool
    ) -> AsyncGenerator[Client, None]:
        self._lives[member] = life = self._lives.get(member, 0) + 1
        process = Process(f"{member}.{life}", self.clock)
        self._processes[member] = process
        surroundings = Surroundings(
            process=process,
            network=self.network,
            clock=self.clock,
            dice=self.dice.split(f"client/{process.name}"),
            faults=self.faults,
            history=self.history,
            nodes=self.cluster.nodes,
            tenures=self._tenures,
            commits=self._commits,
        )
        try:
            complete = {"bootstrap.servers": "simulated:9092", **settings}
            async with connector(surroundings)(complete, topics) as client:
                yield client
        finally:
            process.end()

    # Topics and logs

    async def create_topic(self, topic: str, partitions: int, config: Mapping[str, str]) -> None:
        self.cluster.create_topic(topic, partitions)

    async def add_partitions(self, topic: str, total: int) -> None:
        self.cluster.add_partitions(topic, total)

    async def delete_topic(self, topic: str) -> None:
        self.cluster.delete_topic(topic)

    async def recreate_topic(self, topic: str, partitions: int) -> None:
        self.cluster.delete_topic(topic)
        self.cluster.create_topic(topic, partitions)

    async def produce(self, partition: Partition, records: Sequence[tuple[bytes | None, bytes | None]]) -> None:
        offset = -1
        for key, value in records:
            offset = self.cluster.append(partition, key, value)
        await self._until_replicated(partition, offset + 1)

    async def begin_transaction(self, partition: Partition) -> AnyTransaction:
        return Transaction(self.cluster.begin_transaction(partition))

    async def delete_records(self, partition: Partition, before: int) -> None:
        await self._until_replicated(partition, before)
        self.cluster.retain(partition, before)

    async def _until_replicated(self, partition: Partition, end: int) -> None:
        """Producers are not told before."""
        while self.cluster.log(partition).high_watermark < end:  # noqa: ASYNC110  time is virtual
            await trio.sleep(0.01)

    async def compact(self, partition: Partition) -> None:
        self.cluster.compact(partition, horizon=False)

    # The group's coordinator

    async def members(self, group: str) -> int:
        return len(self.cluster.coordinator.members(group))

    async def identity(self, group: str, member: str, partition: Partition) -> Identity:
        name = self._processes[member].name
        members = self.cluster.coordinator.members(group)
        own, view = next((member_id, view) for member_id, view in members.items() if view.process == name)
        who = Identity(member=own, generation=view.epoch)
        await self.commit(group, who, partition, Commit(0))
        return who

    async def committed(self, group: str, partition: Partition) -> Committed:
        return self.cluster.coordinator.committed(group, partition)

    async def commit(self, group: str, who: Identity, partition: Partition, commit: Commit) -> str:
        answers: list[Response] = []
        request = OffsetCommit(group, who.member, who.instance, who.generation, {partition: commit})
        self.cluster.coordinator.handle("by hand", request, answers.append)
        while not answers:  # noqa: ASYNC110  time is virtual
            await trio.sleep(0.01)
        answer = answers[0]
        if not isinstance(answer, OffsetCommitted):
            raise TypeError(f"a commit was answered with {answer}")
        return answer.errors[partition]

    async def alter_offset(self, group: str, partition: Partition, offset: int) -> str:
        return self.cluster.coordinator.set_offset(group, partition, Commit(offset))

    async def delete_group(self, group: str) -> str:
        return self.cluster.coordinator.delete_group(group)

    # Links and processes

    def cut(self, member: str) -> None:
        name = self._processes[member].name
        self.network.reset(name)
        self.network.cut(name)

    def hold(self, member: str) -> None:
        self.network.cut(self._processes[member].name)

    def deafen(self, member: str) -> None:
        self.network.cut(self._processes[member].name, requests=False)

    def heal(self, member: str) -> None:
        self.network.mend(self._processes[member].name)

    def kill(self, member: str) -> None:
        self._processes[member].end()

    def stop(self, member: str) -> None:
        self._processes[member].freeze(whole=True)

    def go_on(self, member: str) -> None:
        self._processes[member].thaw()

    async def broker_dies(self) -> None:
        for node in self.cluster.nodes:
            self.network.stop(node)
        for group in self._groups:
            self.cluster.coordinator.down(group, OUTAGE_SECONDS)

    async def broker_returns(self) -> None:
        for node in self.cluster.nodes:
            self.network.start(node)
        for group in self._groups:
            self.cluster.coordinator.load(group, LOADING_SECONDS)
