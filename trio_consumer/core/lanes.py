"""Lanes: which record may run next.

A lane is the FIFO of one tenure's records that share an ordering key. A serial lane has at most one record in flight; a
loose lane (records without order) any number. The lane keeps a serial record at its head until it is resolved, so that
a retry, a pause or a cancellation cannot reorder it; a loose record leaves the lane when it is claimed.

A lane is *ready* when a worker may take it. Each tenure holds its ready lanes in a heap by the offset of the head, so
its oldest head comes first, which is the blocking lane whenever that one is ready. The `Scheduler` takes one lane of
each tenure in turn.

Bound: while a tenure has ready lanes, no other has two turns between two of its own, and each turn takes its oldest
head. So of P tenures with ready lanes each has one pick in P: a ready blocking lane waits for P picks at most, another
one for P more with each pick of an older head. A pick is held for at most `RUN_RECORDS_MAX` records.

This module knows nothing of attempts, commits or time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..record import Record
    from .tenures import Tenure

RUN_RECORDS_MAX = 16
"""Records of one lane that a worker handles before it looks for another lane."""


class Lane:
    """One FIFO. Created when its first record comes, forgotten when it is empty.

    Attributes:
        key: The ordering key within the partition.
        serial: False for records without order.
        records: Serial: from the one in flight on. Loose: those not yet claimed.
        ready: True while the lane is in its tenure's heap.
        running: True while a worker has this serial lane, or while one of an earlier tenure still runs the same key.
        retrying: True from a failed attempt of the head until its next attempt starts.
    """

    __slots__ = ("key", "ready", "records", "retrying", "running", "serial", "tenure")

    def __init__(self, key: Hashable, tenure: Tenure, *, serial: bool, records: Iterable[Record] = ()) -> None:
        self.key = key
        self.tenure = tenure
        self.serial = serial
        # A list is a sixth of a deque's size, which counts with a lane per record; runs take from its front in slices.
        self.records: list[Record] | deque[Record] = list(records) if serial else deque(records)
        self.ready = False
        self.running = False
        self.retrying = False

    def __lt__(self, other: Lane) -> bool:
        """Heads differ, unless a loose lane is still listed by a record that has come back in a lane of its own."""
        return self.serial

    def claim(self) -> Iterable[Record]:
        """The records of one run, to be handled one after the other. Loose ones are claimed as they are reached."""
        if isinstance(self.records, list):
            return self.records[:RUN_RECORDS_MAX]
        return _pop_each(self.records)


def _pop_each(records: deque[Record]) -> Iterator[Record]:
    for _ in range(RUN_RECORDS_MAX):
        if not records:
            return
        yield records.popleft()


class Scheduler:
    """The tenures that have ready lanes, in turn."""

    __slots__ = ("ring",)

    def __init__(self) -> None:
        self.ring: deque[Tenure] = deque()

    def offer(self, lane: Lane) -> None:
        """Make a lane ready unless it is, is running, or has nothing to run."""
        if lane.ready or lane.running or not lane.records:
            return
        lane.ready = True
        tenure = lane.tenure
        heappush(tenure.ready, (lane.records[0].offset, lane))
        if not tenure.listed:
            self.list(tenure)

    def list(self, tenure: Tenure) -> None:
        """Give the tenure its turns, if it is open and has ready lanes. Call it after it was opened."""
        if tenure.open and tenure.ready and not tenure.listed:
            tenure.listed = True
            self.ring.append(tenure)

    def runs_ready(self) -> int:
        """How many workers could start a run now, at most: one for each serial lane, one for each loose record."""
        count = 0
        for tenure in self.ring:
            count += len(tenure.ready)
            loose = tenure.lanes.get(None)
            if loose is not None and not loose.serial:
                count += len(loose.records)
        return count

    def take(self) -> Lane | None:
        """The lane whose turn it is, no longer ready unless it is loose and has more; ``None`` if there is none."""
        ring = self.ring
        while ring:
            tenure = ring[0]
            if not tenure.open or not tenure.ready:
                ring.popleft()
                tenure.listed = False
                continue
            offset, lane = heappop(tenure.ready)
            lane.ready = False
            records = lane.records
            if lane.serial:
                lane.running = True
            elif not records or records[0].offset != offset:
                self.offer(lane)  # other runs have claimed the record that it was listed by
                continue
            elif len(records) > 1:
                lane.ready = True
                heappush(tenure.ready, (records[1].offset, lane))
            if not tenure.ready:
                ring.popleft()
                tenure.listed = False
            elif len(ring) > 1:
                ring.rotate(-1)
            return lane
        return None
