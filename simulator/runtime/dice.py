"""Where every choice of a world comes from: one tree of dice, split by purpose.

A part of the world that draws more than before changes nothing for the other parts, since each has dice of its own.
`SeededDice` draws from a seed. Another implementation lets Hypothesis draw, so that data, faults and the schedule
shrink together; therefore the interface is narrow, and its first choice is always the plainest one: ``False``, ``0``,
the low end, the first item.
"""

from __future__ import annotations

import random
from _random import Random as Generator
from collections.abc import Callable, MutableSequence, Sequence
from hashlib import sha512
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
        """A source of the standard library's that draws what these dice would draw, for `open_consumer`."""
        ...


class SeededDice:
    """Dice that a seed and a purpose decide, alike on every Python and under every hash seed.

    They draw what ``random.Random("{seed}{path}")`` would, that hashes a text by SHA-512. Seeding that costs as much as
    a hundred draws, so it is done in one go and at the first draw: a world splits dice more often than it uses them.
    """

    def __init__(self, seed: int, path: str = "") -> None:
        self._seed = seed
        self._path = path
        self._draw: Callable[[], float] = self._first

    def _first(self) -> float:
        text = f"{self._seed}{self._path}".encode()
        self._draw = Generator(int.from_bytes(text + sha512(text).digest(), "big")).random
        return self._draw()

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
        return random.Random(f"{self._seed}{self._path}")
