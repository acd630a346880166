"""Nobody spins."""

from __future__ import annotations

from ..world.history import (
    CommitAsked,
    ErrorDelivered,
    FetchPaused,
    FetchResumed,
    RecordsDelivered,
)
from .oracle import Oracle, Subscriptions

IDLE_COMMANDS_MAX = 60
"""Of one process in a virtual second, without any progress. Failed commits are repeated four times a second."""


class HotLoop(Oracle):
    """A loop in no virtual time never gets here: the world stops at its limit of steps and says so."""

    name = "hot-loop"
    promise = "G5"
    says = "when the faults have stopped, a consumer that makes no progress does next to nothing"
    liveness = True

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._idle: dict[str, tuple[float, int, int]] = {}
        self._positions: dict[tuple[str, object], int] = {}

    def subscriptions(self) -> Subscriptions:
        command = self._command
        return {
            RecordsDelivered: self._delivered,
            CommitAsked: command,
            ErrorDelivered: command,
            FetchPaused: command,
            FetchResumed: command,
        }

    def _delivered(self, event: RecordsDelivered) -> None:
        if self.truth.phase != "heal":
            return
        place = (event.process, event.partition)
        if event.position != self._positions.get(place):
            self._positions[place] = event.position
            self._idle.pop(event.process, None)
        elif not event.offsets:
            self._count(event.process)

    def _command(self, event: CommitAsked | ErrorDelivered | FetchPaused | FetchResumed) -> None:
        if self.truth.phase == "heal":
            self._count(event.process)

    def _count(self, process: str) -> None:
        now = self.truth.now
        acts = self.truth.process(process).acts
        began, count, before = self._idle.get(process, (now, 0, acts))
        if now - began >= 1 or before != acts:
            began, count = now, 0
        count += 1
        self._idle[process] = (began, count, acts)
        if count == IDLE_COMMANDS_MAX + 1:
            self.found(f"{process} did {count} things within {now - began:.3g} s, to no effect")
