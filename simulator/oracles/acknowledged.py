"""What was acknowledged is held."""

from __future__ import annotations

from trio_consumer import Partition

from ..world.history import AssignmentDelivered, CommitAnswered, CommitApplied, PositionReset
from .oracle import Oracle, Subscriptions


class Acknowledged(Oracle):
    """Follows a commit from the consumer to the broker and back to the next owner.

    Reading takes time, so an owner may be told any value that was held since the partition was last given back in
    order, or since this process had it before.
    """

    name = "acknowledged"
    promise = "G1"
    anomaly = "lost-write"
    says = "an acknowledged commit was applied as it was asked for, and a new owner is told what is held"

    def subscriptions(self) -> Subscriptions:
        return {
            CommitApplied: self._applied,
            CommitAnswered: self._answered,
            AssignmentDelivered: self._assigned,
            PositionReset: self._reset,
        }

    def _applied(self, event: CommitApplied) -> None:
        if event.group != self.expected.group:
            return
        what = f"the broker took commit {event.number} of {event.process} for {event.partition}@{event.offset}"
        before = self.truth.log(event.partition).values[-2][0]
        if event.before != before:
            self.found(f"{what} in place of {event.before}, where {before} was held")
        if not event.number:
            return
        asked = self.truth.commits.get(event.number)
        if asked is None or event.partition not in asked.offsets:
            self.found(f"{what}, which nobody has asked for")
        elif asked.offsets[event.partition] != (event.offset, event.metadata):
            self.found(f"{what} {event.metadata!r}; asked for was {asked.offsets[event.partition]}")

    def _answered(self, event: CommitAnswered) -> None:
        asked = self.truth.commits.get(event.number)
        if event.error or asked is None:
            return
        for partition in asked.offsets:
            if partition not in asked.applied:
                self.found(f"commit {event.number} of {event.process} was acknowledged and not applied for {partition}")

    def _assigned(self, event: AssignmentDelivered) -> None:
        for partition in event.tenures:
            offset, metadata = event.committed.get(partition, (-1, ""))
            tenure = self.truth.tenure(event.process, partition)
            if offset < 0 or tenure is None:  # it could not be read, perhaps: what follows tells
                continue
            log = self.truth.log(partition)
            texts = [text for value, text in log.values[tenure.window :] if value == offset]
            if not texts or (metadata not in texts and not self._same(partition, offset, metadata, texts)):
                held = ", ".join(map(str, log.values[tenure.window :]))
                self.found(
                    f"{event.process} was told of {tenure}: {(offset, metadata)}; since then, or a little before, the "
                    f"broker held {held}"
                )

    def _same(self, partition: Partition, offset: int, metadata: str, texts: list[str]) -> bool:
        """Whether the difference is no matter: another tool's text, or bytes behind ours."""
        if self.truth.causes.fired("foreign-metadata", partition):
            return True
        ranges = self.truth.ranges(offset, metadata)
        return bool(ranges) and ranges in [self.truth.ranges(offset, text) for text in texts]

    def _reset(self, event: PositionReset) -> None:
        if event.before >= 0:
            return
        log, process = self.truth.log(event.partition), self.truth.process(event.process)
        tenure = process.holding.get(event.partition)
        window = process.windows.get(event.partition, 0) if tenure is None else tenure.window
        if all(value >= 0 for value, _ in log.values[window:]):
            self.found(
                f"{event.process} found no committed offset of {event.partition}; the broker held {log.held[0]}", ""
            )
