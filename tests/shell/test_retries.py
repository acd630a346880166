"""Failed attempts: when the next one comes, who waits for it, and what follows the last."""

from __future__ import annotations

import logging
import random

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.shell.scripted import ScriptedClient
from tests.shell.stage import A, B, Handler, keys, running
from trio_consumer import Backoff, HandlerFailed, Order, Record
from trio_consumer.client.port import Commit


class Failing:
    """Fails so many attempts of these offsets, all by default; notes when each attempt began."""

    def __init__(self, *offsets: int, times: int = 1_000_000) -> None:
        self.offsets = offsets
        self.times = times
        self.attempts: list[tuple[int, int, float]] = []

    async def __call__(self, record: Record) -> None:
        self.attempts.append((record.offset, record.attempt, trio.current_time()))
        if (not self.offsets or record.offset in self.offsets) and record.attempt <= self.times:
            raise ValueError(f"attempt {record.attempt}")

    @property
    def moments(self) -> list[float]:
        return [moment for _, _, moment in self.attempts]


async def test_fixed_backoff(autojump_clock: MockClock) -> None:
    client, work = ScriptedClient(), Failing(times=3)
    client.produce(A, b"a")
    async with running(client, Handler(work), A, backoff=7) as stage:
        await trio.sleep(100)
        assert stage.consumer.statistics().failed_attempts == 3
    assert work.attempts == [(0, 1, 0), (0, 2, 7), (0, 3, 14), (0, 4, 21)]
    assert client.committed == {A: Commit(1)}


async def test_exponential_backoff(autojump_clock: MockClock) -> None:
    client, work = ScriptedClient(), Failing(times=6)
    client.produce(A, b"a")
    backoff = Backoff(first=1, factor=3, limit=20, jitter=0)
    async with running(client, Handler(work), A, attempts=10, backoff=backoff):
        await trio.sleep(1000)
    assert work.moments == [0, 1, 4, 13, 33, 53, 73]


async def test_jitter_is_drawn_from_the_rng(autojump_clock: MockClock) -> None:
    client, work = ScriptedClient(), Failing(times=3)
    client.produce(A, b"a")
    backoff = Backoff(first=1, factor=2, jitter=0.5)
    async with running(client, Handler(work), A, backoff=backoff):
        await trio.sleep(1000)
    rng = random.Random(1)  # the stage's
    expected = [0.0]
    for attempt in (1, 2, 3):
        expected.append(expected[-1] + backoff.delay(attempt, rng))
    assert work.moments == pytest.approx(expected)


@pytest.mark.parametrize("attempts", [1, 2, 5])
async def test_so_many_attempts(autojump_clock: MockClock, attempts: int) -> None:
    client, work = ScriptedClient(), Failing()
    client.produce(A, b"a")
    async with running(client, Handler(work), A, attempts=attempts, backoff=1) as stage:
        failure = await stage.failure()
    assert isinstance(failure, HandlerFailed)
    assert failure.attempts == attempts
    assert [attempt for _, attempt, _ in work.attempts] == list(range(1, attempts + 1))


async def test_without_a_limit(autojump_clock: MockClock) -> None:
    client, work = ScriptedClient(), Failing(times=500)
    client.produce(A, b"a")
    async with running(client, Handler(work), A, attempts=None, backoff=1):
        await trio.sleep(1000)
    assert len(work.attempts) == 501
    assert client.committed == {A: Commit(1)}


async def test_without_a_pause_others_are_not_starved(autojump_clock: MockClock) -> None:
    client = ScriptedClient()
    work = Failing(0, times=1000)
    handler = Handler(work)
    client.produce(A, b"a", *keys(50))
    async with running(client, handler, A, attempts=None, backoff=0, concurrency=1):
        await trio.sleep(1)
    assert len(handler.done) == 51
    assert len(work.attempts) == 1051


async def test_the_lane_waits_and_the_others_go_on(autojump_clock: MockClock) -> None:
    """Also with a single worker: it does not wait with the lane."""
    client, work = ScriptedClient(), Failing(0, times=3)
    handler = Handler(work)
    client.produce(A, b"a", b"a", b"b", b"a", b"b")
    client.produce(B, *keys(20), at=100)
    async with running(client, handler, A, B, backoff=10, concurrency=1) as stage:
        await trio.sleep(1)
        assert {at for at in handler.started if at[0] == 0} == {(0, 0), (0, 2), (0, 4)}
        assert len([at for at in handler.done if at[0] == 1]) == 20
        assert stage.consumer.statistics().parked == 1
        await trio.sleep(1)
        client.produce(A, b"c", b"a")
        await wait_all_tasks_blocked()
        assert (0, 5) in handler.done
        await trio.sleep(30)
        lane = [at for at in handler.done if at[0] == 0 and at[1] in (0, 1, 3, 6)]
        assert lane == [(0, 0), (0, 1), (0, 3), (0, 6)]


async def test_records_without_order_are_retried_alone(autojump_clock: MockClock) -> None:
    client, work = ScriptedClient(), Failing(1, 3, times=2)
    handler = Handler(work)
    client.produce(A, *[None] * 6)
    async with running(client, handler, A, order=Order.UNORDERED, backoff=5, concurrency=2) as stage:
        await trio.sleep(1)
        assert sorted(handler.done) == [(0, 0), (0, 2), (0, 4), (0, 5)]
        assert stage.consumer.statistics().parked == 2
        assert stage.consumer.statistics().partitions[A].committable == 1
        await trio.sleep(20)
    assert work.attempts.count((1, 3, 10)) == 1
    assert len(work.attempts) == 10
    assert client.committed == {A: Commit(6)}


async def test_exhausted_records_can_be_skipped(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    client, work = ScriptedClient(), Failing(1)
    handler = Handler(work)
    client.produce(A, b"a", b"a", b"a")
    async with running(client, handler, A, attempts=3, backoff=1, exhausted="skip") as stage:
        await trio.sleep(10)
        statistics = stage.consumer.statistics()
        assert (statistics.handled, statistics.skipped, statistics.failed_attempts) == (2, 1, 3)
    assert handler.done == [(0, 0), (0, 2)]
    assert client.committed == {A: Commit(3)}
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.message == "t[0]@1 skipped after 3 attempts"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


async def test_skipped_records_without_order(autojump_clock: MockClock) -> None:
    client, work = ScriptedClient(), Failing(0, 2)
    client.produce(A, *[None] * 4)
    async with running(client, Handler(work), A, attempts=1, exhausted="skip") as stage:
        await trio.sleep(1)
        assert stage.consumer.statistics().skipped == 2
    assert client.committed == {A: Commit(4)}


async def test_skipping_relieves_a_partition_that_is_full(autojump_clock: MockClock) -> None:
    client, work = ScriptedClient(), Failing()
    client.produce(A, *keys(1000, 10))
    options = {"queued_records_max_per_partition": 20}
    async with running(client, Handler(work), A, attempts=1, exhausted="skip", concurrency=1, **options) as stage:  # type: ignore[arg-type]
        await trio.sleep(100)
        assert stage.consumer.statistics().skipped == 1000
    assert client.committed == {A: Commit(1000)}


async def test_a_drain_does_not_wait_for_the_next_attempt(autojump_clock: MockClock) -> None:
    client, work = ScriptedClient(), Failing(0)
    client.produce(A, b"a", b"b")
    async with running(
        client,
        Handler(work),
        A,
        attempts=None,
        backoff=1000,
    ) as stage:
        await trio.sleep(1)
        await stage.consumer.drain()
        assert trio.current_time() == 1
    assert len(work.attempts) == 2
    assert client.committed[A].offset == 0


async def test_the_attempts_of_a_new_tenure_begin_at_one(autojump_clock: MockClock) -> None:
    client, work = ScriptedClient(), Failing(times=2)
    client.produce(A, b"a")
    async with running(client, Handler(work), A, attempts=3, backoff=1):
        await trio.sleep(1.5)
        client.revoke(A)
        client.assign(A)
        await trio.sleep(10)
    assert [attempt for _, attempt, _ in work.attempts] == [1, 2, 1, 2, 3]


async def test_a_failure_does_not_change_what_the_handler_saw(autojump_clock: MockClock) -> None:
    client, seen = ScriptedClient(), []

    async def work(record: Record) -> None:
        seen.append(record)
        if record.attempt < 3:
            raise ValueError

    client.produce(A, b"a", value=b"value")
    async with running(client, Handler(work), A, backoff=1):
        await trio.sleep(10)
    assert [record.attempt for record in seen] == [1, 2, 3]
    assert {(record.topic, record.partition, record.offset, record.key, record.value) for record in seen} == {
        ("t", 0, 0, b"a", b"value")
    }
