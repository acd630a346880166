"""Effects come before commits."""

from __future__ import annotations

from trio_consumer import Partition

from ..world.history import CommitApplied, DeadLettered, EffectApplied, HandlerEnded
from .oracle import Oracle, Subscriptions


class Effects(Oracle):
    """For handlers that tell of their effects. Transactions of outputs and offsets are not modelled."""

    name = "effects"
    promise = "G1"
    anomaly = "lost-write"
    says = "a commit covers a record only after its effect was applied, the dead-letter topic has it, or it was skipped"

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._there: dict[Partition, set[int]] = {}
        self._missing: dict[Partition, set[int]] = {}

    def subscriptions(self) -> Subscriptions:
        if not self.expected.effects:
            return {}
        return {
            EffectApplied: self._applied,
            DeadLettered: self._applied,
            HandlerEnded: self._ended,
            CommitApplied: self._committed,
        }

    def _applied(self, event: EffectApplied | DeadLettered) -> None:
        self._there.setdefault(event.partition, set()).add(event.offset)
        missing = self._missing.get(event.partition)
        if missing:
            missing.discard(event.offset)

    def _ended(self, event: HandlerEnded) -> None:
        if event.outcome == "succeeded" and event.offset not in self._there.get(event.partition, ()):
            self._missing.setdefault(event.partition, set()).add(event.offset)

    def _committed(self, event: CommitApplied) -> None:
        missing = self._missing.get(event.partition)
        if missing and event.group == self.expected.group and (first := min(missing)) < event.offset:
            self.found(
                f"commit {event.number} of {event.process} covers {event.partition}@{first}, whose handler succeeded "
                "without an effect"
            )
            missing.discard(first)
