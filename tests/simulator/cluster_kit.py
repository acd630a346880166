"""A cluster without a network, for tests: ask it, and see what it answers and tells."""

from __future__ import annotations

from typing import Any

from simulator.faults.faults import Faults
from simulator.kafka.cluster import Cluster
from simulator.kafka.requests import (
    Fetch,
    Fetched,
    FetchedPartition,
    FetchPartition,
    Metadata,
    MetadataResponse,
    Request,
    Response,
    TopicMetadata,
)
from simulator.runtime.clock import VirtualClock
from simulator.runtime.dice import SeededDice
from simulator.world.history import (
    History,
)
from trio_consumer import Partition

T0, T1 = Partition("t", 0), Partition("t", 1)
SOON = 0.5
"""Long enough for replication, also when a follower lags."""


class Rig:
    """A cluster with one topic, and what it has told."""

    def __init__(self, *faults: str, seed: int = 0, partitions: int = 2, scale: float = 1.0) -> None:
        self.clock = VirtualClock()
        self.history = History(self.clock)
        dice = SeededDice(seed)
        self.faults = Faults(faults, dice.split("faults"), self.history, scale=dict.fromkeys(faults, scale))
        self.cluster = Cluster(self.clock, dice.split("cluster"), self.faults, self.history)
        self.cluster.create_topic("t", partitions)

    def fill(self, count: int, partition: Partition = T0) -> None:
        for number in range(count):
            self.cluster.append(partition, b"k%d" % (number % 3), b"v%d" % number)
        self.clock.advance(SOON)

    def ask(self, request: Request, node: int | None = None) -> list[Response]:
        """What is answered appears in the list."""
        answers: list[Response] = []
        self.cluster.serve(1 if node is None else node, "a.1", request, answers.append)
        return answers

    def fetching(
        self,
        offset: int,
        partition: Partition = T0,
        *,
        node: int | None = None,
        epoch: int = -1,
        last_epoch: int = -1,
        count: int = 100,
        wait: float = 0.0,
        read_committed: bool = True,
    ) -> list[Response]:
        wanted = {partition: FetchPartition(offset, epoch, -1, last_epoch)}
        node = self.cluster.leader(partition) if node is None and self.cluster.partitions("t") else node
        return self.ask(Fetch(wanted, count, wait, read_committed), node)

    def fetch(self, offset: int, partition: Partition = T0, **wanted: Any) -> FetchedPartition:
        return self.only(self.fetching(offset, partition, **wanted), partition)

    def only(self, answers: list[Response], partition: Partition = T0) -> FetchedPartition:
        (answer,) = answers
        assert isinstance(answer, Fetched)
        return answer.partitions[partition]

    def told(self, kind: type[Any]) -> list[Any]:
        return [moment.event for moment in self.history.moments if type(moment.event) is kind]

    def metadata(self, topic: str = "t") -> TopicMetadata:
        (answer,) = self.ask(Metadata((topic,)))
        assert isinstance(answer, MetadataResponse)
        return answer.topics[topic]


def offsets(answer: FetchedPartition) -> list[int]:
    return [entry.offset for entry in answer.entries]
