"""A network of two nodes and one process, for tests: the broker answers when the test says so."""

from __future__ import annotations

from collections.abc import Callable

from simulator.faults.faults import Faults
from simulator.kafka.network import Network
from simulator.kafka.requests import (
    Fetch,
    Fetched,
    FindCoordinator,
    FoundCoordinator,
    Heartbeat,
    HeartbeatResponse,
    Node,
    OffsetCommit,
    OffsetCommitted,
    Request,
    Response,
)
from simulator.runtime.clock import VirtualClock
from simulator.runtime.dice import SeededDice
from simulator.runtime.processes import Process
from simulator.world.history import History

ALL_ARRIVE = 0.25
"""Long enough for all packets that no fault holds up."""


def commit(number: int) -> OffsetCommit:
    return OffsetCommit("g", "m", None, 1, {}, number)


class Rig:
    """A network of two nodes, a process, and a broker that answers at once unless ``manual``."""

    def __init__(self, *faults: str, seed: int = 0, manual: bool = False, scale: float = 1.0) -> None:
        self.clock = VirtualClock()
        self.history = History(self.clock)
        dice = SeededDice(seed)
        self.faults = Faults(faults, dice.split("faults"), self.history, scale=dict.fromkeys(faults, scale))
        self.network = Network(self.clock, dice.split("network"), self.faults, self.history, self._serve, (1, 2))
        self.process = Process("a.1", self.clock)
        self.manual = manual
        self.served: list[tuple[float, Node, Request]] = []
        self.replies: list[Callable[[Response], None]] = []
        self.answers: list[tuple[object, Response | None]] = []

    def _serve(self, node: Node, process: str, request: Request, reply: Callable[[Response], None]) -> None:
        self.served.append((self.clock.now, node, request))
        if self.manual:
            self.replies.append(reply)
        else:
            reply(respond(request))

    def send(self, request: Request, node: Node = 1, *, name: object = None, timeout: float = 10.0) -> None:
        name = request if name is None else name
        self.network.send(
            self.process, node, request, lambda response: self.answers.append((name, response)), timeout=timeout
        )

    @property
    def requests(self) -> list[Request]:
        return [request for _, _, request in self.served]

    @property
    def commits(self) -> list[int]:
        return [request.number for request in self.requests if isinstance(request, OffsetCommit)]

    def settle(self) -> None:
        self.clock.advance(ALL_ARRIVE)


def respond(request: Request) -> Response:
    if isinstance(request, OffsetCommit):
        return OffsetCommitted({})
    if isinstance(request, Fetch):
        return Fetched({}, throttle=1.0)
    if isinstance(request, Heartbeat):
        return HeartbeatResponse()
    return FoundCoordinator("", 1)


FIND = FindCoordinator("g")
