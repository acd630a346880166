"""What is asked to end ends in time."""

from __future__ import annotations

from ..world.history import PhaseBegan, Released
from .oracle import Oracle, Subscriptions

SLACK_SECONDS = 0.25


class Shutdown(Oracle):
    """A frozen process does not count its time."""

    name = "shutdown"
    promise = "G5"
    says = "a revoke ends by its deadline, and a drain in bounded time"
    liveness = True

    def subscriptions(self) -> Subscriptions:
        return {Released: self._released, PhaseBegan: self._began}

    def _released(self, event: Released) -> None:
        process, most = self.truth.process(event.process), self.expected.revoke_seconds + SLACK_SECONDS
        for partition in event.partitions:
            tenure = self.truth.log(partition).newest
            if tenure is None or tenure.process is not process or process.was_frozen >= tenure.revoked:
                continue
            took = self.truth.now - tenure.revoked
            if tenure.since == self.truth.now and took > most:
                self.found(f"{event.process} gave {tenure} back after {took:.3g} s; it may take {most:g} s")

    def _began(self, event: PhaseBegan) -> None:
        if event.phase == "end":
            for process in self.truth.processes.values():
                if process.alive:
                    self.found(f"{process.name} was asked to drain and has not ended")
