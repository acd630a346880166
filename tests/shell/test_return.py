"""A partition goes and comes back while a handler of its earlier tenure still runs: no lane ever overlaps."""

from __future__ import annotations

import random

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.shell.scripted import ScriptedClient
from tests.shell.stage import A, B, C, Gates, Handler, keys, running
from trio_consumer import Order, Record
from trio_consumer.client.port import Commit


class Shielded(Gates):
    """Gates that a cancellation does not open."""

    async def __call__(self, record: Record) -> None:
        with trio.CancelScope(shield=True):
            await super().__call__(record)


@pytest.mark.parametrize("lost", [False, True])
async def test_its_lane_waits_and_the_others_go_on(autojump_clock: MockClock, lost: bool) -> None:
    client, gates = ScriptedClient(), Shielded((0, 0))
    handler = Handler(gates)
    client.produce(A, b"a", b"b", b"a", b"b", b"a")
    async with running(client, handler, A, revoke_deadline=20) as stage:
        (client.lose if lost else client.revoke)(A)
        await trio.sleep(30)
        client.assign(A)
        await trio.sleep(30)
        assert handler.running == [(0, 0)]
        assert handler.started == [(0, 0), (0, 1), (0, 3)] + [(0, 1), (0, 3)] * lost  # not lost: they were committed
        partition = stage.consumer.statistics().partitions[A]
        assert partition.blocking is not None
        assert (partition.blocking.offset, partition.blocking.state) == (0, "stuck")
        assert (partition.queued, partition.in_flight) == (3, 0)
        assert stage.consumer.statistics().in_flight == 1
        gates.open((0, 0))
        await wait_all_tasks_blocked()
        assert handler.started[-3:] == [(0, 0), (0, 2), (0, 4)]
    assert client.committed == {A: Commit(5)}


async def test_over_several_tenures(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Shielded((0, 0))
    handler = Handler(gates)
    client.produce(A, b"a", b"a")
    async with running(client, handler, A):
        for _ in range(5):
            client.lose(A)
            client.assign(A)
            await trio.sleep(1)
        assert handler.started == [(0, 0)]
        gates.open((0, 0))
        await trio.sleep(1)
        assert handler.started == [(0, 0), (0, 0), (0, 1)]
    assert client.committed == {A: Commit(2)}


async def test_records_that_are_fetched_later_wait_too(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Shielded((0, 0))
    handler = Handler(gates)
    client.produce(A, b"a")
    async with running(client, handler, A):
        client.lose(A)
        client.assign(A)
        await trio.sleep(1)
        client.produce(A, b"a", b"b")
        await trio.sleep(1)
        assert handler.started == [(0, 0), (0, 2)]
        gates.open((0, 0))


async def test_a_whole_partition_in_order(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Shielded((0, 0))
    handler = Handler(gates)
    client.produce(A, *keys(5))
    async with running(client, handler, A, order=Order.PARTITION):
        client.lose(A)
        client.assign(A)
        await trio.sleep(1)
        assert handler.started == [(0, 0)]
        gates.open((0, 0))
        await trio.sleep(1)
    assert handler.started == [(0, 0), *((0, offset) for offset in range(5))]


async def test_a_lane_function(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Shielded((0, 0))
    handler = Handler(gates)
    client.produce(A, *keys(6))
    async with running(client, handler, A, order=lambda record: record.offset % 2):
        client.lose(A)
        client.assign(A)
        await trio.sleep(1)
        assert handler.running == [(0, 0)]
        assert {at for at in handler.started if at[1] % 2 == 0} == {(0, 0)}
        gates.open((0, 0))
        await trio.sleep(1)
    assert client.committed == {A: Commit(6)}


async def test_records_without_order_do_not_wait(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Shielded((0, 0))
    handler = Handler(gates)
    client.produce(A, None, None)
    async with running(client, handler, A):
        client.lose(A)
        client.assign(A)
        await trio.sleep(1)
        assert handler.started.count((0, 0)) == 2
        gates.open((0, 0))


async def test_the_same_key_of_another_partition_does_not_wait(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Shielded((0, 0))
    handler = Handler(gates)
    client.produce(A, b"a")
    client.produce(B, b"a")
    async with running(client, handler, A):
        client.lose(A)
        client.assign(B)
        await trio.sleep(1)
        assert handler.done == [(1, 0)]
        gates.open((0, 0))


@pytest.mark.parametrize("seed", range(20))
async def test_storm(autojump_clock: MockClock, seed: int) -> None:
    """Rebalances at random: no lane overlaps, no commit runs ahead, and all is handled in the end."""
    rng, client = random.Random(seed), ScriptedClient()
    partitions = (A, B, C)

    async def work(record: Record) -> None:
        pause = rng.random() * 2
        if rng.random() < 0.1:
            with trio.CancelScope(shield=True):
                await trio.sleep(pause * 10)
        else:
            await trio.sleep(pause)
        if rng.random() < 0.1:
            raise ValueError

    handler = Handler(work)
    done: set[tuple[int, int]] = set()

    def check(offsets: dict[object, Commit]) -> None:
        done.update(handler.done)
        for partition, commit in client.committed.items():
            assert all((partition.number, offset) in done for offset in range(commit.offset))

    client.on_commit = check  # type: ignore[assignment]
    for partition in partitions:
        client.produce(partition, *(rng.choice([b"a", b"b", b"c", b"d", None]) for _ in range(60)))
    async with running(
        client, handler, *partitions, concurrency=5, attempts=None, backoff=0.5, grace=1, revoke_deadline=4
    ) as stage:
        for _ in range(30):
            await trio.sleep(rng.random() * 5)
            partition = rng.choice(partitions)
            if partition not in client.owned:
                client.assign(partition)
            elif rng.random() < 0.5:
                client.lose(partition)
            else:
                client.revoke(partition)
                await trio.sleep(4.5)  # the deadline, and the poller's patience
                assert client.releasing is None
        client.assign(*(partition for partition in partitions if partition not in client.owned))
        await trio.sleep(500)
        statistics = stage.consumer.statistics()
        assert (statistics.queued, statistics.parked, statistics.in_flight) == (0, 0, 0)
    assert client.committed == {partition: Commit(60) for partition in partitions}
    assert handler.peak <= 5
