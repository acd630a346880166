"""Where every choice of a world comes from: one tree of dice, split by purpose.

A part of the world that draws more than before changes nothing for the other parts, since each has dice of its own.
`SeededDice` draws from a seed. Another implementation lets Hypothesis draw, so that data, faults and the schedule
shrink together; therefore the interface is narrow, and its first choice is always the plainest one: ``False``, ``0``,
the low end, the first item.
"""

from __future__ import annotations

import random
from collections.abc import MutableSequence, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Dice(Protocol):
    """A source of choices for one purpose."""

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        ...

    def below(self, count: int) -> int:
        """A whole number from 0 to ``count - 1``."""
        ...

    def between(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both included."""
        ...

    def uniform(self, low: float, high: float) -> float:
        """A number from ``low`` to ``high``."""
        ...

    def choice(self, items: Sequence[T]) -> T:
        """One of the items."""
        ...

    def shuffle(self, items: MutableSequence[Any]) -> None:
        """Bring the items into some order, in place."""
        ...

    def split(self, purpose: str) -> Dice:
        """Dice for this purpose; the same ones for the same purpose."""
        ...

    def random(self) -> random.Random:
        """The same source as the standard library has it, for `open_consumer`."""
        ...


class SeededDice:
    """Dice that a seed and a purpose decide, alike on every Python and under every hash seed."""

    def __init__(self, seed: int, path: str = "") -> None:
        self._seed = seed
        self._path = path
        # A text is hashed by SHA-512 here, never by hash().
        self._random = random.Random(f"{seed}{path}")
        self._draw = self._random.random

    def chance(self, probability: float) -> bool:
        return self._draw() < probability

    def below(self, count: int) -> int:
        return int(self._draw() * count)

    def between(self, low: int, high: int) -> int:
        return low + int(self._draw() * (high - low + 1))

    def uniform(self, low: float, high: float) -> float:
        return low + self._draw() * (high - low)

    def choice(self, items: Sequence[T]) -> T:
        return items[int(self._draw() * len(items))]

    def shuffle(self, items: MutableSequence[Any]) -> None:
        for last in range(len(items) - 1, 0, -1):
            other = int(self._draw() * (last + 1))
            items[last], items[other] = items[other], items[last]

    def split(self, purpose: str) -> SeededDice:
        return SeededDice(self._seed, f"{self._path}/{purpose}")

    def random(self) -> random.Random:
        return self._random
