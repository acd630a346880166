"""Offsets that wait for something, the lowest of them at hand.

Offsets mostly come in order and leave in about that order, so a dict keeps them sorted for nothing. Finding the lowest
costs amortised O(1): each offset is copied once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Ranges = tuple[tuple[int, int], ...]


class Pending:
    """See the module."""

    __slots__ = ("_head", "_last", "_offsets", "_order")

    def __init__(self) -> None:
        self._offsets: dict[int, None] = {}
        self._last = -1
        self._head = -1
        self._order: Iterator[int] = iter(())

    def __contains__(self, offset: int) -> bool:
        return offset in self._offsets

    def __len__(self) -> int:
        return len(self._offsets)

    def __iter__(self) -> Iterator[int]:
        """In order."""
        return iter(self._offsets)

    def add(self, offset: int) -> None:
        """One more; cheap if it is the highest."""
        if offset > self._last:
            self._last = offset
            self._offsets[offset] = None
        elif offset not in self._offsets:
            self._offsets = dict.fromkeys(sorted((*self._offsets, offset)))
            self._order, self._head = iter(()), -1

    def extend(self, offsets: Iterable[int]) -> None:
        """Several more."""
        for offset in offsets:
            self.add(offset)

    def discard(self, offset: int) -> None:
        """It waits no more."""
        self._offsets.pop(offset, None)

    def clear(self) -> None:
        """None of them waits any more."""
        self._offsets.clear()

    def drop_below(self, offset: int) -> None:
        """Those below wait no more."""
        while (head := self.head) is not None and head < offset:
            del self._offsets[head]

    def drop_from(self, offset: int) -> None:
        """Those from this one on wait no more."""
        for one in [one for one in self._offsets if one >= offset]:
            del self._offsets[one]

    @property
    def head(self) -> int | None:
        """The lowest; ``None`` if there is none."""
        offsets = self._offsets
        if self._head in offsets:
            return self._head
        if not offsets:
            return None
        while True:
            for offset in self._order:
                if offset in offsets:
                    self._head = offset
                    return offset
            self._order = iter(list(offsets))

    def first_within(self, ranges: Ranges) -> int | None:
        """The lowest that lies in one of these half-open ranges, which are sorted; ``None`` if none does."""
        if not ranges or not self._offsets:
            return None
        index, (start, stop), last = 0, ranges[0], ranges[-1][1]
        for offset in self._offsets:
            if offset >= last:
                return None
            while offset >= stop:
                index += 1
                start, stop = ranges[index]
            if offset >= start:
                return offset
        return None
