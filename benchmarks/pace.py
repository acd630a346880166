"""The clock of a candidate: how fast its records are handled.

It runs from the first look that sees a record handled to the one that sees all of them, and the records that the first
look already counted are left out. So neither the joining of the group is in it nor the leaving, nor does a handler have
to look at a clock. Needs nothing but the standard library: candidates with a Python of their own use it too.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from .marks import Marks
from .model import Measurement

LOOK_SECONDS = 0.01
"""Time between two looks at what is handled, and so the resolution of a measurement."""
STANDSTILL_SECONDS_MAX = 20.0
"""Without any progress for so long, a candidate gives up."""


class Pace:
    """Looked at every `LOOK_SECONDS` beside the work.

    Args:
        marks: What is handled so far.
    """

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self._first: float | None = None
        self._first_cpu = 0.0
        self._already = 0
        self._seen, self._since = 0, time.perf_counter()
        self._rate: float | None = None
        self._cpu = 0.0

    def look(self) -> bool:
        """True when there is nothing to wait for: all records are handled, or nothing happens any more."""
        now, cpu = time.perf_counter(), time.process_time()
        if self._marks.complete:
            seconds = now - (self._since if self._first is None else self._first)
            records = max(self._marks.handled - self._already, 1)
            self._rate, self._cpu = records / seconds, (cpu - self._first_cpu) / records
            return True
        if self._first is None:
            self._already = self._marks.handled
            if self._already:
                self._first, self._first_cpu = now, cpu
        if now - self._since > STANDSTILL_SECONDS_MAX:
            if self._marks.handled == self._seen:
                return True
            self._seen, self._since = self._marks.handled, now
        return False

    def measurement(self, problems: Sequence[str] = (), detail: Mapping[str, float] | None = None) -> Measurement:
        """Records per second, and microseconds of this process's processor time for each."""
        if self._rate is None:
            told = f"nothing was handled for {STANDSTILL_SECONDS_MAX:g} s"
            return Measurement(value=None, problems=[told, *problems], detail=detail or {})
        return Measurement(
            value=self._rate, problems=problems, detail={"cpu_us_per_record": self._cpu * 1e6, **(detail or {})}
        )
