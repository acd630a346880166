"""A coordinator by itself, and members that speak its protocol by hand: one call is one request, answered or not."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from simulator.client.assignors import ASSIGNORS
from simulator.faults.faults import Faults
from simulator.kafka import requests
from simulator.kafka.coordinator import Coordinator
from simulator.runtime.clock import VirtualClock
from simulator.runtime.dice import SeededDice
from simulator.world.history import History
from trio_consumer import Partition
from trio_consumer.client.port import Commit, Committed

GROUP = "group"
TOPIC = "orders"
SESSION = 6.0
REBALANCE = 10.0

E = TypeVar("E")


FIRST = Partition(TOPIC, 0)


def orders(*numbers: int) -> tuple[Partition, ...]:
    return tuple(Partition(TOPIC, number) for number in numbers)


class Kit:
    """A cluster with one topic, and its coordinator."""

    def __init__(
        self,
        partitions: int = 4,
        version: str = "4.3",
        faults: Collection[str] = (),
        scale: Mapping[str, float] | None = None,
    ) -> None:
        self.clock = VirtualClock()
        self.history = History(self.clock)
        self.dice = SeededDice(7)
        self.topics = {TOPIC: partitions}
        self.faults = Faults(faults, self.dice.split("faults"), self.history, scale=scale)
        self.coordinator = Coordinator(
            self.clock,
            self.dice.split("coordinator"),
            self.faults,
            self.history,
            nodes=(1, 2, 3),
            topics=lambda: self.topics,
            version=version,
        )

    def send(self, process: str, request: requests.Request) -> list[Any]:
        """The answers to this request: none yet, or one."""
        answers: list[Any] = []
        self.coordinator.handle(process, request, answers.append)
        return answers

    def ask(self, process: str, request: requests.Request) -> Any:
        """The answer to a request that is answered at once."""
        (answer,) = self.send(process, request)
        return answer

    def events(self, kind: type[E]) -> list[E]:
        return [moment.event for moment in self.history.moments if isinstance(moment.event, kind)]

    def commit(
        self,
        offset: int = 5,
        partition: Partition = FIRST,
        *,
        generation: int = -1,
        member_id: str = "",
        instance_id: str | None = None,
        metadata: str = "",
        process: str = "raw",
    ) -> str:
        """A commit made by hand; its error."""
        request = requests.OffsetCommit(
            GROUP, member_id, instance_id, generation, {partition: Commit(offset, metadata)}
        )
        answer: requests.OffsetCommitted = self.ask(process, request)
        return answer.errors[partition]

    def fetch(self, *partitions: Partition, member_id: str = "", epoch: int = -1) -> requests.OffsetFetched:
        answer: requests.OffsetFetched = self.ask(
            "raw", requests.OffsetFetch(GROUP, partitions or orders(0), member_id, epoch)
        )
        return answer

    def committed(self, partition: Partition = FIRST) -> Committed:
        return self.coordinator.committed(GROUP, partition)

    def form(self, *members: Classic) -> None:
        """Let these join, all of them, and share the topic."""
        for member in members:
            member.join()
        answered = [member for member in members if member.joins]
        if len(answered) < len(members):
            # Whoever was answered before the last one came has to join once more.
            for member in answered:
                member.join()
        for member in members:
            member.learn()
        for member, answers in [(member, member.sync()) for member in members]:
            member.assignment = answers[0].assignment


class Classic:
    """A member of the classic protocol."""

    def __init__(
        self,
        kit: Kit,
        name: str,
        *,
        instance_id: str | None = None,
        protocol: str = "range",
        topics: tuple[str, ...] = (TOPIC,),
        session: float = SESSION,
        rebalance: float = REBALANCE,
    ) -> None:
        self.kit = kit
        self.process = name
        self.instance_id = instance_id
        self.protocol = protocol
        self.topics = topics
        self.session = session
        self.rebalance = rebalance
        self.id = ""
        self.generation = -1
        self.assignment: tuple[Partition, ...] = ()
        self.joins: list[Any] = []
        self.joined: requests.JoinedGroup | None = None

    def ask_to_join(self) -> list[Any]:
        """One JoinGroup as it is now."""
        cooperative = self.protocol == "cooperative-sticky"
        return self.kit.send(
            self.process,
            requests.JoinGroup(
                GROUP,
                self.id,
                self.instance_id,
                self.session,
                self.rebalance,
                self.protocol,
                self.topics,
                self.assignment if cooperative else (),
                self.generation if cooperative else -1,
            ),
        )

    def join(self) -> list[Any]:
        """Join, with an id of its own; the answers, if there are any yet."""
        self.joins = self.ask_to_join()
        if self.joins and self.joins[0].error == "MEMBER_ID_REQUIRED":
            self.id = self.joins[0].member_id
            self.joins = self.ask_to_join()
        self.learn()
        return self.joins

    def learn(self) -> None:
        """Read the answer to the last join, if there is one."""
        if self.joins and not self.joins[0].error:
            self.joined = self.joins[0]
            self.id, self.generation = self.joins[0].member_id, self.joins[0].generation

    @property
    def leads(self) -> bool:
        return self.joined is not None and self.joined.leader == self.id

    def sync(self, *, plan: Mapping[str, tuple[Partition, ...]] | None = None) -> list[Any]:
        if plan is None:
            members = self.joined.members if self.joined is not None and self.leads else {}
            plan = ASSIGNORS[self.protocol](members, self.kit.topics) if members else {}
        return self.kit.send(self.process, requests.SyncGroup(GROUP, self.id, self.instance_id, self.generation, plan))

    def heartbeat(self) -> str:
        answer = self.kit.ask(self.process, requests.Heartbeat(GROUP, self.id, self.instance_id, self.generation))
        return str(answer.error)

    def leave(self) -> str:
        answer = self.kit.ask(self.process, requests.LeaveGroup(GROUP, self.id, self.instance_id))
        return str(answer.error)

    def commit(self, offset: int = 5, partition: Partition = FIRST, metadata: str = "") -> str:
        return self.kit.commit(
            offset,
            partition,
            generation=self.generation,
            member_id=self.id,
            instance_id=self.instance_id,
            metadata=metadata,
            process=self.process,
        )


class Consumer848:
    """A member of the consumer protocol that does at once what it is told, unless asked to hold back."""

    def __init__(
        self,
        kit: Kit,
        name: str,
        *,
        instance_id: str | None = None,
        topics: tuple[str, ...] = (TOPIC,),
        rebalance: float = REBALANCE,
    ) -> None:
        self.kit = kit
        self.process = name
        self.id = f"{name}-id"
        self.instance_id = instance_id
        self.topics = topics
        self.rebalance = rebalance
        self.epoch = 0
        self.owned: tuple[Partition, ...] = ()
        self.assignment: tuple[Partition, ...] = ()

    def beat(self, epoch: int | None = None, *, full: bool = True) -> requests.ConsumerGroupHeartbeatResponse:
        """One heartbeat that names what it owns; it learns what it is assigned, and owns the same as before."""
        answer: requests.ConsumerGroupHeartbeatResponse = self.kit.ask(
            self.process,
            requests.ConsumerGroupHeartbeat(
                GROUP,
                self.id,
                self.epoch if epoch is None else epoch,
                self.instance_id,
                self.rebalance,
                self.topics if full else None,
                self.owned if full else None,
            ),
        )
        if not answer.error and answer.member_epoch >= 0:
            self.epoch = answer.member_epoch
            if answer.assignment is not None:
                self.assignment = answer.assignment
        return answer

    def follow(self) -> str:
        """A heartbeat, and what it says is done at once; the error."""
        answer = self.beat()
        if not answer.error:
            self.owned = self.assignment
        return answer.error

    def join(self) -> str:
        self.epoch, self.owned, self.assignment = 0, (), ()
        return self.follow()

    def leave(self, *, for_a_while: bool = False) -> str:
        return self.beat(-2 if for_a_while else -1).error

    def commit(self, offset: int = 5, partition: Partition = FIRST, *, epoch: int | None = None) -> str:
        return self.kit.commit(
            offset,
            partition,
            generation=self.epoch if epoch is None else epoch,
            member_id=self.id,
            process=self.process,
        )


def settle(*members: Consumer848, rounds: int = 8) -> None:
    """Heartbeats in turn, until everybody has what it shall have."""
    for _ in range(rounds):
        for member in members:
            error = member.follow()
            if error:
                raise AssertionError(f"{member.process}: {error}")
