"""Each way in which a handler can end, and what it means for its record: the table of `trio_consumer.exits`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.shell.scripted import ScriptedClient
from tests.shell.stage import A, B, Gates, Handler, keys, running
from trio_consumer import HandlerFailed, Record
from trio_consumer.client.port import Commit


class Custom(BaseException):
    pass


async def leaked() -> BaseException:
    """A ``Cancelled`` of a scope that has ended."""
    with trio.CancelScope() as scope:  # noqa: ASYNC912
        scope.cancel()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as error:  # noqa: ASYNC103
            return error  # noqa: ASYNC104
    raise AssertionError


async def returns(record: Record) -> object:
    return object()


async def raises(record: Record) -> None:
    raise ValueError("no")


async def raises_group(record: Record) -> None:
    async with trio.open_nursery():
        raise ValueError("in a nursery")


async def leaks(record: Record) -> None:
    raise await leaked()


async def leaks_in_a_group(record: Record) -> None:
    raise BaseExceptionGroup("of its own", [await leaked(), ValueError("and this")])


async def times_out(record: Record) -> None:
    with trio.fail_after(1):
        await trio.sleep_forever()


async def raises_timeout_error(record: Record) -> None:
    raise TimeoutError


async def cancels_itself(record: Record) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await trio.sleep_forever()


FAILED: list[tuple[Callable[[Record], Awaitable[object]], type[BaseException]]] = [
    (raises, ValueError),
    (raises_group, ExceptionGroup),
    (leaks, trio.Cancelled),
    (leaks_in_a_group, BaseExceptionGroup),
    (times_out, trio.TooSlowError),
    (raises_timeout_error, TimeoutError),
]


@pytest.mark.parametrize("work", [returns, cancels_itself])
async def test_succeeded(autojump_clock: MockClock, work: Callable[[Record], Awaitable[object]]) -> None:
    client, handler = ScriptedClient(), Handler(work)
    client.produce(A, *keys(20, 3))
    async with running(client, handler, A, concurrency=1):
        await trio.sleep(1)
    assert sorted(handler.done) == [(0, offset) for offset in range(20)]
    assert client.committed == {A: Commit(20)}


@pytest.mark.parametrize(("work", "kind"), FAILED)
async def test_failed(
    autojump_clock: MockClock, work: Callable[[Record], Awaitable[object]], kind: type[BaseException]
) -> None:
    """It halts with coordinates and cause, what was done before is committed, and it is not."""
    client = ScriptedClient()

    async def third(record: Record) -> None:
        if record.offset == 2:
            await work(record)

    handler = Handler(third)
    client.produce(A, b"a", b"b", b"c", b"c")
    async with running(client, handler, A, concurrency=1, attempts=1) as stage:
        failure = await stage.failure()
    assert isinstance(failure, HandlerFailed)
    assert (failure.partition, failure.offset, failure.attempts, failure.others) == (A, 2, 1, ())
    assert type(failure.__cause__) is kind
    assert client.committed[A].offset == 2
    assert (0, 3) not in handler.started


@pytest.mark.parametrize(("work", "kind"), FAILED)
async def test_failed_and_tried_again(
    autojump_clock: MockClock, work: Callable[[Record], Awaitable[object]], kind: type[BaseException]
) -> None:
    """The worker's slot is not lost, and the lane keeps its order."""
    client = ScriptedClient()

    async def at_first(record: Record) -> None:
        if record.attempt < 3:
            await work(record)

    handler = Handler(at_first)
    client.produce(A, *keys(12, 3))
    async with running(client, handler, A, concurrency=1, attempts=3, backoff=0.1) as stage:
        await trio.sleep(200)
        assert stage.consumer.statistics().failed_attempts == 24
    for lane in range(3):
        assert [offset for _, offset in handler.done if offset % 3 == lane] == list(range(lane, 12, 3))
    assert client.committed == {A: Commit(12)}


GROUP = BaseExceptionGroup("group", [ValueError("and this"), BaseExceptionGroup("inner", [KeyboardInterrupt()])])


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (SystemExit(3), SystemExit),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (GROUP, KeyboardInterrupt),
        (BaseExceptionGroup("group", [SystemExit(1)]), SystemExit),
        (Custom(), Custom),
        (asyncio.CancelledError(), asyncio.CancelledError),
    ],
)
@pytest.mark.parametrize("waits", [False, True])
async def test_ends_run(
    autojump_clock: MockClock, error: BaseException, kind: type[BaseException], waits: bool
) -> None:
    client = ScriptedClient()

    async def work(record: Record) -> None:
        if waits:
            await trio.sleep(1)
        if record.offset > 0:
            raise error

    handler = Handler(work)
    client.produce(A, b"a", b"a", b"a", b"a")
    client.produce(B, *keys(5))
    async with running(client, handler, A) as stage:
        failure = await stage.failure()
        assert type(failure) is kind
        assert stage.consumer.statistics().cancelled_attempts == 1
    assert handler.raised == [(0, 1)]
    assert client.committed == {A: Commit(1)}


async def swallow(record: Record) -> None:
    try:
        await trio.sleep_forever()
    except trio.Cancelled:  # noqa: ASYNC103
        pass


async def group_of_both(record: Record) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("beside the cancellation")


async def error_instead(record: Record) -> None:
    try:
        await trio.sleep_forever()
    finally:
        raise ValueError("instead of the cancellation")


async def slow_cleanup(record: Record) -> None:
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(1)


async def forever(record: Record) -> None:
    await trio.sleep_forever()


@pytest.mark.parametrize("how", ["revoke", "lose", "cancel", "halt"])
@pytest.mark.parametrize("work", [forever, group_of_both, error_instead, slow_cleanup])
async def test_cancelled(
    autojump_clock: MockClock,
    caplog: pytest.LogCaptureFixture,
    how: str,
    work: Callable[[Record], Awaitable[object]],
) -> None:
    """Neither success nor failure: not committed, not counted as failed, and handled again in the next tenure."""
    client, halting, again = ScriptedClient(), Gates(), False

    async def some(record: Record) -> None:
        if record.partition == 1:
            await halting(record)
            raise RuntimeError("halt")
        if record.offset == 0 and not again:
            await work(record)

    handler = Handler(some)
    client.produce(A, b"a", b"a", b"b")
    client.produce(B, b"b")
    async with running(client, handler, A, B, attempts=1) as stage:
        if how == "halt":
            halting.open((1, 0))
            assert isinstance(await stage.failure(), HandlerFailed)
        elif how == "cancel":
            await stage.cancel()
        else:
            (client.lose if how == "lose" else client.revoke)(A)
            await trio.sleep(10)
            again = True
            client.assign(A)
            await wait_all_tasks_blocked()
        await stage.cancel()
        statistics = stage.consumer.statistics()
    ours = [offset for partition, offset in handler.done if partition == 0]
    assert [offset for offset in ours if offset != 2] == ([0, 1] if again else [])
    assert statistics.failed_attempts == (how == "halt")
    assert statistics.cancelled_attempts == 1 + (how != "halt")  # the other one is partition 1's, at the end
    committed = [commit[A].offset for commit in client.commits if A in commit]
    assert committed == {"revoke": [0, 3], "lose": [3], "cancel": [0], "halt": [0]}[how]
    logged = [record for record in caplog.records if "while it was being cancelled" in record.message]
    assert len(logged) == (work in (group_of_both, error_instead))
    assert all(record.levelno == logging.WARNING and record.exc_info for record in logged)


async def test_success_although_cancelled_by_a_revoke_counts(autojump_clock: MockClock) -> None:
    client, handler = ScriptedClient(), Handler(swallow)
    client.produce(A, b"a", b"a")
    async with running(client, handler, A, grace=1):
        client.revoke(A)
        await trio.sleep(10)
    assert handler.started == handler.done == [(0, 0)]
    assert client.committed == {A: Commit(1)}


async def test_success_although_cancelled_from_outside_counts(autojump_clock: MockClock) -> None:
    client, handler = ScriptedClient(), Handler(swallow)
    client.produce(A, *keys(100, 1))
    async with running(client, handler, A) as stage:
        await stage.cancel()
    assert 1 <= len(handler.done) <= 2  # the next one may have begun before everybody knew
    assert client.committed == {A: Commit(len(handler.done))}


async def test_a_fatal_exit_while_being_cancelled_still_ends_run(autojump_clock: MockClock) -> None:
    client = ScriptedClient()

    async def work(record: Record) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise KeyboardInterrupt

    client.produce(A, b"a")
    async with running(client, Handler(work), A, grace=1) as stage:
        client.revoke(A)
        assert type(await stage.failure()) is KeyboardInterrupt
