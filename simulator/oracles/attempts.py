"""Attempts are counted."""

from __future__ import annotations

from ..world.history import HandlerStarted
from .logs import INFINITY
from .oracle import OddStart, Oracle, Subscriptions


class Attempts(Oracle):
    """Counts failures itself. A cancelled attempt is none of them."""

    name = "attempts"
    promise = "G4"
    says = "within a tenure a record is tried as often as it may be, and told rightly which attempt it is"

    def subscriptions(self) -> Subscriptions:
        return {OddStart: self._started}

    def _started(self, event: HandlerStarted) -> None:
        tenure = self.truth.started.tenure
        if tenure is None or event.offset < tenure.low < INFINITY:
            return  # it may have been tried before the tenure started over
        attempt = tenure.failures.get(event.offset, 0) + 1
        most = self.expected.attempts
        what = f"{event.process} starts {event.partition}@{event.offset}"
        if most is not None and attempt > most:
            self.found(f"{what} for the {attempt}th time; {most} attempts are allowed")
        elif event.attempt != attempt:
            self.found(f"{what} as attempt {event.attempt}; it is attempt {attempt}")
