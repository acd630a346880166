"""Many at once: the limit holds and is reached, nobody starves, and no wake-up is lost."""

from __future__ import annotations

import random

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.shell.scripted import ScriptedClient
from tests.shell.stage import A, B, C, Handler, keys, running
from trio_consumer import Order, Partition, Record
from trio_consumer.client.port import Commit
from trio_consumer.core.lanes import RUN_WAITS_MAX


async def second(record: Record) -> None:
    await trio.sleep(1)


@pytest.mark.parametrize("concurrency", [1, 2, 7, 500])
@pytest.mark.parametrize("order", [Order.KEY, Order.UNORDERED])
async def test_the_limit_is_reached_and_holds(autojump_clock: MockClock, concurrency: int, order: Order) -> None:
    client, handler = ScriptedClient(), Handler(second, keyed=order is Order.KEY)
    for partition in (A, B, C):
        client.produce(partition, *keys(concurrency))
    async with running(client, handler, A, B, C, concurrency=concurrency, order=order) as stage:
        assert len(handler.running) == concurrency == stage.consumer.statistics().in_flight
        await trio.sleep(0.99)
        assert not handler.done
        await trio.sleep(2.02)
        assert len(handler.done) == 3 * concurrency
    assert handler.peak == concurrency


async def test_the_limit_holds_over_rebalances(autojump_clock: MockClock) -> None:
    """Handlers that ignore their cancellation count, too."""
    client = ScriptedClient()

    async def work(record: Record) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(100)

    handler = Handler(work)
    client.produce(A, *keys(10))
    client.produce(B, *keys(10))
    async with running(client, handler, A, concurrency=10) as stage:
        client.lose(A)
        client.assign(B)
        await trio.sleep(50)
        assert len(handler.running) == 10 == stage.consumer.statistics().in_flight
        await trio.sleep(100)
        assert {partition for partition, _ in handler.running} == {1}
    assert handler.peak == 10


@pytest.mark.parametrize("fails", [False, True])
async def test_handlers_that_never_wait_do_not_starve_the_poller(autojump_clock: MockClock, fails: bool) -> None:
    """A revoke gets through to thousands of records that are ready to run."""
    client, begin = ScriptedClient(), trio.Event()
    count = 0

    async def start(partition: Partition) -> None:
        await begin.wait()

    async def work(record: Record) -> None:
        nonlocal count
        count += 1
        if count == 1000:
            client.revoke(A)
        if fails:
            raise ValueError

    client.produce(A, *keys(20_000))
    async with running(
        client,
        work,
        A,
        tenure_start=start,
        attempts=None,
        backoff=1000,
        queued_records_max=50_000,
        queued_records_max_per_partition=50_000,
    ) as stage:
        assert stage.consumer.statistics().queued == 20_000
        begin.set()
        await wait_all_tasks_blocked()
        assert client.released
        assert 1000 <= count < 5000


async def test_one_slow_handler_does_not_hold_the_others(autojump_clock: MockClock) -> None:
    client = ScriptedClient()

    async def work(record: Record) -> None:
        if record.offset == 0:
            await trio.sleep(100)

    handler = Handler(work)
    client.produce(A, *keys(1000))
    async with running(client, handler, A, concurrency=2):
        await trio.sleep(1)
        assert len(handler.done) == 999


async def test_each_partition_gets_its_turn(autojump_clock: MockClock) -> None:
    client, handler = ScriptedClient(), Handler(second)
    client.produce(A, *keys(2000))
    client.produce(B, *keys(20))
    async with running(client, handler, A, B, concurrency=4) as stage:
        await trio.sleep(2 * RUN_WAITS_MAX + 10)
        assert len([at for at in handler.done if at[0] == 1]) == 20
        await stage.cancel()


@pytest.mark.parametrize("seed", range(30))
async def test_no_wake_up_is_lost(autojump_clock: MockClock, seed: int) -> None:
    """Workloads at random: everything is handled as soon as there is nothing else to wait for."""
    rng, client = random.Random(seed), ScriptedClient()
    weights = [rng.random() for _ in range(4)]

    async def work(record: Record) -> None:
        match rng.choices(range(4), weights)[0]:
            case 0:
                await trio.sleep(rng.random())
            case 1:
                await trio.lowlevel.checkpoint()
            case 2 if record.attempt == 1:
                raise ValueError

    handler = Handler(work, keyed=False)
    produced = 0
    order = rng.choice([Order.KEY, Order.PARTITION, Order.UNORDERED])
    concurrency = rng.choice([1, 2, 5, 50])
    async with running(
        client, handler, A, B, C, order=order, concurrency=concurrency, backoff=0.1, commit_interval=100
    ):
        for _ in range(20):
            for partition in (A, B, C):
                count = rng.randrange(30)
                client.produce(partition, *rng.choices([b"a", b"b", b"c", b"d", None], k=count))
                produced += count
            await trio.sleep(rng.choice([0, 0.01, 1]))
        await trio.sleep(1500)
        assert len(handler.done) == produced
        if order is Order.PARTITION:
            for number in range(3):
                assert [at for at in handler.done if at[0] == number] == sorted(
                    at for at in handler.done if at[0] == number
                )
    assert handler.peak <= concurrency
    assert sum(commit.offset for commit in client.committed.values()) == produced
    assert all(commit == Commit(commit.offset) for commit in client.committed.values())
