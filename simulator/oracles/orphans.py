"""Nothing outlives its consumer."""

from __future__ import annotations

from ..world.history import CommitAsked, EffectApplied, HandlerEnded, HandlerStarted, ProcessEnded, RecordsDelivered
from .oracle import Oracle, Subscriptions


class Orphans(Oracle):
    """Of a killed process nothing is told any more, so this is about those that end by themselves."""

    name = "orphans"
    promise = "G5"
    says = "when a consumer has ended, none of its handlers runs, and nothing happens in its name any more"

    def subscriptions(self) -> Subscriptions:
        act = self._acted
        return {
            ProcessEnded: self._ended,
            HandlerStarted: act,
            HandlerEnded: act,
            EffectApplied: act,
            CommitAsked: act,
            RecordsDelivered: act,
        }

    def _ended(self, event: ProcessEnded) -> None:
        running = self.truth.process(event.process).running
        if running:
            self.found(f"{event.process} has ended while handlers run: {', '.join(map(str, running.values()))}")

    def _acted(self, event: HandlerStarted | HandlerEnded | EffectApplied | CommitAsked | RecordsDelivered) -> None:
        if self.truth.phase == "end":
            self.found(f"{type(event).__name__} of {event.process} after the end of the world")
        elif self.truth.process(event.process).ended:
            self.found(f"{type(event).__name__} of {event.process}, which has ended")
