"""What a restart handles again: nothing that the broker knew to be complete (G6), and all where that is in doubt."""

from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.shell.scripted import ScriptedClient
from tests.shell.stage import A, B, Gates, Handler, keys, running
from trio_consumer import Record
from trio_consumer.client.port import Commit
from trio_consumer.core.offset_map import encode


async def leave_gaps(client: ScriptedClient, *held: int, count: int = 20) -> None:
    """A first consumer that handles all but these, commits and ends."""
    client.produce(A, *keys(count))
    async with running(client, Handler(Gates(*((0, offset) for offset in held))), A, concurrency=count) as stage:
        await wait_all_tasks_blocked()
        await stage.cancel()


async def test_completed_records_are_not_handled_again(autojump_clock: MockClock) -> None:
    client, handler = ScriptedClient(), Handler()
    await leave_gaps(client, 3, 4, 9, 17)
    assert client.committed[A].offset == 3
    async with running(client, handler, A) as stage:
        await trio.sleep(1)
        statistics = stage.consumer.statistics()
        assert statistics.restored == 13
        assert statistics.offset_maps_refused == 0
    assert sorted(handler.started) == [(0, 3), (0, 4), (0, 9), (0, 17)]
    assert client.committed == {A: Commit(20)}


async def test_not_after_several_restarts_either(autojump_clock: MockClock) -> None:
    client, gaps = ScriptedClient(), [3, 9, 17]
    await leave_gaps(client, *gaps)
    while gaps:
        first, *gaps = gaps
        handler = Handler(Gates((1, 0), *((0, offset) for offset in gaps)))
        async with running(client, handler, A) as stage:
            await wait_all_tasks_blocked()
            await stage.cancel()
        assert handler.done == [(0, first)]
        assert sorted(handler.cancelled) == [(0, offset) for offset in gaps]
        assert client.committed[A].offset == (gaps[0] if gaps else 20)


async def test_records_that_came_since_are_handled(autojump_clock: MockClock) -> None:
    client, handler = ScriptedClient(), Handler()
    await leave_gaps(client, 5)
    client.produce(A, *keys(5))
    async with running(client, handler, A):
        await trio.sleep(1)
    assert sorted(handler.done) == [(0, 5), *((0, offset) for offset in range(20, 25))]
    assert client.committed == {A: Commit(25)}


async def test_across_a_rebalance(autojump_clock: MockClock) -> None:
    client = ScriptedClient()

    async def work(record: Record) -> None:
        if record.offset == 2 and len(handler.started) < 6:
            await trio.sleep_forever()

    handler = Handler(work)
    client.produce(A, *keys(6))
    async with running(client, handler, A, grace=0):
        client.revoke(A)
        client.assign(A)
        await trio.sleep(1)
    assert sorted(handler.started) == [(0, 0), (0, 1), (0, 2), (0, 2), (0, 3), (0, 4), (0, 5)]
    assert client.committed == {A: Commit(6)}


FIVE = encode(3, ((4, 9), (10, 17)), 4095).text


@pytest.mark.parametrize(
    ("metadata", "word"),
    [
        ("written by somebody else", "foreign"),
        ('{"json": 1}', "foreign"),
        (FIVE[:-1], "corrupt"),
        (FIVE.replace("tc1:", "tc2:", 1), "future"),
        (FIVE[:-1] + ("A" if FIVE[-1] != "A" else "B"), "corrupt"),
        (encode(7, ((8, 9),), 4095).text, "moved"),
        ("é\x00\udcff" * 2000, "foreign"),
    ],
)
async def test_metadata_that_is_no_map_of_ours_means_replay(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, metadata: str, word: str
) -> None:
    caplog.set_level(logging.INFO)
    client, handler = ScriptedClient(), Handler()
    client.produce(A, *keys(20))
    client.committed[A] = Commit(3, metadata)
    async with running(client, handler, A) as stage:
        await trio.sleep(1)
        assert stage.consumer.statistics().offset_maps_refused == 1
        assert stage.consumer.statistics().restored == 0
    assert sorted(handler.done) == [(0, offset) for offset in range(3, 20)]
    assert client.committed == {A: Commit(20)}
    (record,) = [record for record in caplog.records if record.name == "trio_consumer"]
    assert record.levelno == logging.WARNING
    assert "t[0]" in record.message
    assert word in record.message
    assert len(record.message) < 300


async def test_stray_bytes_after_the_map_do_no_harm(autojump_clock: MockClock) -> None:
    client, handler = ScriptedClient(), Handler()
    client.produce(A, *keys(20))
    client.committed[A] = Commit(3, FIVE + "\x00heap")
    async with running(client, handler, A):
        await trio.sleep(1)
    assert sorted(handler.done) == [(0, 3), (0, 9), (0, 17), (0, 18), (0, 19)]


async def test_a_committed_offset_that_could_not_be_read(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    client, handler = ScriptedClient(), Handler()
    client.produce(A, *keys(5))
    async with running(client, handler) as stage:
        client.assign(A, error="UnicodeDecodeError")
        await trio.sleep(1)
        assert stage.consumer.statistics().offset_maps_refused == 1
    assert len(handler.done) == 5
    (message,) = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert "UnicodeDecodeError" in message


async def test_a_map_that_reaches_beyond_the_log_end_is_of_another_log(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    client, handler = ScriptedClient(), Handler()
    await leave_gaps(client, 3)
    del client.log[A][10:]  # the topic was created again
    async with running(client, handler, A) as stage:
        await trio.sleep(1)
        assert stage.consumer.statistics().offset_maps_refused == 1
    assert sorted(handler.done) == [(0, offset) for offset in range(3, 10)]
    assert client.committed == {A: Commit(10)}
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


async def test_a_log_that_goes_back_under_us_is_replayed(autojump_clock: MockClock) -> None:
    client, handler = ScriptedClient(), Handler()
    client.produce(A, *keys(10))
    client.produce(B, *keys(10))
    async with running(client, handler, A, B) as stage:
        await trio.sleep(2)
        del client.log[A][4:]
        client.rewind(A, 2)
        await trio.sleep(2)
        assert handler.started[20:] == [(0, 2), (0, 3)]
        assert stage.consumer.statistics().tenures == 3
    assert client.committed == {A: Commit(4), B: Commit(10)}


async def test_a_partition_that_is_assigned_twice_begins_anew(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    client, handler = ScriptedClient(), Handler()
    client.produce(A, *keys(3))
    async with running(client, handler, A, commit_interval=100):
        client.assign(A)
        await trio.sleep(1)
    assert len(handler.done) == 6
    assert "assigned twice" in caplog.text
    assert client.committed == {A: Commit(3)}
