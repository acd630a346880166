"""Lanes: which record may run next.

A lane is the FIFO of one tenure's records that share an ordering key; at most one of them is in flight. What has been
fetched waits in one queue, `Tenure.fresh`, and the lane of a record is looked at when its turn comes. If the lane is
free, a mark of who runs it is all that is kept: with keys that seldom meet, no queue for each of them is built. Only
records that have to wait for another one get a `Lane`.

A lane is *ready* when a worker may take it: it is in its tenure's heap then, by the offset of its head. A tenure's next
record is the older one of that heap's and of the fresh ones, so its oldest head comes first, which is the blocking
record whenever that one is ready. The `Scheduler` gives the tenures their turns.

Bound: while a tenure has something ready, no other has two turns between two of its own, and each turn takes its oldest
head. So of P such tenures each has one pick in P: a ready blocking record waits for P picks at most, another one for P
more with each pick of an older head. A pick is held for at most `RUN_RECORDS_MAX` records, and `RUN_WAITS_MAX` of them
whose handlers wait.

This module knows nothing of attempts, commits or time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..record import Record
    from .tenures import Tenure

RUN_RECORDS_MAX = 32
"""Records that a worker handles before it looks for the oldest head again."""
RUN_WAITS_MAX = 4
"""The same for records whose handlers waited, and other tenures too: such a run may last."""


class Lane:
    """Records that wait for each other. Forgotten when it is empty.

    Attributes:
        key: The ordering key within the partition; of a record without order, the record itself.
        records: Those that wait, the one in flight not among them.
        ready: True while the lane is in its tenure's heap.
        running: True while a worker has the lane, while its head waits for its next attempt, or while a handler of an
            earlier tenure still runs the same key.
    """

    __slots__ = ("key", "ready", "records", "running", "tenure")

    def __init__(self, key: Hashable, tenure: Tenure, records: Iterable[Record] = ()) -> None:
        self.key = key
        self.tenure = tenure
        self.records = deque(records)
        self.ready = False
        self.running = False


class Scheduler:
    """The tenures that have something ready, in turn."""

    __slots__ = ("ring",)

    def __init__(self) -> None:
        self.ring: deque[Tenure] = deque()

    def offer(self, lane: Lane) -> None:
        """Make a lane ready unless it is, is running, or has nothing to run."""
        if lane.ready or lane.running or not lane.records:
            return
        lane.ready = True
        heappush(lane.tenure.ready, (lane.records[0].offset, lane))
        self.list(lane.tenure)

    def list(self, tenure: Tenure) -> None:
        """Give the tenure its turns, if it is open and has something ready. Call it after one of the two has begun."""
        if tenure.open and not tenure.listed and (tenure.fresh or tenure.ready):
            tenure.listed = True
            self.ring.append(tenure)

    def runs_ready(self, limit: int) -> int:
        """How many workers could start a run now, at most. Stops counting at the limit."""
        count = 0
        for tenure in self.ring:
            count += len(tenure.fresh) + len(tenure.ready)
            if count >= limit:
                return limit
        return count

    def turn(self) -> Tenure | None:
        """The tenure whose turn it is, with something ready; ``None`` if no tenure has that."""
        ring = self.ring
        while ring:
            tenure = ring[0]
            if tenure.open and (tenure.fresh or tenure.ready):
                if len(ring) > 1:
                    ring.rotate(-1)
                return tenure
            ring.popleft()
            tenure.listed = False
        return None

    def pick(self, tenure: Tenure) -> Lane | None:
        """Take the tenure's ready lane that has its oldest head; ``None`` if a fresh record is the oldest one."""
        fresh, ready = tenure.fresh, tenure.ready
        if not ready or (fresh and fresh[0].offset < ready[0][0]):
            return None
        lane = heappop(ready)[1]
        lane.ready = False
        lane.running = True
        tenure.retrying.pop(lane, None)
        return lane
