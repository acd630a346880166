"""The ledger: which offsets of one tenure are incomplete, and hence what may be committed.

Only incomplete offsets are kept, each with its shift: the offset less its index, which is the count of offsets
delivered before it. All else follows: what was delivered and is not incomplete is complete, and where the indexes of
two neighbours are not consecutive, something between them was completed. So memory is bounded by what is incomplete,
however long one offset holds the rest back. Offsets without holes between them share their shift.

Invariants:

- Offsets grow strictly over the whole tenure, so the order of the dict is the order of the offsets.
- The committable offset never goes back, except where the first delivery lies below the start.
- What is called complete at or above the committable offset was completed in this tenure, or by an earlier one
  (``restored``), or it is a hole.

A hole is an offset that the client passed without a record: a transaction marker, an aborted or compacted record.
Nothing will ever be visible there, so a hole next to a completed offset counts as completed; otherwise each marker
would cost the offset map a range of its own. A hole between two incomplete offsets is left out, for the same reason.

Deliveries and completions cost amortised O(1), `Ledger.snapshot` O(incomplete offsets below the highest completed one),
and nothing if there was no change. The ledger knows nothing of records, lanes, commits in flight or log ends.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice, repeat, takewhile
from operator import neg, sub
from typing import NamedTuple, TypeAlias

from ..errors import InternalError, TrioConsumerError
from . import offset_map
from .offset_map import Ranges

_Version: TypeAlias = tuple[int | None, int]

_BLOCK = 64
"""Incomplete offsets that are looked at together: mostly nothing was completed between them."""


class OffsetsRewound(TrioConsumerError):
    """Offsets came that are not above what was delivered before: the log was truncated, or somebody sought back.

    Attributes:
        offset: The one that is too low.
        position: The lowest that would have been right.
    """

    def __init__(self, offset: int, position: int) -> None:
        super().__init__(f"offset {offset} was delivered where {position} or above was due")
        self.offset = offset
        self.position = position


class Snapshot(NamedTuple):
    """What to commit, all of one instant.

    Args:
        committable: The lowest incomplete offset, else the position, else the start; ``None`` if nothing is known.
        completed: Completed offsets at that offset or above; at it only where it is the position, and an earlier tenure
            completed what is there.
    """

    committable: int | None
    completed: Ranges


class _Measure(NamedTuple):
    """The size of the map, and what it was taken of.

    Args:
        given: The limit, the committable offset, and whether a bitmap could hold the map. Others need another measure.
        characters: The size; one above the limit if it does not fit.
        highest: The highest completed offset.
        below: How many offsets below that were incomplete.
    """

    given: tuple[int, int, bool]
    characters: int
    highest: int
    below: int


class Ledger:
    """The offsets of one tenure.

    Args:
        restored: What earlier tenures completed at the start or above. It is used up by deliveries.
        start: The committed offset, if there is one.
    """

    __slots__ = (
        "_delivered",
        "_head",
        "_highest",
        "_incomplete",
        "_measure",
        "_measured",
        "_order",
        "_position",
        "_restored",
        "_snapshot",
        "_start",
    )

    def __init__(self, restored: Ranges = (), start: int | None = None) -> None:
        self._start = start
        self._restored = deque(restored)
        self._position: int | None = None
        self._delivered = 0
        self._incomplete: dict[int, int] = {}  # offset: its shift
        self._highest = -1  # completed and delivered
        self._head = -1  # the head, as long as it is incomplete
        self._order: Iterator[int] = iter(())  # every incomplete offset above the head comes here or later in the dict
        self._snapshot: tuple[_Version, Snapshot] | None = None
        self._measure: _Measure | None = None
        self._measured = 0  # completions that the measure takes into account

    def deliver(self, offsets: Sequence[int]) -> list[int]:
        """Enters a fetched batch.

        Returns:
            Those that an earlier tenure completed; they are complete at once and must not be handled again.

        Raises:
            OffsetsRewound: They are not above everything before, or not in order. Nothing was entered.
        """
        if not offsets:
            return []
        first, last, count, position = offsets[0], offsets[-1], len(offsets), self._position
        if position is not None and first < position:
            raise OffsetsRewound(first, position)
        # Sorting what is sorted is the fastest way to see that it is.
        if last - first < count - 1 or sorted(offsets) != list(offsets):
            raise OffsetsRewound(last, first + count - 1)
        self._begin(first)
        delivered, incomplete = self._delivered, self._incomplete
        known = len(incomplete)
        if last - first == count - 1:
            incomplete.update(zip(offsets, repeat(first - delivered), strict=False))
        else:
            shifts = map(sub, offsets, range(delivered, delivered + count))
            incomplete.update(zip(offsets, shifts, strict=True))
        if len(incomplete) != known + count:  # one comes twice in a row
            for offset in offsets:
                incomplete.pop(offset, None)
            raise OffsetsRewound(last, first + count - 1)
        self._delivered = delivered + count
        self._position = last + 1
        return self._use_restored(offsets) if self._restored else []

    def complete(self, offset: int) -> None:
        """Marks a delivered offset as resolved.

        Raises:
            InternalError: It was never delivered, or it is complete already.
        """
        try:
            del self._incomplete[offset]
        except KeyError:
            raise InternalError(f"offset {offset} was completed twice, or without being delivered") from None
        if offset > self._highest:
            self._highest = offset

    def advance(self, position: int) -> None:
        """Notes where the client will fetch next, past trailing holes. It never goes back."""
        self._begin(position)
        if self._position is None or position > self._position:
            self._position = position
            self._drop_restored(position)

    def distrust(self) -> None:
        """Forgets what earlier tenures completed, unless it was delivered already: the rest is handled again."""
        self._restored.clear()
        self._snapshot = self._measure = None

    @property
    def restored_top(self) -> int | None:
        """The offset after the last one that is restored and not delivered yet, else ``None``.

        A map that reaches beyond the log end is of another log: `distrust` it.
        """
        return self._restored[-1][1] if self._restored else None

    @property
    def position(self) -> int | None:
        """The next offset to be delivered, at least; ``None`` before the first delivery and the first `advance`."""
        return self._position

    @property
    def head(self) -> int | None:
        """The lowest incomplete offset."""
        incomplete = self._incomplete
        if self._head in incomplete:
            return self._head
        if not incomplete:
            return None
        while True:
            for offset in self._order:
                if offset in incomplete:
                    self._head = offset
                    return offset
            # Everything that the copy held is completed, so each offset is copied once.
            self._order = iter(list(incomplete))

    @property
    def committable(self) -> int | None:
        """The lowest incomplete offset, else the position, else the start; ``None`` if nothing is known."""
        if self._incomplete:
            return self.head
        return self._start if self._position is None else self._position

    @property
    def incomplete_count(self) -> int:
        return len(self._incomplete)

    @property
    def completed_count(self) -> int:
        """Completed offsets at or above the committable one, holes not counted, restored ones counted as offsets."""
        count = sum(stop - start for start, stop in self._restored)
        if (head := self.head) is not None:
            count += self._delivered - (head - self._incomplete[head]) - len(self._incomplete)
        return count

    def is_complete(self, offset: int) -> bool:
        """Whether a commit of this instant would say so, by its offset or its map; holes below the position count."""
        if offset in self._incomplete:
            return False
        known = self._start if self._position is None else self._position
        return (known is not None and offset < known) or offset_map.contains(self._restored, offset)

    def snapshot(self) -> Snapshot:
        """What a commit may say at this instant."""
        version = self._version()
        if self._snapshot is None or self._snapshot[0] != version:
            self._snapshot = version, Snapshot(self.committable, self._completed())
        return self._snapshot[1]

    def map_characters(self, limit: int) -> int:
        """Characters that the offset map takes; more than the limit if it does not fit.

        An upper bound, in O(1), while that is no more than half of the limit. Beyond, the map is encoded: again when
        the committable offset has changed, or when so many ranges may have been added as a 64th of the incomplete
        offsets, or of the limit. That errs by about a tenth of the limit. It keeps the map from being encoded for each
        batch that flows past a stuck lane, and a full one that many completions slowly relieve after each of them.
        """
        committable = self.committable
        top = self._restored[-1][1] if self._restored else self._highest + 1
        if committable is None or top <= committable:
            return 0
        bound = offset_map.bitmap_characters(committable, top - committable)
        if bound <= limit // 2:
            return bound
        given = limit, committable, top - committable <= offset_map.bitmap_span_max(committable, limit)
        measure, completed = self._measure, self._delivered - len(self._incomplete)
        if measure is not None and measure.given == given:
            # A completion adds one range at most. Where there were more of them, count what they have added.
            spare = min(len(self._incomplete), limit) // 64
            if completed - self._measured > spare:
                self._measured = completed - self._ranges_added(measure)
            if completed - self._measured <= spare:
                return measure.characters
        exact = offset_map.characters(committable, self.snapshot().completed, limit)
        below = len(self._incomplete) - len(self._incomplete_above(self._highest))
        self._measure = _Measure(given, limit + 1 if exact is None else exact, self._highest, below)
        self._measured = completed
        return self._measure.characters

    def _ranges_added(self, measure: _Measure) -> int:
        """How many ranges the map has more than when it was measured, at most. A longer last one counts as another."""
        incomplete, highest = self._incomplete, self._highest
        above = self._incomplete_above(measure.highest)
        added = measure.below - (len(incomplete) - len(above)) + (highest > measure.highest)
        after = -1
        for offset in above[bisect_left(above, -highest, key=neg) :]:
            index = offset - incomplete[offset]
            added += index + 1 != after
            after = index
        return added

    def _incomplete_above(self, offset: int) -> list[int]:
        """The incomplete offsets above this one, the highest first."""
        return list(takewhile(offset.__lt__, reversed(self._incomplete)))

    def _version(self) -> _Version:
        """Differs after every change of a snapshot, `distrust` apart: each delivery raises the position, and while that
        stays the incomplete offsets only get fewer."""
        return self._position, len(self._incomplete)

    def _begin(self, offset: int) -> None:
        """Where the client starts below the committed offset, the log is another one, or was reset: replay."""
        if self._position is None and self._start is not None and offset < self._start:
            self.distrust()

    def _drop_restored(self, position: int) -> None:
        """Forgets the restored ranges below the position."""
        restored = self._restored
        if restored and restored[0][0] < position:
            self._measure = None
        while restored and restored[0][1] <= position:
            restored.popleft()
        if restored and restored[0][0] < position:
            restored[0] = position, restored[0][1]

    def _use_restored(self, offsets: Sequence[int]) -> list[int]:
        """Completes those of a delivered batch that were restored."""
        completed: list[int] = []
        high, last = 0, offsets[-1]
        for start, stop in self._restored:
            if start > last:
                break
            low = bisect_left(offsets, start, high)
            high = bisect_left(offsets, stop, low)
            completed += offsets[low:high]
        self._drop_restored(last + 1)
        for offset in completed:
            self.complete(offset)
        return completed

    def _completed(self) -> Ranges:
        """The completed ranges at or above the committable offset."""
        incomplete, highest, ahead = self._incomplete, self._highest, iter(self._incomplete)
        ranges: list[tuple[int, int]] = []
        before = index = -1
        while offsets := list(islice(ahead, _BLOCK)):
            last = offsets[-1]
            if last < highest and last - incomplete[last] == index + len(offsets):
                before, index = last, index + len(offsets)
                continue
            for offset in offsets:
                if offset > highest:
                    break
                at = offset - incomplete[offset]
                if before >= 0 and at > index + 1:
                    ranges.append((before + 1, offset))
                before, index = offset, at
            if last > highest:
                break
        if before >= 0:
            ranges.append((before + 1, highest + 1))
        restored = self._restored
        if ranges and restored and ranges[-1][1] == restored[0][0]:
            ranges[-1] = ranges[-1][0], restored[0][1]
            return (*ranges, *tuple(restored)[1:])
        return (*ranges, *restored)
