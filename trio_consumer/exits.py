"""The ways in which a handler can end, and what each means for its record.

=====================================================  ===============  ==========================================
the handler                                            while cancelled  its record
=====================================================  ===============  ==========================================
returns, whatever the value                            no or yes        succeeded
raises ``Exception`` or ``ExceptionGroup``             no               failed
lets a ``Cancelled`` of its own leak                   no               failed
raises ``Cancelled``, alone or in a group              yes              cancelled; what else is in the group is logged
raises ``Exception`` or ``ExceptionGroup``             yes              cancelled; the exception is logged
raises another ``BaseException``, alone or in a group  no or yes        cancelled, and ``run`` ends with it, bare
=====================================================  ===============  ==========================================

The last row is that of ``KeyboardInterrupt``, ``SystemExit`` and the like. Cancelled is neither success nor failure:
the record stays incomplete and runs again in the next tenure. It does not matter who cancelled, we (revoke, loss, halt)
or a scope around ``run``.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator

import trio


class Exit(enum.Enum):
    FAILED = "failed"
    CANCELLED = "cancelled"
    ENDS_RUN = "ends run"


def classify(error: BaseException, *, cancelled: bool) -> Exit:
    """What an exception of a handler means, given whether it was being cancelled."""
    if ending(error) is not None:
        return Exit.ENDS_RUN
    return Exit.CANCELLED if cancelled else Exit.FAILED


def ending(error: BaseException) -> BaseException | None:
    """The first exception, in a group or alone, that is nobody's failure but the end of the program."""
    for leaf in _leaves(error):
        if not isinstance(leaf, (Exception, trio.Cancelled)):
            return leaf
    return None


def split_cancelled(error: BaseException) -> tuple[BaseException | None, BaseException | None]:
    """The part that is Trio's cancellation, and the rest."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(trio.Cancelled)
    return (error, None) if isinstance(error, trio.Cancelled) else (None, error)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
