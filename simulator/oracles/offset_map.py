"""The offset map tells the truth."""

from __future__ import annotations

from trio_consumer import Partition

from ..world.history import CommitApplied, CommitAsked
from .oracle import Oracle, Subscriptions
from .pending import Ranges
from .tenures import Tenure


class OffsetMap(Oracle):
    """As `commit`, for what the metadata says: against the tenure when asked, against the log when applied."""

    name = "offset-map"
    promise = "G1"
    anomaly = "lost-write"
    says = "the offset map in a commit can be read back, and names only what was handled, dead-lettered or skipped"

    def subscriptions(self) -> Subscriptions:
        return {CommitAsked: self._asked, CommitApplied: self._applied}

    def _asked(self, event: CommitAsked) -> None:
        for partition, tenure in self.truth.commits[event.number].tenures.items():
            offset, metadata = event.offsets[partition]
            if not metadata:
                continue
            what = f"the map in commit {event.number} of {event.process} for {partition}@{offset}"
            ranges = self.truth.ranges(offset, metadata)
            if ranges is None:
                self.found(f"{what} can't be read back: {metadata!r}")
            elif tenure is not None:
                self._compare(tenure, ranges, what)

    def _compare(self, tenure: Tenure, ranges: Ranges, what: str) -> None:
        wrong = tenure.incomplete.first_within(ranges)
        wrong = tenure.older.first_within(ranges) if wrong is None else wrong
        if wrong is not None:
            self.found(f"{what} says that {wrong} is complete, which it is not")
            return
        known, believed = tenure.known or 0, tenure.restored or tenure.doubted
        for start, stop in ranges:
            beyond = max(start, known)
            if beyond < stop and not any(first <= beyond and stop <= last for first, last in believed):
                self.found(f"{what} says that {beyond} is complete, which was never delivered in {tenure}")
                return

    def _applied(self, event: CommitApplied) -> None:
        if not event.metadata or not event.number or event.group != self.expected.group:
            return
        ranges = self.truth.ranges(event.offset, event.metadata)
        if ranges:
            self._look(event.partition, ranges, f"commit {event.number} of {event.process}")

    def _look(self, partition: Partition, ranges: Ranges, what: str) -> None:
        wrong = self.truth.log(partition).pending.first_within(ranges)
        if wrong is not None:
            self.found(f"the map in {what} says that {partition}@{wrong} is complete, which nobody has handled")
