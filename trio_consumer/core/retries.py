"""What follows a failed attempt: another one after a pause, or the end of the record's chances.

Pure arithmetic: the clock and the random numbers are the caller's.
"""

from __future__ import annotations

import enum
import random
from typing import Any

import attrs

from ..errors import ConfigurationError


def _within(least: float, most: float = float("inf")) -> Any:
    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        right = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not right or not least <= value <= most or value == float("inf"):  # type: ignore[operator]
            bound = f"of at least {least:g}" if most == float("inf") else f"from {least:g} to {most:g}"
            raise ConfigurationError(f"Backoff({attribute.name}={value!r}): give a number {bound}")

    return check


@attrs.frozen(kw_only=True)
class Backoff:
    """The pause before a record is tried again: ``first * factor ** (attempt - 1)`` seconds, at most ``limit``.

    Args:
        first: Seconds after the first failed attempt.
        factor: How much longer each further pause is; 1 for a fixed one.
        limit: Seconds that no pause exceeds, jitter included.
        jitter: The part of each pause that is drawn at random: 0.2 gives 80 % to 120 %.
    """

    first: float = attrs.field(default=0.2, validator=_within(0))
    factor: float = attrs.field(default=2.0, validator=_within(1))
    limit: float = attrs.field(default=30.0, validator=_within(0))
    jitter: float = attrs.field(default=0.2, validator=_within(0, 1))

    def __attrs_post_init__(self) -> None:
        if self.first > self.limit:
            raise ConfigurationError(
                f"Backoff(first={self.first!r}) is above its limit of {self.limit!r} s: raise the limit"
            )

    def delay(self, attempt: int, rng: random.Random) -> float:
        """Seconds to wait after this attempt (1-based) failed."""
        try:
            pause = min(self.limit, self.first * self.factor ** (attempt - 1))
        except OverflowError:  # a lane that has been retried for days
            pause = self.limit if self.first else 0.0
        if self.jitter:
            pause *= 1 + self.jitter * (2 * rng.random() - 1)
        return min(self.limit, pause)


class Decision(enum.Enum):
    """What becomes of a record whose attempt failed."""

    RETRY = "retry"
    SKIP = "skip"
    HALT = "halt"


def decide(attempt: int, attempts: int | None, exhausted: str) -> Decision:
    """The fate of a record after this attempt (1-based) failed; ``exhausted`` names what follows the last one."""
    if attempts is None or attempt < attempts:
        return Decision.RETRY
    return Decision(exhausted)
