"""A small cluster and members on it, for tests of the simulated client: no consumer, no nemesis, virtual time.

`play` runs a script under Trio; what faults fire is what the script says with `Kit.force`.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import trio

from simulator.client import Surroundings, connector
from simulator.faults.faults import Faults
from simulator.kafka.cluster import Cluster
from simulator.kafka.network import Network
from simulator.runtime.clock import VirtualClock
from simulator.runtime.dice import SeededDice
from simulator.runtime.processes import Process
from simulator.world.history import FaultFired, History
from tests.contract.member import Member
from trio_consumer import Partition
from trio_consumer.client.port import Failed, Lost, Revoked

GROUP = "group"
TOPIC = "topic"
SESSION_SECONDS = 3.0
PROTOCOLS = ("range", "cooperative-sticky", "consumer")
OF_CONNECTIONS = ("_TRANSPORT", "_TIMED_OUT", "_ALL_BROKERS_DOWN")
CLASSIC = PROTOCOLS[:2]
INCREMENTAL = PROTOCOLS[1:]

E = TypeVar("E", bound=tuple[Any, ...])


class ForcedFaults(Faults):
    """Fires what it was told to, as often as it was told."""

    def __init__(self, history: History) -> None:
        super().__init__((), SeededDice(0), history)
        self.forced: dict[str, int] = {}
        self._told = history

    def fires(self, kind: str, target: str = "") -> bool:
        left = self.forced.get(kind, 0)
        if not left:
            return False
        self.forced[kind] = left - 1
        self._told.add(FaultFired(kind, 0, target))
        return True


class Kit:
    """See the module.

    Attributes:
        processes: By the member's name.
    """

    def __init__(self, protocol: str, seed: int, version: str = "4.3") -> None:
        self.protocol = protocol
        self.clock = VirtualClock()
        self.history = History(self.clock)
        self.faults = ForcedFaults(self.history)
        dice = SeededDice(seed)
        self.dice = dice.split("clients")
        self.cluster = Cluster(self.clock, dice.split("cluster"), self.faults, self.history, version=version)
        self.network = Network(
            self.clock, dice.split("network"), self.faults, self.history, self.cluster.serve, self.cluster.nodes
        )
        broker = self.cluster.coordinator.settings
        broker.session, broker.heartbeat = SESSION_SECONDS, 0.5
        self.processes: dict[str, Process] = {}
        self._tenures = itertools.count(1)
        self._commits = itertools.count(1)

    @property
    def coordinator(self) -> Any:
        return self.cluster.coordinator

    def force(self, kind: str, times: int = 1) -> None:
        """The next so many times that this fault can fire, it does."""
        self.faults.forced[kind] = times

    def topic(self, partitions: int, records: int = 20) -> list[Partition]:
        """Create the topic, with so many records in each partition."""
        self.cluster.create_topic(TOPIC, partitions)
        found = [Partition(TOPIC, number) for number in range(partitions)]
        for partition in found:
            self.produce(partition, records)
        return found

    def produce(self, partition: Partition, records: int = 1) -> None:
        for number in range(records):
            self.cluster.append(partition, b"key", b"%d" % number)

    def surroundings(self, name: str, crash: Callable[[], None] | None = None) -> Surroundings:
        process = self.processes[name] = Process(f"{name}.1", self.clock)
        return Surroundings(
            process=process,
            network=self.network,
            clock=self.clock,
            dice=self.dice.split(process.name),
            faults=self.faults,
            history=self.history,
            nodes=self.cluster.nodes,
            tenures=self._tenures,
            commits=self._commits,
            crash=crash or process.end,
        )

    @asynccontextmanager
    async def member(self, name: str, topics: Iterable[str] = (TOPIC,), /, **more: Any) -> AsyncGenerator[Member, None]:
        """A member that reads only when told to. Settings have underscores for dots."""
        settings: dict[str, Any] = {"bootstrap.servers": "simulated:9092", "group.id": GROUP, "fetch.wait.max.ms": 50}
        if self.protocol == "consumer":
            settings["group.protocol"] = "consumer"
        else:
            settings |= {
                "partition.assignment.strategy": self.protocol,
                "session.timeout.ms": int(SESSION_SECONDS * 1000),
                "heartbeat.interval.ms": 500,
            }
        settings |= {
            "max.poll.interval.ms": 6000,
            "socket.timeout.ms": 1500,
            **{key.replace("_", "."): value for key, value in more.items()},
        }
        async with connector(self.surroundings(name))(settings, list(topics)) as client:
            yield Member(client, GROUP)

    def committed(self, partition: Partition) -> int | None:
        offset: int | None = self.coordinator.committed(GROUP, partition).offset
        return offset

    def told(self, kind: type[E]) -> list[E]:
        """All events of one kind so far."""
        return [moment.event for moment in self.history.moments if isinstance(moment.event, kind)]


Script = Callable[[Kit], Awaitable[None]]


def play(script: Script, protocol: str = "range", *, seed: int = 0, version: str = "4.3") -> Kit:
    """Run a script in virtual time; a minute of it is the limit. Returns the kit, for a look at what is left."""
    kit = Kit(protocol, seed, version)

    async def main() -> None:
        with trio.fail_after(300):
            await script(kit)

    trio.run(main, clock=kit.clock)
    return kit


def course(member: Member) -> list[str]:
    """What the member was told, in order, but for records: ``+01`` assigned, ``-0`` revoked, ``x1``, errors.

    What befalls connections is left out: it comes and goes.
    """
    said = []
    for event in member.events:
        if isinstance(event, Failed):
            code = getattr(event.error, "code", type(event.error).__name__)
            if code not in OF_CONNECTIONS:
                said.append(code)
            continue
        sign = "-" if isinstance(event, Revoked) else "x" if isinstance(event, Lost) else "+"
        numbers = sorted(partition.number for partition in event.partitions)  # type: ignore[union-attr]
        said.append(sign + "".join(map(str, numbers)))
    return said
