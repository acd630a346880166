"""What is fetched while handlers are slow or stuck: the limits, and who is held back by them."""

from __future__ import annotations

import random

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.shell.scripted import ScriptedClient
from tests.shell.stage import A, B, C, Gates, Handler, Stage, keys, running
from trio_consumer import Record
from trio_consumer.client.port import Commit, Records


def queued(stage: Stage) -> int:
    return stage.consumer.statistics().queued


async def test_a_stuck_lane_stops_its_own_partition_at_its_bound(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Gates((0, 0))
    handler = Handler(gates)
    client.produce(A, *keys(1000, 1))
    client.produce(B, *keys(1000, 10))
    async with running(client, handler, A, B, queued_records_max_per_partition=100) as stage:
        await trio.sleep(10)
        partition = stage.consumer.statistics().partitions[A]
        assert 99 <= partition.queued <= 300  # plus what was on its way
        assert partition.paused
        assert client.paused == {A}
        assert len(handler.done) == 1000
        gates.open()
        await trio.sleep(10)
        assert not client.paused
    assert client.committed == {A: Commit(1000), B: Commit(1000)}


async def test_other_lanes_of_the_partition_go_on_up_to_the_bound(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Gates((0, 0))
    handler = Handler(gates)
    client.produce(A, b"stuck", *keys(500))
    async with running(client, handler, A, queued_records_max_per_partition=100):
        await trio.sleep(10)
        assert len(handler.done) == 500
        gates.open()


async def test_the_offset_map_bounds_how_far_a_partition_runs_ahead(autojump_clock: MockClock) -> None:
    client, offsets = ScriptedClient(), sorted({0, *random.Random(1).sample(range(10_000), 1000)})
    held = [(0, offset) for offset in offsets]
    gates = Gates(*held)
    handler = Handler(gates)
    client.produce(A, *keys(10_000))
    async with running(
        client, handler, A, concurrency=3000, offset_map_characters_max=200, queued_records_max=200, commit_interval=1
    ) as stage:
        await trio.sleep(100)
        partition = stage.consumer.statistics().partitions[A]
        assert partition.paused
        assert partition.queued == 0
        assert len(handler.done) > 100
        assert 0.5 * 200 <= partition.offset_map_characters <= 200
        assert stage.consumer.statistics().offset_maps_cut == 0
        before = len(handler.done)
        gates.open(*held[:90])
        await trio.sleep(100)
        assert len(handler.done) > before + 90  # a shorter map lets it go on
        await stage.cancel()


async def test_the_total(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Gates()
    handler = Handler(gates)
    for partition in (A, B, C):
        client.produce(partition, *keys(1000))
    async with running(client, handler, A, B, C, concurrency=1, queued_records_max=400) as stage:
        await trio.sleep(10)
        assert client.paused == {A, B, C}
        peak = queued(stage)
        assert 290 <= peak <= 400
        client.calls.clear()
        while queued(stage) > 0.75 * peak:
            gates.open(*handler.running)
            await trio.sleep(0.1)
        assert not [call for call in client.calls if call[0] == "resume"]
        while not [call for call in client.calls if call[0] == "resume"]:
            assert queued(stage) > 0.6 * peak
            gates.open(*handler.running)
            await trio.sleep(0.1)
        await stage.cancel()


async def test_the_total_holds_at_every_instant(autojump_clock: MockClock) -> None:
    client, seen = ScriptedClient(), []

    async def work(record: Record) -> None:
        seen.append(queued(stage))
        await trio.sleep(0.5)
        seen.append(queued(stage))

    async with running(client, work, A, B, C, concurrency=7, queued_records_max=50) as stage:
        for partition in (A, B, C):
            client.produce(partition, *keys(100, 50))
        await trio.sleep(100)
        assert stage.consumer.statistics().handled == 300
    assert 30 < max(seen) <= 50


async def test_bytes(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Gates()
    client.produce(A, *keys(50), value=b"x" * 1000)
    client.produce(B, *keys(50))
    async with running(
        client,
        Handler(gates),
        A,
        B,
        concurrency=1,
        queued_bytes_max_per_partition=5000,
        queued_records_max=32,  # so that four are fetched at once
    ) as stage:
        await trio.sleep(10)
        assert A in client.paused
        assert 5000 <= stage.consumer.statistics().queued_bytes <= 20_000
        assert stage.consumer.statistics().partitions[A].queued <= 5 + 2 * 4
        await stage.cancel()


async def test_resumed_at_70_percent(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Gates()
    handler = Handler(gates)
    client.produce(A, *keys(101))  # one runs
    async with running(client, handler, A, concurrency=1, queued_records_max_per_partition=100) as stage:
        await trio.sleep(10)
        assert client.calls == [("pause", frozenset({A}))]
        client.produce(A, *keys(1000))
        resumed_at = None
        while resumed_at is None:
            assert queued(stage) > 50
            before = queued(stage)
            gates.open(*handler.running)
            await trio.sleep(1)
            if len(client.calls) > 1:
                resumed_at = before - 1
        assert client.calls[1] == ("resume", frozenset({A}))
        assert resumed_at == 70
        await stage.cancel()


async def test_a_partition_that_is_full_is_still_polled_for(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Gates()
    client.produce(A, *keys(1000))
    async with running(client, Handler(gates), A, concurrency=1, queued_records_max_per_partition=10, grace=0):
        await trio.sleep(10)
        assert client.polled
        client.revoke(A)
        await wait_all_tasks_blocked()
        assert client.released


@pytest.mark.parametrize("how", ["revoke", "lose"])
async def test_a_partition_that_returns_is_fetched_again(autojump_clock: MockClock, how: str) -> None:
    """The client keeps what is paused over a rebalance."""
    client, gates = ScriptedClient(), Gates()
    handler = Handler(gates)
    client.produce(A, *keys(100))
    async with running(client, handler, A, concurrency=1, queued_records_max_per_partition=10, grace=0):
        await trio.sleep(10)
        assert client.paused == {A}
        (client.lose if how == "lose" else client.revoke)(A)
        gates.open()
        handler.work = None
        client.assign(A)
        await trio.sleep(10)
    assert client.committed == {A: Commit(100)}


async def test_a_pause_that_came_too_late_for_a_lost_partition_is_made_up_for(autojump_clock: MockClock) -> None:
    """The client ignores what is not its own, so it may not have paused what we believe to be paused."""
    client, gates = ScriptedClient(), Gates()
    client.produce(A, *keys(1000))
    client.produce(B, *keys(5))
    async with running(client, Handler(gates), A, B) as stage:
        client.emit(Records([], {}, {}))
        client.lose(A)  # the client knows, and the consumer asks for the pause before it has read that far
        stage.consumer.pause()
        await trio.sleep(1)
        assert client.calls == [("pause", frozenset({A, B}))]
        assert client.paused == {B}
        client.assign(A)
        await trio.sleep(1)
        assert client.paused == {A, B}
        await stage.cancel()
