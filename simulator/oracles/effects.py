"""Effects come before commits."""

from __future__ import annotations

from trio_consumer import Partition

from ..world.history import CommitApplied, DeadLettered, EffectApplied
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
        self._covered: dict[Partition, int] = {}

    def subscriptions(self) -> Subscriptions:
        if not self.expected.effects:
            return {}
        return {
            EffectApplied: self._applied,
            DeadLettered: self._applied,
            CommitApplied: self._committed,
        }

    def _applied(self, event: EffectApplied | DeadLettered) -> None:
        there = self._there.get(event.partition)
        if there is None:
            there = self._there[event.partition] = set()
        there.add(event.offset)

    def _committed(self, event: CommitApplied) -> None:
        if event.group != self.expected.group:
            return
        partition, log = event.partition, self.truth.log(event.partition)
        covered = self._covered.get(partition, log.start)
        there = self._there.get(partition, ())
        for offset in range(covered, event.offset):
            if offset in log.succeeded and offset not in there:
                self.found(
                    f"commit {event.number} of {event.process} covers {partition}@{offset}, whose handler succeeded "
                    "without an effect"
                )
        self._covered[partition] = max(covered, event.offset)
