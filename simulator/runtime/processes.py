"""A process: one life of a member. Its timers, and what cuts it off.

Everything that a client does goes through its process, so that a freeze delays it and a kill ends it, at one place.
How the tasks of a process are held or ended is in `trio_internals`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from .clock import Timer, VirtualClock


class Process:
    """See the module.

    Attributes:
        name: ``a.1`` for the first life of member ``a``.
        alive: False once it was killed or has ended: nothing that it does counts any more.
        client_frozen: True while the client does not run either (SIGSTOP).
        tasks_frozen: True while no task of it runs; the client's own threads may go on.
        farewells: Called once when it is killed or has ended, before any task unwinds.
        changed: Called after a freeze and after a thaw; for the scheduler.
    """

    def __init__(self, name: str, clock: VirtualClock) -> None:
        self.name = name
        self.clock = clock
        self.alive = True
        self.client_frozen = False
        self.tasks_frozen = False
        self.farewells: list[Callable[[], object]] = []
        self.changed: Callable[[], object] = lambda: None
        self._waiting: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()

    @property
    def member(self) -> str:
        return self.name.partition(".")[0]

    def after(self, seconds: float, act: Callable[..., object], *arguments: Any) -> Timer:
        """As `VirtualClock.after`; what comes due during a freeze happens at its end, and never after death."""
        clock = self.clock
        return clock.at(clock.now + seconds, self.deliver, act, *arguments)

    def deliver(self, act: Callable[..., object], *arguments: Any) -> None:
        """Let the client's side of the process do this now, or at the end of a freeze, or never after death."""
        if not self.alive:
            return
        if self.client_frozen or self._waiting:
            self._waiting.append((act, arguments))
        else:
            act(*arguments)

    def freeze(self, *, whole: bool) -> None:
        """Stop it: the tasks only, or the client too."""
        self.tasks_frozen = True
        self.client_frozen = self.client_frozen or whole
        self.changed()

    def thaw(self) -> None:
        """Let it go on. What its client missed happens now, in order."""
        self.tasks_frozen = self.client_frozen = False
        self.changed()
        while self._waiting and self.alive and not self.client_frozen:
            act, arguments = self._waiting.popleft()
            act(*arguments)

    def end(self) -> None:
        """It is no more: nothing of it has an effect from here on."""
        if self.alive:
            self.alive = False
            self._waiting.clear()
            for farewell in self.farewells:
                farewell()
