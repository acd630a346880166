"""`run` is cancelled from outside, at every await of a handler and at every moment of its life."""

from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.shell.scripted import ScriptedClient
from tests.shell.stage import A, B, Gates, Handler, Stage, keys, opened, running
from trio_consumer import ClientError, HandlerFailed, Record
from trio_consumer.client.port import Commit, Records

AWAITS = 5


async def test_what_was_completed_is_committed_in_a_shield(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Gates((0, 1))
    handler = Handler(gates)
    client.produce(A, b"a", b"b", b"c")
    async with running(client, handler, A) as stage:
        await stage.cancel()
        assert stage.scope.cancelled_caught  # it propagates
    assert handler.done == [(0, 0), (0, 2)]
    assert handler.cancelled == [(0, 1)]
    assert client.committed[A].offset == 1
    assert client.committed[A].metadata  # record 2 is in the map


async def test_a_run_that_is_cancelled_before_it_begins(autojump_clock: MockClock) -> None:
    client = ScriptedClient()
    async with opened(client) as consumer:
        client.assign(A)
        with trio.CancelScope() as scope:
            scope.cancel()
            await consumer.run(Handler())
        assert scope.cancelled_caught


async def test_an_event_that_comes_after_the_last_worker_has_left(autojump_clock: MockClock) -> None:
    """Lanes are still ready then, and their worker must not be started in a nursery that has closed."""
    client, commit = ScriptedClient(), trio.Event()
    client.produce(A, *keys(50, 50))
    client.answers.append(commit)
    async with opened(client, concurrency=100, commit_interval=1000) as consumer, trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:

            async def handle(record: Record) -> None:
                if record.offset:
                    await trio.sleep_forever()

            async def cancel() -> None:
                await wait_all_tasks_blocked()  # 49 handlers wait, and give back their lanes when they are cancelled
                scope.cancel()
                await wait_all_tasks_blocked()  # the workers have left, the last commit is on its way
                client.emit(Records([], {A: 50}, {A: 50}))
                await wait_all_tasks_blocked()
                commit.set()

            client.assign(A)
            nursery.start_soon(cancel)
            await consumer.run(handle)
        assert scope.cancelled_caught
    assert client.committed[A].offset == 1


async def test_start_is_cancelled(autojump_clock: MockClock) -> None:
    client = ScriptedClient()
    async with opened(client) as consumer, trio.open_nursery() as nursery:
        nursery.cancel_scope.cancel()
        await nursery.start(consumer.run, Handler())
    assert client.closed == 1


async def test_cancelled_while_nothing_is_assigned(autojump_clock: MockClock) -> None:
    async with running(ScriptedClient(), Handler()) as stage:
        await stage.cancel()
        assert stage.scope.cancelled_caught


async def test_cancelled_while_workers_are_idle(autojump_clock: MockClock) -> None:
    client, handler = ScriptedClient(), Handler()
    client.produce(A, *keys(10))
    async with running(client, handler, A) as stage:
        await stage.cancel()
    assert client.committed == {A: Commit(10)}


async def test_cancelled_during_a_drain(autojump_clock: MockClock) -> None:
    client, handler = ScriptedClient(), Handler(Gates((0, 1)))
    client.produce(A, b"a", b"b")
    async with running(client, handler, A) as stage, trio.open_nursery() as nursery:
        nursery.start_soon(stage.consumer.drain)
        await wait_all_tasks_blocked()
        await stage.cancel()
    assert handler.cancelled == [(0, 1)]
    assert client.committed == {A: Commit(1)}


@pytest.mark.parametrize("waited", range(AWAITS))
async def test_at_every_await_of_a_handler(autojump_clock: MockClock, waited: int) -> None:
    client, finished = ScriptedClient(), []

    async def work(record: Record) -> None:
        for _ in range(AWAITS - 1):
            await trio.sleep(1)
        finished.append(record.offset)
        await trio.sleep(1)

    handler = Handler(work)
    client.produce(A, b"a", b"a", b"b")
    async with running(client, handler, A) as stage:
        await trio.sleep(waited + 0.5)
        await stage.cancel()
    assert handler.cancelled == [(0, 0), (0, 2)] or handler.cancelled == [(0, 2), (0, 0)]
    assert not handler.done
    assert handler.started == [(0, 0), (0, 2)]
    assert A not in client.committed or client.committed[A] == Commit(0)
    assert (len(finished) == 2) is (waited == AWAITS - 1)


async def test_the_next_record_of_a_lane_does_not_start(autojump_clock: MockClock) -> None:
    client = ScriptedClient()

    async def shielded(record: Record) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(1)

    handler = Handler(shielded)
    client.produce(A, *keys(100, 1))
    client.produce(A, *keys(100))
    async with running(client, handler, A, concurrency=10) as stage:
        await trio.sleep(0.5)
        before = list(handler.started)
        await stage.cancel()
    assert len(before) == 10
    assert handler.started == before
    assert sorted(handler.done) == sorted(before)  # and what they did counts
    assert client.committed[A].offset == 1


async def test_a_handler_that_turns_its_cancellation_into_an_error(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    client = ScriptedClient()

    async def work(record: Record) -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            raise ValueError("while being cancelled") from None  # noqa: ASYNC104

    handler = Handler(work)
    client.produce(A, b"a", b"a", b"b", b"c")
    async with running(client, handler, A) as stage:
        await stage.cancel()
        assert stage.scope.cancelled_caught
        assert stage.consumer.statistics().cancelled_attempts == 3
    assert sorted(handler.raised) == [(0, 0), (0, 2), (0, 3)]
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == [
        f"t[0]@{offset} raised while it was being cancelled" for _, offset in handler.raised
    ]


async def test_a_handler_that_fails_at_once_does_not_spin(autojump_clock: MockClock) -> None:
    client = ScriptedClient()

    async def work(record: Record) -> None:
        if record.offset == 0:
            stage.scope.cancel()
        raise ValueError

    async with opened(client) as consumer, trio.open_nursery() as nursery:
        stage = Stage(consumer)
        client.produce(A, *keys(100))
        client.assign(A)
        nursery.start_soon(stage.run, Handler(work))
        await stage.ended.wait()
    assert stage.scope.cancelled_caught


async def test_the_deadline_of_the_shield(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    client = ScriptedClient()
    client.produce(A, b"a")
    client.answers.append(trio.Event())  # never set
    async with running(client, Handler(), A, stop_deadline=7) as stage:
        began = trio.current_time()
        await stage.cancel()
        assert trio.current_time() - began == 7
    (message,) = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert "stop_deadline=7 s" in message
    assert not client.commits


async def test_the_final_commit_is_sent_again(autojump_clock: MockClock) -> None:
    client = ScriptedClient()
    client.produce(A, b"a")
    client.answers.extend([ClientError("REBALANCE_IN_PROGRESS", "wait")] * 3)
    async with running(client, Handler(), A) as stage:
        await stage.cancel()
    assert client.committed == {A: Commit(1)}


async def test_a_failure_at_the_same_moment_is_not_lost(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Gates()

    async def work(record: Record) -> None:
        await gates(record)
        stage.scope.cancel()
        raise SystemExit(3)

    client.produce(A, b"a", b"b")
    async with running(client, Handler(work), A) as stage:
        gates.open((0, 0))
        failure = await stage.failure()
    assert isinstance(failure, SystemExit)

    client, gates = ScriptedClient(), Gates((0, 0))

    async def fail(record: Record) -> None:
        await gates(record)
        if record.offset == 0:
            raise ValueError("first")
        await trio.sleep_forever()

    client.produce(A, b"a", b"b")
    async with running(client, Handler(fail), A, attempts=1) as stage:
        gates.open()
        await trio.sleep(1)  # within the grace of the other one
        stage.scope.cancel()
        failure = await stage.failure()
    assert isinstance(failure, HandlerFailed)
    assert failure.offset == 0


async def test_cancelled_while_a_revoke_waits(autojump_clock: MockClock) -> None:
    client, handler = ScriptedClient(), Handler(Gates((0, 1)))
    client.produce(A, b"a", b"b")
    client.produce(B, b"a")
    async with running(client, handler, A, B, grace=5) as stage:
        client.revoke(A)
        await trio.sleep(1)
        began = trio.current_time()
        await stage.cancel()
        assert trio.current_time() == began
    assert client.committed == {A: Commit(1), B: Commit(1)}
    assert len(client.released) == 1


async def test_a_deadline_around_run(autojump_clock: MockClock) -> None:
    client = ScriptedClient()
    client.produce(A, *keys(10))
    async with opened(client) as consumer:
        client.assign(A)
        with trio.move_on_after(5) as scope:
            await consumer.run(Handler())
        assert scope.cancelled_caught
    assert client.committed == {A: Commit(10)}
