"""Which task runs next. A scheduler is a policy over a batch of runnable tasks; it knows nothing of Trio.

Trio runs in passes: it takes all tasks that can run, brings them into some order, and lets each take one step. So no
task is ever more than one pass behind another, and a race that needs a task to be late by two never happens. Therefore
a scheduler here may also put tasks back for a later pass.

`arrange` gets the batch in the order in which its tasks were created, at least two of them, and changes it in place.
Trio takes from the end. What it returns was taken out of the batch, and waits; something is always left, since virtual
time does not pass while a task can run.

Every choice is drawn so that its first value is the plainest: tasks in the order of their creation, none held back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

from .dice import Dice

Task: TypeAlias = Any
"""Anything with an identity; only Trio knows more about it."""

HOLD_CHANCE = 0.1
"""How often, of all passes with a choice, a task begins to be held back."""
HOLD_PASSES = (2, 4, 8, 16, 32, 64)
"""For how many passes; each as likely as the others, since nobody knows how late is late enough."""
GAP_MAX = 100
"""Fewer choices than this lie between two delays."""
PCT_RUN_MAX = 300
"""A task that takes so many steps in a row while others could run has no priority any more: it waits for them."""


class Scheduler(Protocol):
    """See the module."""

    def arrange(self, batch: list[Task]) -> list[Task]:
        """Bring the batch into the order in which its tasks run, last first; return what must wait."""
        ...


class Fifo:
    """In the order of creation. For tests that are about something else."""

    def arrange(self, batch: list[Task]) -> list[Task]:
        batch.reverse()
        return []


class Shuffle:
    """Any order, everyone in each pass: what Trio promises, and what most programs are tested with."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice

    def arrange(self, batch: list[Task]) -> list[Task]:
        _shuffle(batch, self._dice)
        return []


class HoldBack:
    """A shuffle in which now and then one task is late by many passes, while all others go on.

    It finds what one slow task breaks. A task that is held runs when nothing else can.
    """

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self._held: Task | None = None
        self._passes = 0

    def arrange(self, batch: list[Task]) -> list[Task]:
        dice = self._dice
        if self._passes == 0 and dice.chance(HOLD_CHANCE):
            self._held = dice.choice(batch)
            self._passes = dice.choice(HOLD_PASSES)
        waiting = []
        if self._passes > 0:
            self._passes -= 1
            if self._held in batch:
                batch.remove(self._held)
                waiting.append(self._held)
            if self._passes == 0:
                self._held = None
        _shuffle(batch, dice)
        return waiting


class Delays:
    """In the order of creation, but for a few tasks that are late. For shrinking: the plainest one is no delay at all.

    Args:
        dice: Draws where, who and for how long; three values for each delay.
    """

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self._held: Task | None = None
        self._passes = 0
        self._choices = self._gap()

    def arrange(self, batch: list[Task]) -> list[Task]:
        waiting = []
        if self._passes == 0:
            self._choices -= 1
            if self._choices == 0:
                self._held = batch[self._dice.below(len(batch))]
                self._passes = HOLD_PASSES[self._dice.below(len(HOLD_PASSES))]
                self._choices = self._gap()
        if self._passes > 0:
            self._passes -= 1
            if self._held in batch:
                batch.remove(self._held)
                waiting.append(self._held)
        batch.reverse()
        return waiting

    def _gap(self) -> float:
        """How many choices from here to the next delay; there is none after a draw of 0."""
        return self._dice.below(GAP_MAX) or math.inf


class Pct:
    """Probabilistic concurrency testing: each task has a priority, and the one with the highest runs until it waits.

    At ``depth - 1`` random steps the running task falls below all others. A race that needs ``depth`` ordering
    constraints is found with a probability of at least 1 in (tasks × horizon to the power of depth - 1).
    Burckhardt and others, "A randomized scheduler with probabilistic guarantees of finding bugs", 2010.

    Args:
        dice: Draws priorities and steps.
        depth: How many ordering constraints a bug may need; 1 changes no priority.
        horizon: About how many choices a world has.
    """

    def __init__(self, dice: Dice, depth: int, horizon: int) -> None:
        self._dice = dice
        self._priorities: dict[Task, float] = {}
        self._changes = sorted((dice.below(max(1, horizon)) for _ in range(depth - 1)), reverse=True)
        self._choices = 0
        self._lowest = 0.0
        self._last: Task | None = None
        self._run = 0

    def arrange(self, batch: list[Task]) -> list[Task]:
        priorities = self._priorities
        first, highest = None, -math.inf
        for task in batch:
            priority = priorities.get(task)
            if priority is None:
                priority = priorities[task] = 1.0 + self._dice.uniform(0, 1)
            if priority > highest:  # of equals the oldest
                first, highest = task, priority
        if self._changes and self._choices >= self._changes[-1]:
            self._changes.pop()
            first = self._demote(first, batch)
        elif first is self._last and self._run >= PCT_RUN_MAX:
            first = self._demote(first, batch)
        self._run = self._run + 1 if first is self._last else 0
        self._last = first
        self._choices += 1
        waiting = [task for task in batch if task is not first]
        batch[:] = [first]
        return waiting

    def _demote(self, task: Task, batch: list[Task]) -> Task:
        """It falls below all others; who is first now?"""
        self._lowest -= 1.0
        self._priorities[task] = self._lowest
        return max(batch, key=self._priorities.__getitem__)


def scheduler(name: str, dice: Dice, *, depth: int = 3, horizon: int = 4000) -> Scheduler:
    """The scheduler of this name: ``shuffle``, ``hold-back`` or ``pct``.

    Raises:
        KeyError: There is none.
    """
    make: Mapping[str, Callable[[], Scheduler]] = {
        "shuffle": lambda: Shuffle(dice),
        "hold-back": lambda: HoldBack(dice),
        "pct": lambda: Pct(dice, depth, horizon),
    }
    return make[name]()


def _shuffle(batch: list[Task], dice: Dice) -> None:
    """Any order; the plainest one is that of creation. Trio takes from the end."""
    batch.reverse()
    below = dice.below
    for last in range(len(batch) - 1, 0, -1):
        other = last - below(last + 1)
        if other != last:
            batch[last], batch[other] = batch[other], batch[last]
