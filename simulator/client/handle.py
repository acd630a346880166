"""What the parts of the client share: its queue to the application, its knobs, and the way to the brokers.

The parts call each other through it, always on the client's side of the process. What they have for the application
goes into `ops`, in order; only the owner's thread takes from there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import attrs

from trio_consumer import Partition

from ..kafka.requests import Node, Request, Response
from . import Surroundings
from .knobs import Knobs
from .thread import Thread

if TYPE_CHECKING:
    from .brokers import Brokers, Coordinator
    from .committing import Committing
    from .fetching import Fetched, Fetching
    from .membership import Membership


@attrs.frozen
class GiveAssignment:
    """Run the assign callback."""

    partitions: tuple[Partition, ...]


@attrs.frozen
class TakeAssignment:
    """Run the revoke callback, or the lost one."""

    partitions: tuple[Partition, ...]
    lost: bool


@attrs.frozen
class ErrorOp:
    """An error for the application: its code, and where it happened."""

    code: str
    text: str
    where: str = ""


@attrs.frozen
class EndOp:
    """The end of a partition was reached."""

    partition: Partition
    offset: int
    version: int


@attrs.frozen
class CommitOp:
    """The callback for an asynchronous commit."""

    tell: Callable[[], None]


Op: TypeAlias = "GiveAssignment | TakeAssignment | ErrorOp | EndOp | CommitOp | Fetched"


class _Exchange:
    """Takes the answer to one request."""

    __slots__ = ("answer", "due", "handle", "node")

    def __init__(self, handle: Handle, node: Node, answer: Callable[[Response | None], None], due: float) -> None:
        self.handle = handle
        self.node = node
        self.answer = answer
        self.due = due

    def __call__(self, response: Response | None) -> None:
        self.handle.heard_of(self.node, response, self.due)
        self.answer(response)


class Handle:
    """See the module.

    Attributes:
        ops: What waits for the application.
        fatal: The code of the error after which the client can't go on, or ``""``.
        closing: True once close() was called.
        polled: When the application polled last; ``None`` while it does.
        time: Tells the time.
        after: As `Process.after`.
        wake: Something has changed that the application's thread may wait for.
    """

    brokers: Brokers
    coordinator: Coordinator
    fetching: Fetching
    committing: Committing
    membership: Membership

    def __init__(self, surroundings: Surroundings, knobs: Knobs, thread: Thread) -> None:
        self.surroundings = surroundings
        self.process = surroundings.process
        self.clock = surroundings.clock
        self.dice = surroundings.dice
        self.faults = surroundings.faults
        self.history = surroundings.history
        self.knobs = knobs
        self.name = surroundings.process.name
        self.ops: deque[Op] = deque()
        self.fatal = ""
        self.closing = False
        self.polled: float | None = surroundings.clock.now
        self._thread = thread
        self._silent: dict[Node, None] = {}
        self.time = self.clock.current_time
        self.after = self.process.after
        self.wake = thread.poke

    @property
    def now(self) -> float:
        now: float = self.clock.now
        return now

    def emit(self, op: Op) -> None:
        """Something for the application."""
        self.ops.append(op)
        self._thread.poke()

    def emit_first(self, op: Op) -> None:
        """The same, ahead of all that waits."""
        self.ops.appendleft(op)
        self._thread.poke()

    def send(
        self, node: Node, request: Request, answer: Callable[[Response | None], None], timeout: float | None = None
    ) -> None:
        """Send a request. ``answer(None)``: its fate is unknown."""
        timeout = self.knobs.socket_timeout if timeout is None else timeout
        exchange = _Exchange(self, node, answer, self.clock.now + timeout)
        self.surroundings.network.send(self.process, node, request, exchange, timeout=timeout)

    def heard_of(self, node: Node, response: Response | None, due: float) -> None:
        """A broker has answered, or not; the application is told when it stops, and when none is left."""
        if response is not None:
            if self._silent:
                self._silent.pop(node, None)
        elif node not in self._silent and not self.closing:
            self._silent[node] = None
            self.emit(ErrorOp("_TIMED_OUT" if self.now >= due else "_TRANSPORT", f"broker {node}: disconnected"))
            if len(self._silent) == len(self.surroundings.nodes):
                self.emit(ErrorOp("_ALL_BROKERS_DOWN", "all brokers are down"))

    def backoff(self, tries: int) -> float:
        """How long to wait before the next try, after so many."""
        knobs = self.knobs
        seconds = min(knobs.retry_backoff * 2.0 ** min(tries, 10), knobs.retry_backoff_max)
        return seconds * self.dice.uniform(0.8, 1.2)

    def die(self, code: str, text: str) -> None:
        """The client can't go on. The application is told once, by a poll."""
        if not self.fatal:
            self.fatal = code
            self.emit(ErrorOp("_FATAL", f"{text}: {code}", code))

    def poll_exceeded(self) -> bool:
        """Whether the application has not polled for too long."""
        return self.polled is not None and self.now - self.polled >= self.knobs.max_poll_interval
