"""Nothing outlives its consumer."""

from __future__ import annotations

from typing import Any

from ..world.history import CommitAsked, EffectApplied, HandlerEnded, HandlerStarted, ProcessEnded, RecordsDelivered
from .oracle import Oracle, Stray, Subscriptions

ACTS = (HandlerStarted, HandlerEnded, EffectApplied, CommitAsked, RecordsDelivered)


class Orphans(Oracle):
    """Of a killed process nothing is told any more, so this is about those that end by themselves."""

    name = "orphans"
    promise = "G5"
    says = "when a consumer has ended, none of its handlers runs, and nothing happens in its name any more"

    def subscriptions(self) -> Subscriptions:
        return {ProcessEnded: self._ended, Stray: self._acted}

    def _ended(self, event: ProcessEnded) -> None:
        running = self.truth.process(event.process).running
        if running:
            self.found(f"{event.process} has ended while handlers run: {', '.join(map(str, running.values()))}")

    def _acted(self, event: Any) -> None:
        if isinstance(event, ACTS):
            when = "after the end of the world" if self.truth.phase == "end" else "after its end"
            self.found(f"{type(event).__name__} of {event.process} {when}")
