"""How ``python -m simulator`` ends: the exit codes, and which oracle or exception means which of them.

A world that fails ends with the number of the promise that was broken, so that a script can tell losses from delays.
Commands that run many worlds end with 1 whatever it was.
"""

from __future__ import annotations

import enum
import os
import sys
import traceback

from trio_consumer import ConfigurationError, TrioConsumerError
from trio_consumer.cli.exits import bare

from ..oracles import ORACLES

__all__ = ["Exit", "bare", "failed", "verdict"]


class Exit(enum.IntEnum):
    """How a command ended."""

    DONE = 0
    """Every promise was kept."""
    FAILED = 1
    """fuzz found a failure, a planted bug survived, or a world was not the same twice."""
    USAGE = 2
    """An argument, a scenario or a file is wrong."""
    LOST = 11
    """G1: an offset was committed, or skipped, before its record was done."""
    ORDER = 12
    """G2: handlers of a lane overlapped or ran out of turn."""
    FENCE = 13
    """G3: something of a partition went on after it was given back or lost."""
    BOUNDS = 14
    """G4: more was held, running or written than the limits allow."""
    PROGRESS = 15
    """G5: after the faults not everything was done in time, or something was left running."""
    REPEATS = 16
    """G6: more ran again than had to."""
    INVARIANT = 17
    """An oracle of the user's own, or another that stands for none of the six promises."""
    STUCK = 20
    """The world itself did not come to its end."""
    BUG = 70
    """An error of the program's own, with its traceback."""
    INTERRUPTED = 130
    """Ctrl-C."""


PROMISES = {
    "G1": Exit.LOST,
    "G2": Exit.ORDER,
    "G3": Exit.FENCE,
    "G4": Exit.BOUNDS,
    "G5": Exit.PROGRESS,
    "G6": Exit.REPEATS,
}


def verdict(oracle: str, error: str = "", promise: str = "") -> Exit:
    """What a world ends with.

    Args:
        oracle: The first that found something, or ``""``.
        error: Why the world did not come to its end, or ``""``.
        promise: The promise that the oracle stands for, ``G1`` to ``G6``, or ``""``.
    """
    if oracle:
        return PROMISES.get(promise, Exit.INVARIANT)
    return Exit.STUCK if error else Exit.DONE


def failed(error: BaseException) -> int:
    """Tell the user on the standard error, and return the exit code."""
    if isinstance(error, KeyboardInterrupt):
        return Exit.INTERRUPTED
    if isinstance(error, BrokenPipeError):
        # Whoever read our output has seen enough; the interpreter flushes once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    if isinstance(error, ConfigurationError):
        print(f"simulator: {error}", file=sys.stderr)
        return Exit.USAGE
    traceback.print_exception(error)
    if isinstance(error, TrioConsumerError):
        print(f"simulator: {error}", file=sys.stderr)
    return Exit.BUG


def promise_of(oracle: str) -> str:
    """The promise that an oracle stands for, or ``""`` if it is none of ours."""
    return ORACLES[oracle].promise if oracle in ORACLES else ""
