"""What was handled, and when: two files that a candidate's process shares with the harness.

They are mapped into memory, so to mark a record costs no system call, and what was marked survives the process however
it ends. The files are plain arrays, so that a candidate may be written in anything; `Job` has their layout. This module
is for candidates in Python, and needs nothing but its standard library.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Sequence
from itertools import accumulate, pairwise

MARK_MAX = 255


def create(path: str, size: int) -> None:
    """A file of zeros."""
    with open(path, "wb") as file:
        file.truncate(size)


class Marks:
    """How often each record was handled.

    Args:
        path: The file; it exists.
        counts: Records of each partition, whose first offset is 0.

    Attributes:
        rows: By partition and offset, how often the record was handled. A handler adds one.
    """

    def __init__(self, path: str, counts: Sequence[int]) -> None:
        self._map = _mapped(path, sum(counts))
        self._bounds = list(accumulate(counts, initial=0))
        self._low = 0
        view = memoryview(self._map)
        self.rows = [view[first:end] for first, end in pairwise(self._bounds)]

    def add(self, partition: int, offset: int) -> None:
        """The record was handled."""
        row = self.rows[partition]
        row[offset] = min(row[offset] + 1, MARK_MAX)

    @property
    def complete(self) -> bool:
        """True if each record was handled. Costs little when asked again and again."""
        low = self._map.find(b"\0", self._low) if self._low < len(self._map) else -1
        self._low = low if low >= 0 else len(self._map)
        return low < 0

    @property
    def handled(self) -> int:
        """Distinct records. Costs a look at each."""
        return len(self._map[:].translate(None, b"\0"))

    def problems(self) -> list[str]:
        """What contradicts that each record was handled exactly once."""
        marks = self._map[:]
        repeated = len(marks.translate(None, b"\0\1"))
        found = [
            (len(marks) - self.handled, "records were not handled"),
            (repeated, "records were handled more than once"),
        ]
        return [f"{count:,} {what}" for count, what in found if count]


class Spans:
    """When the handler of each record began and ended.

    Args:
        path: The file; it exists.
        counts: Records of each partition, whose first offset is 0.
    """

    def __init__(self, path: str, counts: Sequence[int]) -> None:
        self._firsts = list(accumulate(counts, initial=0))
        self._times = memoryview(_mapped(path, 16 * sum(counts))).cast("Q")

    def begin(self, partition: int, offset: int) -> None:
        """The handler of the record begins."""
        self._times[2 * (self._firsts[partition] + offset)] = time.monotonic_ns()

    def end(self, partition: int, offset: int) -> None:
        """The handler of the record has ended."""
        self._times[2 * (self._firsts[partition] + offset) + 1] = time.monotonic_ns()

    def of(self, partition: int, offset: int) -> tuple[int, int]:
        """Begin and end of a handler in nanoseconds; zero for what did not happen."""
        place = 2 * (self._firsts[partition] + offset)
        return self._times[place], self._times[place + 1]


def _mapped(path: str, size: int) -> mmap.mmap:
    with open(path, "r+b") as file:
        return mmap.mmap(file.fileno(), size)
