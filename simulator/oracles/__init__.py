"""Oracles: each watches one promise, from the history alone, and says when it is broken.

`truth` is what all of them compare with. `watch` attaches them to a history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from trio_consumer import ConfigurationError

from ..world.history import (
    CommitApplied,
    CommitRefused,
    HandlerEnded,
    HandlerStarted,
    History,
    PhaseBegan,
    ProcessEnded,
    ProcessKilled,
    ProcessStarted,
    Violated,
)
from .acknowledged import Acknowledged
from .attempts import Attempts
from .bounds import Bounds
from .cancelled import Cancelled
from .commit import Commit
from .commit_owner import CommitOwner
from .commits_monotone import CommitsMonotone
from .delivery import Delivery
from .effects import Effects
from .errors import Errors
from .expectations import Expectations
from .fence import Fence
from .hot_loop import HotLoop
from .offset_map import OffsetMap
from .oracle import LateEnd, OddStart, Oracle, Stray
from .order import Order
from .orphans import Orphans
from .outcomes import Outcomes
from .owner import Owner
from .progress import Progress
from .repeats import Repeats
from .session import Session
from .shutdown import Shutdown
from .stuck import Stuck
from .tenures import Phase
from .truth import Truth

__all__ = ["ORACLES", "Expectations", "Oracle", "Truth", "Watch", "watch"]

ORACLES: Mapping[str, type[Oracle]] = {
    one.name: one
    for one in (
        Commit,
        OffsetMap,
        Outcomes,
        Effects,
        Delivery,
        Acknowledged,
        Order,
        Fence,
        Cancelled,
        CommitOwner,
        Owner,
        Bounds,
        Attempts,
        Progress,
        Stuck,
        Session,
        Shutdown,
        Orphans,
        Errors,
        HotLoop,
        Repeats,
        CommitsMonotone,
    )
}
"""By name, in the order of the promises."""

_OF_OTHERS = (CommitApplied, CommitRefused, ProcessStarted, ProcessKilled, ProcessEnded)
"""Events that name a process and count after its end."""


class Watch:
    """Some oracles on one history.

    Attributes:
        truth: What they compare with.
        violations: What they have found, in order of time.
    """

    def __init__(self, history: History, expectations: Expectations, oracles: Iterable[str] | None = None) -> None:
        names = list(ORACLES) if oracles is None else list(oracles)
        for name in names:
            if name not in ORACLES:
                raise ConfigurationError(f"oracle {name!r} is unknown: give one of {', '.join(ORACLES)}")
        self.truth = Truth(expectations)
        self.violations: list[Violated] = []
        self._history = history
        self._gone: set[str] = set()
        self._killed: set[str] = set()
        self._oracles = [ORACLES[name](self.truth, expectations, self._report) for name in names]
        told: dict[type, list[Callable[[Any], None]]] = {kind: [tell] for kind, tell in self.truth.listeners().items()}
        for oracle in self._oracles:
            for kind, tell in oracle.subscriptions().items():
                told.setdefault(kind, []).append(tell)
        self._strays = tuple(told.pop(Stray, ()))
        told.setdefault(HandlerStarted, []).append(self._odd_start(tuple(told.pop(OddStart, ()))))
        told.setdefault(HandlerEnded, []).append(self._late_end(tuple(told.pop(LateEnd, ()))))
        for kind, tells in told.items():
            history.listen(kind, self._listener(kind, tuple(tells)))
        for kind in (ProcessKilled, ProcessEnded, PhaseBegan):
            history.listen(kind, self._note_end)

    def finish(self) -> list[Violated]:
        """The world has come to its end. Returns all that was found."""
        for oracle in self._oracles:
            oracle.finish()
        return self.violations

    def _listener(self, kind: type, tells: tuple[Callable[[Any], None], ...]) -> Callable[[Any], None]:
        truth, moments, gone = self.truth, self._history.moments, self._gone
        fields: tuple[str, ...] = getattr(kind, "_fields", ())
        of_process = "process" in fields and kind not in _OF_OTHERS
        place = fields.index("process") if of_process else 0

        def tell(event: Any) -> None:
            truth.now = moments[-1][0]
            for one in tells:
                one(event)

        def tell_of_process(event: Any) -> None:
            if event[place] in gone:
                self._stray(event)
                return
            truth.now = moments[-1][0]
            for one in tells:
                one(event)

        return tell_of_process if of_process else tell

    def _odd_start(self, tells: tuple[Callable[[Any], None], ...]) -> Callable[[Any], None]:
        truth = self.truth

        def tell(event: HandlerStarted) -> None:
            if not truth.started.plain:
                for one in tells:
                    one(event)

        return tell

    def _late_end(self, tells: tuple[Callable[[Any], None], ...]) -> Callable[[Any], None]:
        truth = self.truth

        def tell(event: HandlerEnded) -> None:
            call = truth.ended
            if call is None or not call.counted or call.tenure.phase is not Phase.ACTIVE:  # type: ignore[union-attr]
                for one in tells:
                    one(event)

        return tell

    def _note_end(self, event: Any) -> None:
        if isinstance(event, PhaseBegan):
            if event.phase == "end":
                self._gone.update(self.truth.processes)
            return
        self._gone.add(event.process)
        if isinstance(event, ProcessKilled):
            self._killed.add(event.process)

    def _stray(self, event: Any) -> None:
        """Of a killed process nothing counts; of one that has ended nothing may come."""
        if event.process not in self._killed:
            self.truth.now = self._history.moments[-1].time
            for one in self._strays:
                one(event)

    def _report(self, oracle: Oracle, text: str, anomaly: str) -> None:
        violated = Violated(oracle.name, anomaly, text)
        self.violations.append(violated)
        self._history.add(violated)


def watch(history: History, expectations: Expectations, oracles: Iterable[str] | None = None) -> Watch:
    """Attach oracles to a history that is about to begin.

    Args:
        history: Of the world.
        expectations: What the scenario promises.
        oracles: Names of oracles; all by default.

    Raises:
        ConfigurationError: There is no such oracle.
    """
    return Watch(history, expectations, oracles)
