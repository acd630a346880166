"""A thread of the client's in virtual time: a generator that waits by yielding.

What it yields is the time until which it waits at most. It goes on then, or soon after `Thread.poke`, and looks for
itself what has changed. So code that blocks in production reads alike here, and costs nothing while it waits.

The thread is the client's: a frozen process holds it up, a dead one ends it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from inspect import GEN_RUNNING, getgeneratorstate
from typing import TypeAlias, TypeVar

from ..runtime.clock import Timer
from ..runtime.dice import Dice
from ..runtime.processes import Process

T = TypeVar("T")
Blocking: TypeAlias = Generator[float, None, T]
"""A part of a thread that may wait, and its result."""

SWITCH_SECONDS = (0.00002, 0.0002)
"""How long a thread needs to notice what another has done."""
FOREVER = math.inf


class Thread:
    """One thread of a process. See the module."""

    def __init__(self, process: Process, dice: Dice) -> None:
        self._process = process
        self._dice = dice
        self._body: Blocking[None] | None = None
        self._timer: Timer | None = None
        self._poked = False

    def start(self, body: Blocking[None]) -> None:
        """Let it run from soon on."""
        self._body = body
        self._process.farewells.append(self._die)
        self.poke()

    def poke(self) -> None:
        """Something has changed that it may wait for."""
        if not self._poked:
            self._poked = True
            self._process.after(self._dice.uniform(*SWITCH_SECONDS), self._go)

    def _go(self) -> None:
        self._poked = False
        self._resume()

    def _timed_out(self, timer_of: float) -> None:
        # A wait that has ended in the meantime has another deadline.
        if self._timer is not None and self._timer.when == timer_of:
            self._resume()

    def _resume(self) -> None:
        body = self._body
        if body is None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            until = next(body)
        except StopIteration:
            self._body = None
            return
        if until != FOREVER and self._body is not None:
            clock = self._process.clock
            until = max(until, clock.now)
            self._timer = clock.at(until, self._process.deliver, self._timed_out, until)

    def _die(self) -> None:
        body, self._body = self._body, None
        if (
            body is not None and getgeneratorstate(body) != GEN_RUNNING
        ):  # what it did itself may have killed it: this was its last step
            body.close()


def wait(ready: Callable[[], object], now: Callable[[], float], until: float = FOREVER) -> Blocking[bool]:
    """Wait until something holds; false if the time is over first."""
    while not ready():
        if now() >= until:
            return False
        yield until
    return True
