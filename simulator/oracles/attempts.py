"""Attempts are counted."""

from __future__ import annotations

from ..world.history import HandlerStarted
from .oracle import Oracle, Subscriptions


class Attempts(Oracle):
    """Counts failures itself. A cancelled attempt is none of them."""

    name = "attempts"
    promise = "G4"
    says = "within a tenure a record is tried again only after a failure, as often as it may be, and told which attempt it is"

    def subscriptions(self) -> Subscriptions:
        return {HandlerStarted: self._started}

    def _started(self, event: HandlerStarted) -> None:
        tenure = self.truth.tenure(event.process, event.partition)
        if tenure is None:
            return
        attempt = tenure.failures.get(event.offset, 0) + 1
        most = self.expected.attempts
        what = f"{event.process} starts {event.partition}@{event.offset}"
        if most is not None and attempt > most:
            self.found(f"{what} for the {attempt}th time; {most} attempts are allowed")
        elif event.attempt != attempt:
            self.found(f"{what} as attempt {event.attempt}; it is attempt {attempt}")
