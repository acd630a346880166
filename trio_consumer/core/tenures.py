"""A tenure: one partition from its assignment to its revoke or loss.

All state of a partition is keyed by its tenure, so that a stale outcome can neither complete nor block a fresh record.

==========  ====================  =====================================  ================
state       handlers may start    outcomes count towards a commit        left by
==========  ====================  =====================================  ================
`ACTIVE`    yes, if `Tenure.open` yes                                    revoke, loss
`CLOSING`   no                    yes, until the snapshot of the revoke  end, loss
`ENDED`     no                    no                                     never
==========  ====================  =====================================  ================

Counts are derived from the sets they count, so none can drift: what is queued is what is incomplete, less what runs and
what is being retried.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Hashable, Iterator
from typing import Protocol

from ..client.port import Commit
from ..record import Partition, Record
from .lanes import Lane
from .ledger import Ledger


class TenureState(enum.Enum):
    ACTIVE = "active"
    CLOSING = "closing"
    ENDED = "ended"


class Run(Protocol):
    """What a worker does: the core writes down what it runs, and may cancel it.

    Attributes:
        tenure: The tenure of its records, once it has begun.
        key: The key of the lane that it has taken.
        record: The record whose handler runs, if one does.
        resolved: How many records it has resolved so far, and are not in `Core.handled` yet.
    """

    tenure: Tenure
    key: Hashable
    record: Record | None
    resolved: int

    def cancel(self) -> None: ...


class Tenure:
    """See the module. A plain record of state; `Core` changes it.

    Attributes:
        number: Grows with every assignment; tells a stale outcome from a fresh one.
        open: True if handlers may start: active, not held by a hook, not paused by the user, consumer not stopping.
        held: True until the start hook has returned.
        fresh: Fetched records whose turn has not come yet, in order.
        ready: A heap of the lanes that are ready, each by the offset of its head.
        lanes: By ordering key: the lane where records wait, else the run that has it, but for `Core.active`.
        runs: The runs in progress.
        retrying: Lanes whose head waits for its next attempt.
        arrivals: Last offset and time of the fetched batches that are not fully committable.
        committed: Committed offset that the broker has acknowledged, or held when the tenure began.
        acknowledged: The commit that the broker is known to hold now; ``None`` if nothing is known.
        dirty: True if something changed since the last commit was planned.
        throttled: True while a limit stops the intake.
        broken: Records whose lane function raised, by offset; each attempt fails with the exception.
    """

    __slots__ = (
        "acknowledged",
        "arrivals",
        "broken",
        "committed",
        "dirty",
        "end",
        "fresh",
        "held",
        "lanes",
        "largest",
        "ledger",
        "listed",
        "map_characters",
        "number",
        "open",
        "partition",
        "ready",
        "retrying",
        "runs",
        "started",
        "state",
        "throttled",
    )

    def __init__(self, partition: Partition, number: int, ledger: Ledger) -> None:
        self.partition = partition
        self.number = number
        self.ledger = ledger
        self.state = TenureState.ACTIVE
        self.open = False
        self.held = False
        self.started = False
        self.lanes: dict[Hashable, Lane | Run] = {}
        self.fresh: deque[Record] = deque()
        self.ready: list[tuple[int, Lane]] = []
        self.listed = False
        self.runs: dict[Run, None] = {}  # insertion order, so that cancelling is reproducible
        self.retrying: dict[Lane, None] = {}
        self.broken: dict[int, Exception] = {}
        self.arrivals: deque[tuple[int, float]] = deque()
        self.largest = 0
        self.end: int | None = None
        self.committed: int | None = None
        self.acknowledged: Commit | None = None
        self.dirty = False
        self.throttled = False
        self.map_characters = 0

    @property
    def in_flight(self) -> int:
        return len(self.runs)

    @property
    def queued(self) -> int:
        return self.ledger.incomplete_count - len(self.runs) - len(self.retrying)

    def queued_bytes(self) -> int:
        """Bytes of keys and values that wait for a handler, exactly; costs a walk over them."""
        waiting = sum(size_of(record) for lane in self.waiting_lanes() for record in lane.records)
        return sum(map(size_of, self.fresh)) + waiting - self.parked_bytes()

    def waiting_lanes(self) -> Iterator[Lane]:
        """The lanes that records wait in, those that wait for their next attempt too."""
        return (lane for lane in self.lanes.values() if isinstance(lane, Lane))

    def parked_bytes(self) -> int:
        """Bytes of keys and values that wait for their next attempt."""
        return sum(size_of(lane.records[0]) for lane in self.retrying)

    def __repr__(self) -> str:
        return f"<Tenure {self.partition} #{self.number} {self.state.value}>"


def size_of(record: Record) -> int:
    """Bytes of a fetched record's key and value."""
    return len(record.key or b"") + len(record.value or b"")
