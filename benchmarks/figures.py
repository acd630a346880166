"""The arithmetic of a run: medians, spreads, and ratios round by round.

A round measures each candidate once, one after the other, so two values of one round saw about the same machine. A
ratio is therefore taken within each round, and the median of those ratios is reported; the ratio of two medians would
mix rounds. A value that is not valid takes its round out of every ratio that needs it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

import attrs


@attrs.frozen
class Spread:
    """Values at a glance."""

    median: float
    low: float
    high: float
    count: int

    @property
    def ordered(self) -> tuple[float, float, float]:
        """As tables have it: the median, the lowest and the highest."""
        return self.median, self.low, self.high

    @property
    def width(self) -> float:
        """Distance from the lowest to the highest, as a part of the median."""
        return (self.high - self.low) / self.median if self.median else 0.0


def spread(values: Iterable[float | None]) -> Spread | None:
    """Of the values that there are; ``None`` if there is none."""
    there = [value for value in values if value is not None]
    return Spread(statistics.median(there), min(there), max(there), len(there)) if there else None


def ratios(of: Sequence[float | None], to: Sequence[float | None]) -> list[float | None]:
    """Round by round; ``None`` where one of the two is missing or the second is zero."""
    return [None if above is None or not below else above / below for above, below in zip(of, to, strict=True)]


def reached(value: Spread | None, *, least: float = -math.inf, most: float = math.inf) -> bool:
    """Whether the median keeps a target. No value keeps none."""
    return value is not None and least <= value.median <= most


def number(value: float) -> str:
    """To three digits or so, for people."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.3g}"
