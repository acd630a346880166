"""One partition's log: what was appended, what is left of it, and how far consumers may read.

Follows the broker's ``UnifiedLog``, ``ProducerStateManager`` (transactions) and ``LeaderEpochFileCache`` (KIP-101,
KIP-320). Plain data: no time, no randomness, no history, nobody is told.

Invariants:

- ``start <= high_watermark <= end``, and ``start <= last_stable <= high_watermark``.
- Offsets of ``entries`` ascend, lie in ``[start, end)`` and may have holes: control entries are entries that no
  consumer is given, and what was compacted away is no entry any more. The last entry is never compacted away, as a
  broker never compacts its active segment.
- Only `truncate` takes back an offset that was given out; a leader epoch tells the two uses apart.

The log does not know who leads it, nor who waits for it: that is `replica`.
"""

from __future__ import annotations

from bisect import bisect_left

import attrs

from trio_consumer.record import Headers


@attrs.define
class Entry:
    """One entry, as a fetch brings it. Treat it as immutable; to enforce that costs more than all else here.

    Args:
        offset: Its index.
        key: Of a record; ``None`` if it has none.
        value: Of a record; ``None`` for a tombstone.
        headers: Of a record.
        timestamp: Milliseconds since the Unix epoch.
        control: True for the end marker of a transaction: no consumer is given it.
        aborted: True for a record of an aborted transaction: given under read_uncommitted only.
        leader_epoch: Of the leader that appended it.
    """

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers | None = None
    timestamp: int | None = None
    control: bool = False
    aborted: bool = False
    leader_epoch: int = 0


@attrs.define(eq=False)
class Span:
    """What one transaction has in one log.

    Args:
        offsets: Of its records.
        marker: Offset of its end marker; -1 until it ends.
        committed: How it ended; of no meaning before.
    """

    offsets: list[int] = attrs.field(factory=list)
    marker: int = -1
    committed: bool = False


class Log:
    """See the module.

    Attributes:
        entries: In order of their offsets.
        start: First offset that may be read.
        end: The offset of the next entry.
        high_watermark: One past the last entry that is replicated, so that consumers may see it.
        last_stable: The same under read_committed: no transaction below it is undecided.
        epochs: Leader epochs and the offset where each began, ascending.
    """

    __slots__ = ("_offsets", "_spans", "end", "entries", "epochs", "high_watermark", "last_stable", "start")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.start = 0
        self.end = 0
        self.high_watermark = 0
        self.last_stable = 0
        self.epochs: list[tuple[int, int]] = []
        self._offsets: list[int] = []  # of the entries: what bisect needs
        self._spans: list[Span] = []  # those with records left

    # Appending

    def begin_epoch(self, epoch: int) -> None:
        """A new leader appends from here on."""
        if self.epochs and self.epochs[-1][0] >= epoch:
            raise ValueError(f"leader epoch {epoch} does not come after {self.epochs[-1][0]}: epochs only grow")
        self.epochs.append((epoch, self.end))

    def append(
        self,
        key: bytes | None,
        value: bytes | None,
        headers: Headers | None = None,
        timestamp: int | None = None,
        span: Span | None = None,
    ) -> Entry:
        """A record; with a span, of an undecided transaction."""
        if span is not None:
            if not span.offsets:
                self._spans.append(span)
            span.offsets.append(self.end)
        return self._add(key, value, headers, timestamp, False)

    def decide(self, span: Span, committed: bool, timestamp: int | None = None) -> Entry:
        """A transaction ends: its marker, which is the last entry now."""
        if span.marker >= 0:
            raise ValueError(f"the transaction has ended already, by the marker at {span.marker}")
        span.committed = committed
        if not committed:
            for offset in span.offsets:
                place = bisect_left(self._offsets, offset)
                if place < len(self._offsets) and self._offsets[place] == offset:
                    self.entries[place] = attrs.evolve(self.entries[place], aborted=True)
        return self._mark(span, timestamp)

    def _mark(self, span: Span, timestamp: int | None) -> Entry:
        marker = self._add(None, None, None, timestamp, True)
        span.marker = marker.offset
        self._stabilise()
        return marker

    def _add(
        self, key: bytes | None, value: bytes | None, headers: Headers | None, timestamp: int | None, control: bool
    ) -> Entry:
        epoch = self.epochs[-1][0] if self.epochs else 0
        entry = Entry(self.end, key, value, headers, timestamp, control, False, epoch)
        self.entries.append(entry)
        self._offsets.append(self.end)
        self.end += 1
        return entry

    def replicate(self, offset: int) -> None:
        """Consumers may see what is below this offset. A new leader may at first know less than the one before."""
        if not self.start <= offset <= self.end:
            raise ValueError(f"high watermark {offset} is outside of the log: give {self.start} to {self.end}")
        self.high_watermark = offset
        self._stabilise()

    def _stabilise(self) -> None:
        stable = self.high_watermark
        for span in self._spans:
            # A decided one holds readers up until its marker is replicated too.
            if (span.marker < 0 or span.marker >= self.high_watermark) and span.offsets[0] < stable:
                stable = span.offsets[0]
        self.last_stable = max(stable, self.start)

    # Reading

    def limit(self, read_committed: bool) -> int:
        """Consumers may see what is below."""
        return self.last_stable if read_committed else self.high_watermark

    def read(self, offset: int, limit: int, count: int) -> tuple[Entry, ...]:
        """At most so many entries from this offset on and below the limit."""
        offsets = self._offsets
        first = bisect_left(offsets, offset)
        last = bisect_left(offsets, limit, first)
        return tuple(self.entries[first : min(last, first + count)])

    def holds(self, offset: int, limit: int) -> bool:
        """Whether there is an entry from this offset on and below the limit."""
        place = bisect_left(self._offsets, offset)
        return place < len(self._offsets) and self._offsets[place] < limit

    def visible(self, read_committed: bool) -> list[Entry]:
        """The records that a consumer may be given now."""
        last = bisect_left(self._offsets, self.limit(read_committed))
        return [entry for entry in self.entries[:last] if not entry.control and not (read_committed and entry.aborted)]

    def end_of_epoch(self, epoch: int) -> tuple[int, int]:
        """OffsetForLeaderEpoch: the largest epoch up to this one, and the offset where it ended.

        -1 and -1 if this epoch is unknown here.
        """
        if not self.epochs or epoch < 0 or epoch > self.epochs[-1][0]:
            return -1, -1
        if epoch == self.epochs[-1][0]:
            return epoch, self.end
        floor = epoch
        for known, began in self.epochs:
            if known > epoch:
                return floor, began
            floor = known
        raise LookupError(f"leader epoch {epoch}")  # the last one is larger

    def epoch_at(self, offset: int) -> int:
        """The leader epoch of this offset; -1 if there was no leader yet."""
        found = -1
        for epoch, began in self.epochs:
            if began > offset:
                break
            found = epoch
        return found

    # Losing

    def trim(self, start: int) -> None:
        """Retention or DeleteRecords: what is below is gone."""
        if not self.start <= start <= self.high_watermark:
            raise ValueError(f"log start {start}: give {self.start} to {self.high_watermark}, the high watermark")
        gone = bisect_left(self._offsets, start)
        del self.entries[:gone], self._offsets[:gone]
        self.start = start
        self._forget_spans()

    def truncate(self, end: int, epoch: int) -> list[Entry]:
        """Unclean leader election: what is above is gone, and its offsets are given out again, in this leader epoch.

        The transaction coordinator writes its markers to the new leader too: transactions that had ended, and of which
        records are left, end again in the same way.

        Returns:
            These markers.
        """
        if not self.start <= end <= self.end:
            raise ValueError(f"log end {end}: give {self.start} to {self.end}")
        kept = bisect_left(self._offsets, end)
        del self.entries[kept:], self._offsets[kept:]
        self.end = end
        self.epochs = [(epoch, began) for epoch, began in self.epochs if began < end]
        self.high_watermark = min(self.high_watermark, end)
        self.begin_epoch(epoch)
        self._forget_spans()
        return [self._mark(span, None) for span in self._spans if span.marker >= end]

    def _forget_spans(self) -> None:
        for span in self._spans:
            # In place: an open transaction still holds its span.
            span.offsets[:] = [offset for offset in span.offsets if self.start <= offset < self.end]
        self._spans = [span for span in self._spans if span.offsets]
        self._stabilise()

    def compact(self, *, horizon: bool = False) -> tuple[int, ...]:
        """Leave the last record of each key, and all records without a key; drop what was aborted.

        Only what is decided and replicated takes part, and the last entry never.

        Args:
            horizon: True if the delete horizon is over: tombstones and markers without records go too.

        Returns:
            Offsets of what is gone.
        """
        clean = min(bisect_left(self._offsets, self.last_stable), len(self.entries) - 1)
        last: dict[bytes, int] = {}
        for entry in self.entries[: max(0, clean)]:
            if entry.key is not None and not entry.control and not entry.aborted:
                last[entry.key] = entry.offset
        kept = {span.marker for span in self._spans if span.committed}
        removed = [
            entry.offset
            for entry in self.entries[: max(0, clean)]
            if entry.aborted
            or (entry.control and horizon and entry.offset not in kept)
            or (entry.key is not None and last.get(entry.key) != entry.offset)
            or (entry.key is not None and entry.value is None and horizon)
        ]
        if removed:
            gone = frozenset(removed)
            self.entries = [entry for entry in self.entries if entry.offset not in gone]
            self._offsets = [entry.offset for entry in self.entries]
        return tuple(removed)
