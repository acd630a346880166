"""A deadline that is put off again and again, as sessions are, for the price of an assignment."""

from __future__ import annotations

from collections.abc import Callable

from ...runtime.clock import Timer, VirtualClock


class Alarm:
    """Calls ``act()`` at its deadline. Putting the deadline off leaves the timer in place, which then looks again."""

    __slots__ = ("_act", "_clock", "_timer", "due")

    def __init__(self, clock: VirtualClock, act: Callable[[], object]) -> None:
        self._clock = clock
        self._act = act
        self._timer: Timer | None = None
        self.due: float | None = None

    def set(self, seconds: float) -> None:
        """Due in so many seconds from now, whatever it was before."""
        self.due = due = self._clock.now + seconds
        timer = self._timer
        if timer is None or timer.when > due:
            if timer is not None:
                timer.cancel()
            self._timer = self._clock.at(due, self._ring)

    def stop(self) -> None:
        """Never, until it is set again."""
        self.due = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        due = self.due
        if due is None:
            return
        if due > self._clock.now:
            self._timer = self._clock.at(due, self._ring)
        else:
            self.due = None
            self._act()
