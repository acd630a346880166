"""A record whose attempts are exhausted halts the consumer: one bare `HandlerFailed`, after a grace for the others."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tests.shell.scripted import ScriptedClient
from tests.shell.stage import A, B, Gates, Handler, keys, opened, running
from trio_consumer import HandlerFailed, Record
from trio_consumer.client.port import Commit


async def fail(record: Record) -> None:
    raise ValueError(f"no. {record.offset}")


async def test_run_raises_it_bare(autojump_clock: MockClock) -> None:
    client = ScriptedClient()
    client.produce(A, b"a", at=41)
    async with opened(client, attempts=3, backoff=1) as consumer:
        client.assign(A)
        with pytest.raises(HandlerFailed) as caught:
            await consumer.run(fail)
    failure = caught.value
    assert (failure.partition, failure.offset, failure.attempts, failure.others) == (A, 41, 3, ())
    assert isinstance(failure.__cause__, ValueError)
    assert str(failure) == "handling t[0]@41 failed after 3 attempts: ValueError: no. 41"


async def test_failures_of_the_same_moment_are_kept(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Gates()

    async def work(record: Record) -> None:
        await gates(record)
        raise ValueError(f"no. {record.offset}")

    client.produce(A, b"a", b"b", b"c")
    async with running(client, Handler(work), A, attempts=1) as stage:
        gates.open()
        failure = await stage.failure()
    assert isinstance(failure, HandlerFailed)
    every = [failure, *failure.others]
    assert sorted(one.offset for one in every) == [0, 1, 2]
    for one in every:
        assert isinstance(one.__cause__, ValueError)
        assert str(one.__cause__) == f"no. {one.offset}"
    assert "and 2 more" in str(failure)
    assert client.committed == {A: Commit(0)}


async def test_failures_during_the_grace_are_kept(autojump_clock: MockClock) -> None:
    client = ScriptedClient()

    async def work(record: Record) -> None:
        await trio.sleep(1 + record.offset)
        raise ValueError

    client.produce(A, b"a", b"b", b"c", b"d")
    async with running(client, Handler(work), A, attempts=1, grace=2.5) as stage:
        failure = await stage.failure()
        assert trio.current_time() == 3.5
    assert isinstance(failure, HandlerFailed)
    assert (failure.offset, [other.offset for other in failure.others]) == (0, [1, 2])


async def test_the_others_get_a_grace_and_count(autojump_clock: MockClock) -> None:
    client = ScriptedClient()

    async def work(record: Record) -> None:
        if record.partition == 0 and record.offset == 1:
            await trio.sleep(1)
            raise ValueError
        await trio.sleep(5 if record.partition == 0 else 7)

    handler = Handler(work)
    client.produce(A, b"a", b"b", b"c", b"c")
    client.produce(B, b"a")
    async with running(client, handler, A, B, attempts=1, grace=5, commit_interval=100) as stage:
        assert isinstance(await stage.failure(), HandlerFailed)
        assert trio.current_time() == 6
    assert sorted(handler.done) == [(0, 0), (0, 2)]
    assert handler.cancelled == [(1, 0)]
    assert (0, 3) not in handler.started
    assert client.committed[A].offset == 1
    assert client.committed[A].metadata
    assert client.committed[B].offset == 0


async def test_no_handler_starts_after_it(autojump_clock: MockClock) -> None:
    client, starts = ScriptedClient(), []

    async def work(record: Record) -> None:
        starts.append(record.offset)
        if record.offset == 5:
            raise ValueError
        if record.offset < 5:
            await trio.sleep(1)

    client.produce(A, *keys(100))
    async with running(client, work, A, attempts=1, concurrency=6) as stage:
        assert isinstance(await stage.failure(), HandlerFailed)
    assert starts == [0, 1, 2, 3, 4, 5]


async def test_without_grace(autojump_clock: MockClock) -> None:
    client = ScriptedClient()

    async def work(record: Record) -> None:
        await trio.sleep(1 if record.offset == 1 else 2)
        if record.offset == 1:
            raise ValueError

    handler = Handler(work)
    client.produce(A, b"a", b"b")
    async with running(client, handler, A, attempts=1, grace=0) as stage:
        assert isinstance(await stage.failure(), HandlerFailed)
        assert trio.current_time() == 1
    assert handler.cancelled == [(0, 0)]


async def test_a_failure_during_a_drain_ends_it_by_the_grace(autojump_clock: MockClock) -> None:
    client = ScriptedClient()

    async def work(record: Record) -> None:
        await trio.sleep(10 if record.offset == 0 else 1000)
        if record.offset == 0:
            raise ValueError

    client.produce(A, b"a", b"b")
    async with running(client, Handler(work), A, attempts=1, grace=5) as stage:
        await stage.consumer.drain()
        assert trio.current_time() == 15
        assert isinstance(await stage.failure(), HandlerFailed)


async def test_a_retry_that_succeeds_does_not_halt(autojump_clock: MockClock) -> None:
    client = ScriptedClient()

    async def work(record: Record) -> None:
        if record.attempt < 5:
            raise ValueError

    client.produce(A, b"a")
    async with running(client, Handler(work), A):
        await trio.sleep(60)
    assert client.committed == {A: Commit(1)}
