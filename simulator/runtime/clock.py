"""Virtual time. It passes only when no task can run, and then jumps to whatever comes next.

What comes next is a deadline of Trio's or a timer of ours. Brokers, networks and clients are plain callbacks on timers:
no task, no cancel scope. Timers of one instant fire in the order in which they were set.

Without Trio `VirtualClock.advance` drives the timers, so that all of Kafka can be tested synchronously.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

import trio

IDLE_SECONDS = 0.001
"""Real seconds that Trio may wait for what never comes: nothing is due, and no task can run."""


def _always(deadline: float) -> bool:
    return True


def _raise(error: Exception) -> None:
    raise error


class Timer(list[Any]):
    """Something that happens later: when, the number of the timer, what, and its arguments.

    It compares as what it is, a list, and so lies in a heap as it is: a world sets some hundreds of them.
    """

    __slots__ = ()

    @property
    def when(self) -> float:
        when: float = self[0]
        return when

    @property
    def act(self) -> Callable[..., object] | None:
        """``None`` once it has happened or was cancelled."""
        act: Callable[..., object] | None = self[2]
        return act

    def cancel(self) -> None:
        """It does not happen. Cancelling what has happened changes nothing."""
        self[2:] = None, ()


class VirtualClock(trio.abc.Clock):
    """Trio's clock in a world, and the timers of everything that is no task.

    Attributes:
        now: Virtual seconds since the world began.
        stuck: Called when no task can run and nothing is due: the world would wait for ever.
        failed: Called with what a timer's function has raised.
        eventful: Called with Trio's next deadline after timers have fired: whether Trio has to look at what they did.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.stuck: Callable[[], object] = lambda: None
        self.eventful: Callable[[float], object] = _always
        self.failed: Callable[[Exception], object] = _raise
        self._timers: list[Timer] = []
        self._numbers = 0

    def at(self, when: float, act: Callable[..., object], *arguments: Any) -> Timer:
        """Call ``act(*arguments)`` at this time, or at once after what is running if it is past."""
        if when < self.now:
            when = self.now
        self._numbers = number = self._numbers + 1
        timer = Timer((when, number, act, arguments))
        heappush(self._timers, timer)
        return timer

    def after(self, seconds: float, act: Callable[..., object], *arguments: Any) -> Timer:
        """Call ``act(*arguments)`` after so many virtual seconds."""
        self._numbers = number = self._numbers + 1
        timer = Timer((self.now + (seconds if seconds > 0 else 0), number, act, arguments))
        heappush(self._timers, timer)
        return timer

    def advance(self, seconds: float) -> None:
        """Let so many virtual seconds pass, without Trio."""
        until = self.now + seconds
        while (due := self.next_due()) <= until:
            self.now = max(self.now, due)
            self.fire()
        self.now = until

    def next_due(self) -> float:
        """When the next timer fires; infinity if there is none."""
        timers = self._timers
        while timers and timers[0][2] is None:
            heappop(timers)
        return timers[0][0] if timers else math.inf

    def fire(self) -> None:
        """Call what is due now."""
        timers, now = self._timers, self.now
        while timers and timers[0][0] <= now:
            timer = heappop(timers)
            _, _, act, arguments = timer
            if act is not None:
                timer[2] = None
                try:
                    act(*arguments)
                except Exception as error:
                    self.failed(error)

    async def sleep(self, seconds: float) -> None:
        """As `trio.sleep`, at a third of its price: a timer, and no cancel scope."""
        timer = self.after(seconds, trio.lowlevel.reschedule, trio.lowlevel.current_task())

        def abort(_: object) -> trio.lowlevel.Abort:
            timer.cancel()
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    # What Trio asks

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        return self.now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Trio calls this only when no task can run.

        Timers fire one after the other until some task can: a pass of Trio's loop costs more than a timer.
        """
        timers, eventful, fired = self._timers, self.eventful, False
        while timers:
            timer = timers[0]
            due, _, act, arguments = timer
            if act is not None:
                if due > deadline or due == math.inf:
                    break
                if fired and due > self.now and eventful(deadline):
                    return 0
                fired = True
                if due > self.now:
                    self.now = due
                timer[2] = None
                heappop(timers)
                try:
                    act(*arguments)
                except Exception as error:
                    self.failed(error)
            else:
                heappop(timers)
        if not fired:
            if deadline == math.inf:
                self.stuck()
                return IDLE_SECONDS
            self.now = max(self.now, deadline)
        return 0
