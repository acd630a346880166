"""How ``trio-consumer`` ends: the exit codes, and which exception means which of them."""

from __future__ import annotations

import enum
import os
import sys
import traceback

from ..errors import CallbackFailed, ConfigurationError, HandlerFailed, InternalError, TrioConsumerError


class Exit(enum.IntEnum):
    """How a command ended. A run that a signal aborts ends with 128 and the signal's number."""

    DONE = 0
    FAILED = 1
    """The demo found a violation, or a handler failed."""
    USAGE = 2
    """An argument, a setting or the handler's name is wrong."""
    BROKER = 3
    """The broker, or the client on its behalf, reports an error."""
    BUG = 70
    """An error of the program's own, with its traceback."""
    INTERRUPTED = 130
    """Ctrl-C outside of ``run``."""


def bare(error: BaseException) -> BaseException:
    """What a nursery wrapped: the only exception in it, or the first where all of them are this library's."""
    while isinstance(error, BaseExceptionGroup):
        if len(error.exceptions) > 1 and error.split(TrioConsumerError)[1] is not None:
            break
        error = error.exceptions[0]
    return error


def failed(error: BaseException) -> int:
    """Tell the user on the standard error, and return the exit code.

    Raises:
        SystemExit: The handler did.
    """
    if isinstance(error, SystemExit):
        raise error
    if isinstance(error, KeyboardInterrupt):
        return Exit.INTERRUPTED
    if isinstance(error, BrokenPipeError):
        # Whoever read our output has seen enough; the interpreter flushes once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    if not isinstance(error, TrioConsumerError) or isinstance(error, InternalError):
        traceback.print_exception(error)
        return Exit.BUG
    if isinstance(error, (HandlerFailed, ConfigurationError, CallbackFailed)) and error.__cause__ is not None:
        traceback.print_exception(error.__cause__)  # code of the user's
    print(f"trio-consumer: {error}", file=sys.stderr)
    if isinstance(error, ConfigurationError):
        return Exit.USAGE
    return Exit.FAILED if isinstance(error, HandlerFailed) else Exit.BROKER
