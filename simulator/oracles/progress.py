"""When the faults stop, everything gets done."""

from __future__ import annotations

from .logs import Log
from .oracle import Oracle, Subscriptions


class Progress(Oracle):
    """Judged at the end of the world. What nobody can be given any more is not missed."""

    name = "progress"
    promise = "G5"
    anomaly = "unseen"
    says = "when the faults have stopped, every record is handled and every offset committed, in bounded time"
    liveness = True

    def subscriptions(self) -> Subscriptions:
        return {}

    def finish(self) -> None:
        if self.truth.phase != "end":
            return
        for partition, log in self.truth.logs.items():
            if self.truth.exists(partition):
                self._judge(log)

    def _judge(self, log: Log) -> None:
        head, best = log.pending.head, log.best
        if head is not None:
            self.found(f"{log.partition}@{head} was never handled, and {len(log.pending) - 1} after it")
        elif log.visible and best < log.end:
            self.found(f"{log.partition} was handled, and committed up to {best}; its end is {log.end}", "")
        elif log.changed > self.truth.healed + self.expected.heal_seconds:
            late = log.changed - self.truth.healed
            self.found(f"{log.partition} took {late:.3g} s; it may take {self.expected.heal_seconds:g} s", "")
