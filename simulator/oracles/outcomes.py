"""A failure is not a success, and neither is a cancellation."""

from __future__ import annotations

from ..world.history import CommitAsked
from .oracle import Oracle, Subscriptions


class Outcomes(Oracle):
    """Names the outcome that was misread, where `commit` and `offset-map` only see that something is not resolved."""

    name = "outcomes"
    promise = "G1"
    anomaly = "lost-write"
    says = "an attempt that raised or was cancelled is never taken for a success"

    def subscriptions(self) -> Subscriptions:
        return {CommitAsked: self._asked}

    def _asked(self, event: CommitAsked) -> None:
        for partition, tenure in self.truth.commits[event.number].tenures.items():
            if tenure is None or not tenure.bad:
                continue
            offset, metadata = event.offsets[partition]
            ranges = self.truth.ranges(offset, metadata) or ()
            for one, outcome in tenure.bad.items():
                if one < offset or any(start <= one < stop for start, stop in ranges):
                    self.found(f"commit {event.number} of {event.process} covers {partition}@{one}, which {outcome}")
