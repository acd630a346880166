"""The demo's judge: what was produced, what handlers did with it, and whether that keeps the promise.

It is told of each produced record, each begin and end of a handler, each tenure and each look at what the broker holds
as committed, in the order in which they happened, and decides at once:

- **lost**: produced and never handled. A run that was cancelled does not count.
- **repeated**: a handler succeeded with a record that had been handled before. At least once allows it.
- **out of order**: a handler began while another of its lane ran, or before an earlier record of its lane was ever
  handled, or with a record that its tenure had already begun or passed. A new tenure may go back: replaying a prefix of
  what was handled is a repeat, never a violation of order. A handler is counted once, whatever it broke.
- **unfenced**: a handler began on a member that did not hold the partition: before its tenure began or after it ended.
- **altered**: a handler saw a record that was not produced with that content at that offset.
- **committed early**: the broker holds as complete what no handler had completed by then. Counted once for each record.
- **uncommitted**: at the end, records between the committed offset and the log end.

Lanes: the key with `Order.KEY`, the partition with `Order.PARTITION`; with `Order.UNORDERED` each record is its own. A
record's place in its lane follows from the log alone, so nothing that the consumer says is believed. It must be told by
one thread. It does not know time, Trio or Kafka.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence

import attrs

from ..config import Order
from ..record import Partition, Record

EXAMPLES_MAX = 10
"""How many violations are kept word for word; the rest are counted."""


@attrs.define(eq=False)
class _Lane:
    """Records by their place in the lane: 0, 1, 2, ..."""

    length: int = 0
    running: int = 0
    handled_prefix: int = 0
    handled_ahead: set[int] = attrs.field(factory=set)
    tenure: Hashable = None
    begun_last: int = -1

    def handled(self, place: int) -> None:
        self.handled_ahead.add(place)
        while self.handled_prefix in self.handled_ahead:
            self.handled_ahead.remove(self.handled_prefix)
            self.handled_prefix += 1


@attrs.define(eq=False)
class _Entry:
    """One record of the log."""

    key: bytes
    value: bytes
    lane: _Lane
    place: int
    handled: bool = False


@attrs.frozen(eq=False)
class Run:
    """A handler that has begun and not ended."""

    entry: _Entry | None


@attrs.frozen
class Held:
    """What the broker holds for one partition of the group, as it was read.

    Args:
        committed: The committed offset; ``None`` if there is none.
        complete: The offset map: stretches of completed offsets above it.
        end: The log end.
    """

    committed: int | None
    complete: Sequence[range]
    end: int


@attrs.frozen(kw_only=True)
class Verdict:
    """What `History.verdict` found. The fields are described in this module's docstring.

    Args:
        handled: Distinct records that a handler succeeded with at least once: a repeat does not count again.
        cancelled: Runs that a revoke cancelled; their records ran again.
        tenures: How often a partition was assigned to a member.
        audits: How often the broker's committed offsets were compared with what was handled.
    """

    produced: int
    handled: int
    lost: int
    repeated: int
    out_of_order: int
    unfenced: int
    altered: int
    committed_early: int
    uncommitted: int
    cancelled: int
    tenures: int
    audits: int

    @property
    def kept(self) -> bool:
        """True if the promise was kept. Repeats do not break it."""
        broken = self.lost, self.out_of_order, self.unfenced, self.altered, self.committed_early, self.uncommitted
        return not any(broken)


class History:
    """Everything that happened in one run of the demo."""

    def __init__(self, order: Order = Order.KEY) -> None:
        self._order = order
        self._log: dict[Partition, dict[int, _Entry]] = defaultdict(dict)
        self._lanes: dict[Hashable, _Lane] = defaultdict(_Lane)
        self._tenures: dict[tuple[str, Partition], int] = {}
        self._audited: dict[Partition, int] = defaultdict(int)
        self._early: set[tuple[Partition, int]] = set()
        self._uncommitted: dict[Partition, int] = {}
        self.produced_count = 0
        self.handled_count = 0
        self.handled_by: dict[str, int] = defaultdict(int)
        self.repeated = 0
        self.out_of_order = 0
        self.unfenced = 0
        self.altered = 0
        self.cancelled = 0
        self.tenures = 0
        self.audits = 0
        self.examples: list[str] = []

    @property
    def committed_early(self) -> int:
        return len(self._early)

    def produced(self, record: Record) -> None:
        """The broker acknowledged this record. To be told in offset order within a partition."""
        partition = Partition(record.topic, record.partition)
        if self._order is Order.UNORDERED:
            lane = _Lane()
        else:
            lane = self._lanes[partition, record.key if self._order is Order.KEY else None]
        self._log[partition][record.offset] = _Entry(record.key, record.value, lane, lane.length)
        lane.length += 1
        self.produced_count += 1

    def assigned(self, member: str, partition: Partition) -> None:
        """A tenure begins."""
        self.tenures += 1
        self._tenures[member, partition] = self.tenures

    def released(self, member: str, partition: Partition) -> None:
        """A tenure has ended, and all of its handlers."""
        self._tenures.pop((member, partition), None)

    def began(self, member: str, record: Record) -> Run:
        """A handler begins."""
        partition = Partition(record.topic, record.partition)
        entry, tenure = self._log[partition].get(record.offset), self._tenures.get((member, partition))
        name = f"{partition}@{record.offset} on member {member}"
        if tenure is None:
            self.unfenced += 1
            self._note(f"unfenced: {name} began outside a tenure")
        if entry is None or (entry.key, entry.value) != (record.key, record.value):
            self.altered += 1
            self._note(f"altered: {name} is not what was produced there")
            return Run(None)
        broken = _broken_order(entry, tenure)
        if broken:
            self.out_of_order += 1
            self._note(f"out of order: {name} began {' and '.join(broken)}")
        entry.lane.running += 1
        entry.lane.tenure, entry.lane.begun_last = tenure, entry.place
        return Run(entry)

    def succeeded(self, member: str, run: Run) -> None:
        """The handler returned."""
        entry = run.entry
        if entry is None:
            return
        entry.lane.running -= 1
        if entry.handled:
            self.repeated += 1
            return
        entry.handled = True
        entry.lane.handled(entry.place)
        self.handled_count += 1
        self.handled_by[member] += 1

    def was_cancelled(self, run: Run) -> None:
        """The handler ended without having handled the record."""
        if run.entry is not None:
            run.entry.lane.running -= 1
        self.cancelled += 1

    def audit(self, held: Mapping[Partition, Held]) -> None:
        """The broker held this as committed. To be told after it was read: what was complete then is complete now."""
        self.audits += 1
        for partition, now in held.items():
            committed, log = now.committed or 0, self._log[partition]
            # What an earlier audit found complete stays complete: only what is new is looked at.
            below = range(self._audited[partition], committed)
            self._audited[partition] = max(self._audited[partition], committed)
            for offset in (offset for stretch in (below, *now.complete) for offset in stretch):
                entry = log.get(offset)
                if (entry is None or not entry.handled) and (partition, offset) not in self._early:
                    self._early.add((partition, offset))
                    self._note(f"committed early: {partition}@{offset} was committed and had not been handled")
            self._uncommitted[partition] = now.end - committed

    def verdict(self) -> Verdict:
        """The judgement on what was told so far."""
        return Verdict(
            produced=self.produced_count,
            handled=self.handled_count,
            lost=self.produced_count - self.handled_count,
            repeated=self.repeated,
            out_of_order=self.out_of_order,
            unfenced=self.unfenced,
            altered=self.altered,
            committed_early=self.committed_early,
            uncommitted=sum(self._uncommitted.get(p, max(log) + 1) for p, log in self._log.items() if log),
            cancelled=self.cancelled,
            tenures=self.tenures,
            audits=self.audits,
        )

    def lost(self) -> list[tuple[Partition, int]]:
        """The coordinates of what was never handled."""
        return [(p, offset) for p, log in self._log.items() for offset, entry in log.items() if not entry.handled]

    def _note(self, text: str) -> None:
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(text)


def _broken_order(entry: _Entry, tenure: Hashable) -> list[str]:
    lane, broken = entry.lane, []
    if lane.running:
        broken.append("while another handler of its lane ran")
    if entry.place > lane.handled_prefix:
        broken.append("before an earlier record of its lane was handled")
    if lane.tenure == tenure and entry.place <= lane.begun_last:
        broken.append("again, or after a later one of its lane, within one tenure")
    return broken
