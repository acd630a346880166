"""Every way in which a handler can raise, and what is left of a cancellation."""

from __future__ import annotations

import asyncio

import pytest
import trio

from trio_consumer.exits import Exit, classify, ending, split_cancelled


class OwnBaseException(BaseException):
    """A BaseException that nobody has heard of."""


def cancelled() -> trio.Cancelled:
    """A real one: Trio makes no others."""
    caught: list[trio.Cancelled] = []

    async def main() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.lowlevel.checkpoint()
            except trio.Cancelled as error:
                caught.append(error)
                raise

    trio.run(main)
    return caught[0]


CANCELLED = cancelled()
INTERRUPT = KeyboardInterrupt()

FAILURES = [
    ValueError("x"),
    TimeoutError("raised by the handler"),
    trio.TooSlowError(),
    ExceptionGroup("one", [ValueError("x")]),
    ExceptionGroup("nested", [ExceptionGroup("inner", [OSError("x")]), KeyError("y")]),
]
CANCELLATIONS = [
    CANCELLED,
    BaseExceptionGroup("one", [CANCELLED]),
    BaseExceptionGroup("mixed", [CANCELLED, ValueError("x")]),
    BaseExceptionGroup("nested", [BaseExceptionGroup("inner", [ValueError("x"), CANCELLED]), OSError("y")]),
]
ENDS = [INTERRUPT, SystemExit(3), GeneratorExit(), OwnBaseException(), asyncio.CancelledError()]
GROUPED_ENDS = [
    wrapped
    for end in ENDS
    for wrapped in (
        BaseExceptionGroup("alone", [end]),
        BaseExceptionGroup("with a failure", [ValueError("x"), end]),
        BaseExceptionGroup("with a cancellation", [CANCELLED, end]),
        BaseExceptionGroup("deep", [BaseExceptionGroup("inner", [CANCELLED, ValueError("x"), end]), OSError("y")]),
    )
]


@pytest.mark.parametrize("error", [*FAILURES, *CANCELLATIONS], ids=repr)
def test_failures_and_cancellations(error: BaseException) -> None:
    """A Cancelled that leaks while nobody cancelled is the handler's own: a failure of the record."""
    assert classify(error, cancelled=False) is Exit.FAILED
    assert classify(error, cancelled=True) is Exit.CANCELLED
    assert ending(error) is None


@pytest.mark.parametrize("was_cancelled", [False, True])
@pytest.mark.parametrize("error", [*ENDS, *GROUPED_ENDS], ids=repr)
def test_what_ends_the_run(error: BaseException, was_cancelled: bool) -> None:
    assert classify(error, cancelled=was_cancelled) is Exit.ENDS_RUN
    end = ending(error)
    assert end in ENDS
    assert end is error or (isinstance(error, BaseExceptionGroup) and error.subgroup(lambda leaf: leaf is end))


def test_the_first_of_several_ends_counts() -> None:
    assert ending(BaseExceptionGroup("two", [ValueError("x"), INTERRUPT, SystemExit(1)])) is INTERRUPT


def test_split_of_a_bare_exception() -> None:
    assert split_cancelled(CANCELLED) == (CANCELLED, None)
    assert split_cancelled(FAILURES[0]) == (None, FAILURES[0])


def test_split_of_groups() -> None:
    only, mixed, nested = CANCELLATIONS[1:]
    cancellation, rest = split_cancelled(only)
    assert isinstance(cancellation, BaseExceptionGroup)
    assert cancellation.exceptions == (CANCELLED,)
    assert rest is None
    for group in (mixed, nested):
        cancellation, rest = split_cancelled(group)
        assert isinstance(cancellation, BaseExceptionGroup)
        assert cancellation.split(trio.Cancelled)[1] is None
        assert isinstance(rest, ExceptionGroup)
        assert split_cancelled(rest)[0] is None
    cancellation, rest = split_cancelled(FAILURES[4])
    assert cancellation is None
    assert isinstance(rest, ExceptionGroup)
    assert len(rest.exceptions) == 2
