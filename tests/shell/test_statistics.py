"""`statistics()` in scripted situations, and what is logged in normal operation: nothing."""

from __future__ import annotations

import logging
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.shell.scripted import ScriptedClient
from tests.shell.stage import A, B, Gates, Handler, keys, opened, running
from trio_consumer import Blocking, ClientError, Record, Statistics
from trio_consumer.client.port import Commit


async def test_before_run(autojump_clock: MockClock) -> None:
    async with opened(ScriptedClient()) as consumer:
        statistics = consumer.statistics()
    assert statistics.partitions == {}
    numbers = attrs.asdict(statistics, recurse=False)
    assert {value for value in numbers.values() if isinstance(value, int)} == {0}


async def test_a_picture(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Gates((0, 12), (0, 15))

    async def work(record: Record) -> None:
        if record.offset == 17:
            raise ValueError
        await gates(record)

    client.committed[A] = Commit(10)
    client.produce(A, *keys(20), at=0)
    client.produce(A, b"k12", b"k12", value=b"12345")
    client.ends[A] = 30
    async with running(client, Handler(work), A, B, backoff=100, commit_interval=1) as stage:
        await trio.sleep(5)
        picture = stage.consumer.statistics()
        one = picture.partitions[A]
        assert one.tenure == 1
        assert (one.position, one.committed, one.committable, one.end, one.lag) == (22, 12, 12, 30, 18)
        assert one.incomplete == 5  # 12, 15, 17, 20, 21
        assert one.completed_ahead == 5  # 13, 14, 16, 18, 19
        assert one.gaps == 3
        assert one.blocking == Blocking(offset=12, age=5, lane=b"k12", state="in-flight", attempt=1)
        assert (one.queued, one.parked, one.in_flight, one.paused) == (2, 1, 2, False)
        assert one.offset_map_characters == len(client.committed[A].metadata) > 0
        assert (picture.queued, picture.queued_bytes, picture.parked, picture.in_flight) == (2, 16, 1, 2)
        assert (picture.handled, picture.failed_attempts, picture.tenures, picture.commits) == (7, 1, 2, 1)
        two = picture.partitions[B]
        assert two.tenure == 2
        assert (two.position, two.committed, two.committable, two.end, two.lag) == (None,) * 5
        assert (two.blocking, two.incomplete, two.gaps) == (None, 0, 0)
        gates.open((0, 12))
        await trio.sleep(5)
        blocking = stage.consumer.statistics().partitions[A].blocking
        assert blocking is not None
        assert (blocking.offset, blocking.age) == (15, 10)
        gates.open()
        await trio.sleep(5)
        blocking = stage.consumer.statistics().partitions[A].blocking
        assert blocking == Blocking(offset=17, age=15, lane=b"k17", state="parked", attempt=2)
        assert picture.partitions[A] is one  # it was of its instant
        assert one.committable == 12


async def test_a_record_that_waits_for_its_turn(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Gates()
    client.produce(A, b"a")
    client.produce(B, b"b")
    async with running(client, Handler(gates), A, B, concurrency=1) as stage:
        found = [one.blocking.state for one in stage.consumer.statistics().partitions.values() if one.blocking]
        assert sorted(found) == ["in-flight", "queued"]
        gates.open()


async def test_it_is_immutable(autojump_clock: MockClock) -> None:
    client = ScriptedClient()
    async with running(client, Handler(), A) as stage:
        client.fail(ClientError("_TRANSPORT", "refused"))
        await wait_all_tasks_blocked()
        statistics: Any = stage.consumer.statistics()
        for holder in (statistics, statistics.partitions[A]):
            with pytest.raises(attrs.exceptions.FrozenInstanceError):
                holder.queued = 7
        client.fail(ClientError("_TRANSPORT", "refused"))
        client.revoke(A)
        await wait_all_tasks_blocked()
        assert statistics.client_errors == {"_TRANSPORT": 1}
        assert set(statistics.partitions) == {A}


async def test_counters_survive_tenures_and_the_end(autojump_clock: MockClock) -> None:
    client = ScriptedClient()
    client.produce(A, *keys(5))
    async with running(client, Handler(), A) as stage:
        client.revoke(A)
        client.produce(A, *keys(5))
        client.assign(A)
        await trio.sleep(1)
        client.lose(A)
        await wait_all_tasks_blocked()
        statistics: Statistics = stage.consumer.statistics()
        assert (statistics.handled, statistics.tenures, statistics.tenures_lost) == (10, 2, 1)
        assert statistics.commits == 2
    assert stage.consumer.statistics() == statistics


async def test_nothing_is_logged_in_normal_operation(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    client = ScriptedClient()
    client.produce(A, *keys(500, 20))

    async def work(record: Record) -> None:
        await trio.sleep(0.1)
        if record.offset % 50 == 0 and record.attempt == 1:
            raise ValueError

    async with running(client, Handler(work), A, B, queued_records_max_per_partition=50) as stage:
        stage.consumer.pause()
        await trio.sleep(1)
        stage.consumer.resume()
        client.revoke(B)
        client.assign(B)
        await trio.sleep(60)
    assert client.committed == {A: Commit(500)}
    assert [record for record in caplog.records if record.name.startswith("trio_consumer")] == []


async def test_neither_secrets_nor_contents_are_logged(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = ScriptedClient()

    async def work(record: Record) -> None:
        if record.offset == 1:
            raise ValueError("of a handler")
        await trio.sleep_forever()

    client.produce(A, b"top-secret", b"top-secret-too", value=b"top-secret")
    async with running(client, Handler(work), A, attempts=2, backoff=0.1, exhausted="skip", grace=0) as stage:
        client.fail(ClientError("_TRANSPORT", "refused"))
        client.answers.append(ClientError("_TRANSPORT", "refused"))
        await trio.sleep(5)
        client.lose(A)
        client.assign(A)
        await stage.cancel()
    assert caplog.records
    assert "top-secret" not in caplog.text
