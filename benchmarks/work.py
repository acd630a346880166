"""What handlers do, as far as it is the same for every consumer. Needs nothing but the standard library."""

from __future__ import annotations

import time


def sweep_seconds(offset: int) -> float:
    """How long the handler of a ``sweep`` sleeps: 0 to 4 ms, each as often.

    The multiplier, Knuth's from the golden ratio, scatters neighbours.
    """
    return (offset * 2654435761 % 2**32) % 5 / 1000


def compute(seconds: float) -> None:
    """Use so much time of the processor. It does not pass while this thread waits for its turn."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass
