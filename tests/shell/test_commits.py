"""Commits in the steady state: when, what, one in flight, and what follows an error."""

from __future__ import annotations

import logging
import random
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.shell.scripted import ScriptedClient
from tests.shell.stage import A, B, Gates, Handler, keys, running
from trio_consumer import ClientError, Order, Record
from trio_consumer.client.port import Commit, Records
from trio_consumer.core.offset_map import decode


def offsets(client: ScriptedClient) -> list[int]:
    return [commit[A].offset for commit in client.requests if A in commit]


async def test_by_interval(autojump_clock: MockClock) -> None:
    client, times = ScriptedClient(), []
    client.on_commit = lambda _: times.append(trio.current_time())

    async def work(record: Record) -> None:
        await trio.sleep(1)

    client.produce(A, *keys(100, 1))
    async with running(client, Handler(work), A, commit_interval=10):
        await trio.sleep(60)
        assert len(times) >= 5
        assert max(later - earlier for earlier, later in pairwise(times)) <= 10
        assert client.committed[A].offset >= 49
        await trio.sleep(60)
        count = len(client.requests)
        await trio.sleep(1000)
        assert len(client.requests) == count  # nothing new, nothing sent
    assert client.committed == {A: Commit(100)}
    assert len(client.requests) == count


async def test_by_count(autojump_clock: MockClock) -> None:
    client = ScriptedClient()
    async with running(client, Handler(), A, commit_interval=1000, commit_count=10):
        client.produce(A, *keys(9))
        await trio.sleep(1)
        assert 9 not in offsets(client)
        client.produce(A, *keys(1))
        await trio.sleep(1)
        assert offsets(client)[-1] == 10
        client.produce(A, *keys(9))
        await trio.sleep(1)
        assert offsets(client)[-1] == 10


async def test_a_long_run_of_one_lane_is_committed_meanwhile(autojump_clock: MockClock) -> None:
    client = ScriptedClient()

    async def work(record: Record) -> None:
        await trio.sleep(10)

    client.produce(A, *keys(8, 1))
    async with running(client, Handler(work), A, commit_interval=1):
        for done in range(1, 8):
            await trio.sleep(10)
            await trio.sleep(1.5)
            assert client.committed[A].offset >= done
            await trio.sleep(-1.5 % 10)


async def test_one_in_flight(autojump_clock: MockClock) -> None:
    client, answer = ScriptedClient(), trio.Event()
    client.answers.append(answer)
    async with running(client, Handler(), A, commit_interval=1, commit_count=5):
        for _ in range(20):
            client.produce(A, *keys(10))
            await trio.sleep(1)
        assert len(client.requests) == 1
        answer.set()
        await wait_all_tasks_blocked()
        assert offsets(client)[1:] == [200]  # the newest, at once: it is long due


async def test_offset_and_map_are_of_one_instant(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Gates((0, 0), (0, 5))
    client.produce(A, *keys(10))
    async with running(client, Handler(gates), A, commit_interval=1):
        await trio.sleep(2)
        commit = client.committed[A]
        assert commit.offset == 0
        assert decode(commit.metadata, 0) == ((1, 5), (6, 10))
        gates.open((0, 0))
        await trio.sleep(2)
        commit = client.committed[A]
        assert commit.offset == 5
        assert decode(commit.metadata, 5) == ((6, 10),)
        gates.open()
    assert client.committed == {A: Commit(10)}


async def test_positions_that_move_without_records_are_committed(autojump_clock: MockClock) -> None:
    """Trailing holes, such as transaction markers."""
    client = ScriptedClient()
    client.produce(A, b"a", b"b")
    async with running(client, Handler(), A, commit_interval=1):
        client.emit(Records([], {A: 7}, {A: 7}))
        await trio.sleep(2)
        assert client.committed == {A: Commit(7)}


async def test_the_first_commit_of_a_log_that_does_not_begin_at_zero(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Gates()
    client.produce(A, b"a", b"b", at=5000)
    async with running(client, Handler(gates), A, commit_interval=1):
        await trio.sleep(2)
        assert client.committed == {A: Commit(5000)}
        gates.open()
    assert client.committed == {A: Commit(5002)}


@pytest.mark.parametrize("code", ["ILLEGAL_GENERATION", "_TRANSPORT", "_NOT_ASSIGNED", "A_CODE_OF_THE_FUTURE"])
async def test_a_failed_commit_is_sent_again_with_the_newest_snapshot(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, code: str
) -> None:
    caplog.set_level(logging.INFO)
    client = ScriptedClient()
    client.produce(A, *keys(10))
    client.produce(B, *keys(10))
    client.answers.extend([ClientError(code, "no")] * 3)
    async with running(client, Handler(), A, B, commit_interval=0.2) as stage:
        await trio.sleep(0.3)
        client.produce(A, *keys(10))
        await trio.sleep(20)
        # Nothing is known of any of the partitions: all of them again.
        assert [set(request) for request in client.requests] == [{A, B}] * 4
        assert client.committed == {A: Commit(20), B: Commit(10)}
        statistics = stage.consumer.statistics()
        assert statistics.commit_errors == {code: 3}
        assert statistics.commits == 1
    logged = [record for record in caplog.records if record.name == "trio_consumer"]
    assert len(logged) == 1  # three failures
    assert code in logged[0].getMessage()


async def test_after_a_success_failures_are_logged_again(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    client = ScriptedClient()
    async with running(client, Handler(), A, commit_interval=0.2):
        for _ in range(3):
            client.answers.extend([ClientError("_TRANSPORT", "no")] * 2)
            client.produce(A, *keys(10))
            await trio.sleep(20)
    assert len([record for record in caplog.records if "_TRANSPORT" in record.getMessage()]) == 3


async def test_failures_in_a_row_are_sent_less_often(autojump_clock: MockClock) -> None:
    client = ScriptedClient()
    client.produce(A, *keys(10))
    client.answers.extend([ClientError("_TRANSPORT", "no")] * 1000)
    async with running(client, Handler(), A, commit_interval=0.1, commit_count=1) as stage:
        await trio.sleep(600)
        assert 50 <= len(client.requests) <= 80
        client.answers.clear()
        await trio.sleep(11)
        assert client.committed == {A: Commit(10)}
        client.produce(A, *keys(10))
        await trio.sleep(0.2)
        assert client.committed == {A: Commit(20)}  # and the pause is forgotten
        await stage.consumer.drain()


async def test_an_offset_map_that_is_refused_is_halved(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    held = {0, *random.Random(1).sample(range(2000), 250)}
    client, gates = ScriptedClient(), Gates(*((0, offset) for offset in held))
    client.produce(A, *keys(2000))
    client.answers.extend([ClientError("OFFSET_METADATA_TOO_LARGE", "no")] * 2)
    async with running(client, Handler(gates), A, concurrency=300, commit_interval=1) as stage:
        await trio.sleep(20)
        sizes = [len(request[A].metadata) for request in client.requests]
        assert len(sizes) == 3
        assert 0 < sizes[1] <= sizes[0] // 2
        assert 0 < sizes[2] <= sizes[1] // 2
        ranges = decode(client.committed[A].metadata, 0)
        covered = {offset for start, stop in ranges for offset in range(start, stop)}
        assert len(covered) > 200
        assert covered == set(range(ranges[-1][1])) - held  # a prefix
        assert stage.consumer.statistics().offset_maps_cut == 2
        assert stage.consumer.statistics().partitions[A].offset_map_characters == sizes[2]
        gates.open()
    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 2
    assert "offset.metadata.max.bytes" in warnings[0]
    assert client.committed == {A: Commit(2000)}


@pytest.mark.parametrize("code", ["FENCED_INSTANCE_ID", "GROUP_AUTHORIZATION_FAILED", "_FATAL"])
async def test_a_fatal_error_ends_run(autojump_clock: MockClock, code: str) -> None:
    client, gates = ScriptedClient(), Gates((0, 1))
    handler, error = Handler(gates), ClientError(code, "over")
    client.produce(A, b"a", b"b")
    client.answers.append(error)
    async with running(client, handler, A, commit_interval=1) as stage:
        assert await stage.failure() is error
        assert trio.current_time() <= 1
        assert stage.consumer.statistics().commit_errors == {code: 1}
    assert handler.cancelled == [(0, 1)]
    assert len(client.requests) == 1  # nor is there a last one


async def test_a_client_that_calls_its_error_fatal(autojump_clock: MockClock) -> None:
    client, error = ScriptedClient(), ClientError("UNHEARD_OF", "over", fatal=True)
    client.produce(A, b"a")
    client.answers.append(error)
    async with running(client, Handler(), A) as stage:
        assert await stage.failure() is error


async def test_a_fatal_error_of_the_last_commit(autojump_clock: MockClock) -> None:
    client, error = ScriptedClient(), ClientError("FENCED_INSTANCE_ID", "over")
    client.produce(A, b"a")
    async with running(client, Handler(), A, commit_interval=100) as stage:
        client.answers.append(error)
        await stage.consumer.drain()
        assert await stage.failure() is error


async def test_a_client_that_dies_ends_run(autojump_clock: MockClock) -> None:
    """Whatever a task of ours dies of, it is never a silent stall."""
    client, error = ScriptedClient(), RuntimeError("a bug of the client")
    client.produce(A, b"a")
    client.answers.append(error)
    async with running(client, Handler(), A) as stage:
        assert await stage.failure() is error


async def test_plain_offsets_on_request(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Gates((0, 1))
    client.produce(A, b"a", b"b", b"c")
    async with running(client, Handler(gates), A, order=Order.UNORDERED, offset_map_characters_max=0):
        await trio.sleep(2)
        assert client.committed == {A: Commit(1, "")}
        gates.open()
