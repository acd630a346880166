"""Who is alive stays a member."""

from __future__ import annotations

from ..world.history import ErrorDelivered, LossDelivered
from .oracle import Oracle, Subscriptions

OVERTAKEN_SECONDS = 10.0


class Session(Oracle):
    """Slow handlers, long revokes and full queues must cost nobody the membership. Some faults may: see `causes`."""

    name = "session"
    promise = "G5"
    says = "no member loses its partitions but by a fault: heartbeats and polls go on, however slow handlers are"
    liveness = True

    def subscriptions(self) -> Subscriptions:
        return {LossDelivered: self._lost, ErrorDelivered: self._told}

    def _lost(self, event: LossDelivered) -> None:
        # A commit that met a rebalance may cost the assignment too: the client joins again.
        overtaken = self.truth.now - self.truth.process(event.process).overtaken < OVERTAKEN_SECONDS
        if event.partitions and not overtaken and self._without_cause(event.process):
            self.found(f"{event.process} has lost {', '.join(map(str, event.partitions))}, without a cause")

    def _told(self, event: ErrorDelivered) -> None:
        if event.code == "_MAX_POLL_EXCEEDED" and self._without_cause(event.process):
            self.found(f"{event.process} has not polled for longer than max.poll.interval.ms, without a cause")

    def _without_cause(self, process: str) -> bool:
        settled = self.truth.now > self.truth.healed + self.expected.settle_seconds
        return settled or not self.truth.causes.evicts(process)
