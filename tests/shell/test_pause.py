"""`pause` and `resume` by the user."""

from __future__ import annotations

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.shell.scripted import ScriptedClient
from tests.shell.stage import A, B, C, Gates, Handler, keys, opened, running
from trio_consumer.client.port import Commit


async def test_all(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Gates((0, 0))
    handler = Handler(gates)
    client.produce(A, *keys(10, 2))
    async with running(client, handler, A, B, concurrency=1) as stage:
        stage.consumer.pause()
        await wait_all_tasks_blocked()
        assert client.paused == {A, B}
        gates.open()
        client.produce(B, *keys(5))
        await trio.sleep(1000)
        assert handler.started == handler.done == [(0, 0)]  # what ran goes on, nothing else starts
        assert client.polled
        assert stage.consumer.statistics().partitions[A].paused
        assert client.committed == {A: Commit(1)}
        stage.consumer.resume()
        await trio.sleep(1)
        assert len(handler.done) == 15
        assert not client.paused
        assert client.calls == [("pause", frozenset({A, B})), ("resume", frozenset({A, B}))]


async def test_some(autojump_clock: MockClock) -> None:
    client, handler = ScriptedClient(), Handler()
    async with running(client, handler, A, B, C) as stage:
        stage.consumer.pause([B, ("t", 2)])
        await wait_all_tasks_blocked()
        for partition in (A, B, C):
            client.produce(partition, *keys(5))
        await trio.sleep(1)
        assert {partition for partition, _ in handler.done} == {0}
        stage.consumer.resume([C])
        await trio.sleep(1)
        assert {partition for partition, _ in handler.done} == {0, 2}
        stage.consumer.resume()
        await trio.sleep(1)
        assert len(handler.done) == 15


async def test_all_but_some(autojump_clock: MockClock) -> None:
    client, handler = ScriptedClient(), Handler()
    for partition in (A, B, C):
        client.produce(partition, *keys(5))
    async with opened(client) as consumer, trio.open_nursery() as nursery:
        consumer.pause()  # before run, too
        consumer.resume([B])
        nursery.start_soon(consumer.run, handler)
        client.assign(A, B)
        await trio.sleep(1)
        assert {partition for partition, _ in handler.done} == {1}
        client.assign(C)  # it holds for what comes
        await trio.sleep(1)
        assert {partition for partition, _ in handler.done} == {1}
        consumer.resume([C])
        await trio.sleep(1)
        assert {partition for partition, _ in handler.done} == {1, 2}
        await consumer.drain()


async def test_across_rebalances(autojump_clock: MockClock) -> None:
    client, handler = ScriptedClient(), Handler()
    async with running(client, handler, A) as stage:
        stage.consumer.pause([A])
        await wait_all_tasks_blocked()
        for how in (client.revoke, client.lose):
            how(A)
            client.assign(A)
            client.produce(A, *keys(5))
            await trio.sleep(1)
            assert not handler.started
            assert client.paused == {A}
        stage.consumer.resume([A])
        await trio.sleep(1)
        assert len(handler.done) == 10


async def test_a_revoke_gets_through(autojump_clock: MockClock) -> None:
    client, handler = ScriptedClient(), Handler()
    client.produce(A, *keys(5))
    async with running(client, handler, A, commit_interval=1000) as stage:
        stage.consumer.pause()
        client.revoke(A)
        await wait_all_tasks_blocked()
        assert client.released
        assert client.committed == {A: Commit(5)}


async def test_a_drain_ends_a_pause(autojump_clock: MockClock) -> None:
    client, handler = ScriptedClient(), Handler()
    async with running(client, handler, A) as stage:
        stage.consumer.pause()
        client.produce(A, *keys(5))
        await stage.consumer.drain()
        stage.consumer.resume()  # too late, and harmless
    assert not handler.started


async def test_a_retry_waits_too(autojump_clock: MockClock) -> None:
    client = ScriptedClient()
    attempts: list[int] = []

    async def work(record: object) -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise ValueError

    client.produce(A, b"a")
    async with running(client, Handler(work), A, backoff=5) as stage:
        stage.consumer.pause()
        await trio.sleep(100)
        assert len(attempts) == 1
        stage.consumer.resume()
        await trio.sleep(0.1)
        assert len(attempts) == 2


async def test_what_is_held_by_a_full_partition_stays_so(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Gates()
    client.produce(A, *keys(100))
    async with running(client, Handler(gates), A, concurrency=1, queued_records_max_per_partition=10) as stage:
        await trio.sleep(1)
        stage.consumer.pause()
        stage.consumer.resume()
        await trio.sleep(1)
        assert client.paused == {A}
        assert client.calls == [("pause", frozenset({A}))]
        await stage.cancel()
