"""What an oracle is: one promise, watched by what the history tells.

A finding is told once it is certain, at the event that shows it. An oracle keeps quiet about what it can't know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeAlias

from .expectations import Expectations
from .truth import Truth

Subscriptions: TypeAlias = Mapping[type, Callable[[Any], None]]
FINDINGS_MAX = 5
"""Of one oracle in one world; what follows is mostly the same again."""


class Stray:
    """Stands in subscriptions for whatever is told of a process that has ended, or after the end of the world."""


class OddStart:
    """Stands in subscriptions for each `HandlerStarted` that is not plain: see `tenures.Call.plain`."""


class LateEnd:
    """Stands in subscriptions for each `HandlerEnded` whose tenure is being revoked or is over."""


class Oracle:
    """See the module. The truth is told of an event first.

    Attributes:
        name: What a finding, a planted bug and the command line call it.
        promise: ``G1`` to ``G6``.
        anomaly: Jepsen's name for what it finds, where one fits; else ``""``.
        says: What must hold, in one sentence.
        liveness: True if it finds what does not happen in time; else it finds what must never happen.
    """

    name: ClassVar[str]
    promise: ClassVar[str]
    anomaly: ClassVar[str] = ""
    says: ClassVar[str]
    liveness: ClassVar[bool] = False

    def __init__(self, truth: Truth, expectations: Expectations, report: Callable[[Oracle, str, str], None]) -> None:
        self.truth = truth
        self.expected = expectations
        self.findings = 0
        self._report = report

    def subscriptions(self) -> Subscriptions:
        """What it wants to be told of, and how."""
        raise NotImplementedError

    def finish(self) -> None:
        """The world has come to its end."""

    def found(self, text: str, anomaly: str | None = None) -> None:
        """The promise is broken.

        Args:
            text: Who did what to which record, and what would have been right.
            anomaly: Jepsen's name, if it is not the usual one.
        """
        self.findings += 1
        if self.findings <= FINDINGS_MAX:
            self._report(self, text, self.anomaly if anomaly is None else anomaly)
