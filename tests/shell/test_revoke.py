"""A revoke: no handler starts, grace, cancel, one commit, release; all of it by the deadline."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.shell.scripted import ScriptedClient
from tests.shell.stage import A, B, C, Gates, Handler, keys, running
from trio_consumer import ClientError, Record
from trio_consumer.client.port import Commit

AWAITS = 5


async def ignore_cancellation(record: Record) -> None:
    with trio.CancelScope(shield=True):
        await trio.sleep(500)


async def test_no_handler_starts_once_it_begins(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Gates()
    handler = Handler(gates)
    client.produce(A, b"a", b"a", b"b", b"b", b"c", b"d")
    async with running(client, handler, A, concurrency=3, grace=5) as stage:
        assert len(handler.started) == 3
        client.revoke(A)
        await trio.sleep(1)
        gates.open(*handler.running[:2])
        await trio.sleep(1)
        gates.open()
        await wait_all_tasks_blocked()
        assert client.released
        assert trio.current_time() == 2  # nobody waits longer than he must
        assert len(handler.started) == 3
        assert stage.consumer.statistics().partitions == {}
        await trio.sleep(50)
    assert len(handler.started) == 3


async def test_what_finishes_within_the_grace_is_committed_before_the_release(autojump_clock: MockClock) -> None:
    client = ScriptedClient()

    async def work(record: Record) -> None:
        await trio.sleep(4)

    handler = Handler(work)
    client.produce(A, b"a", b"b")
    owned_at_commit = []
    client.on_commit = lambda offsets: owned_at_commit.append(set(client.owned))
    async with running(client, handler, A, grace=5, commit_interval=100):
        client.revoke(A)
        await trio.sleep(3.9)
        assert not client.released
        await trio.sleep(0.2)
        assert len(client.released) == 1
        assert client.committed == {A: Commit(2)}
        assert owned_at_commit == [{A}]


async def test_what_exceeds_the_grace_is_cancelled_and_not_committed(autojump_clock: MockClock) -> None:
    client = ScriptedClient()

    async def work(record: Record) -> None:
        await trio.sleep(3 if record.offset == 0 else 30)

    handler = Handler(work)
    client.produce(A, b"a", b"b", b"c")
    async with running(client, handler, A, grace=5) as stage:
        client.revoke(A)
        await trio.sleep(5.5)
        assert client.released
        assert sorted(handler.cancelled) == [(0, 1), (0, 2)]
        assert stage.consumer.statistics().cancelled_attempts == 2
        assert stage.consumer.statistics().revokes_overrun == 0
    assert client.committed == {A: Commit(1)}


@pytest.mark.parametrize("waited", range(AWAITS))
async def test_at_every_await_of_a_handler(autojump_clock: MockClock, waited: int) -> None:
    """The record is handled again from its beginning, in order."""
    client = ScriptedClient()

    async def work(record: Record) -> None:
        for _ in range(AWAITS):
            await trio.sleep(1)

    handler = Handler(work)
    client.produce(A, b"a", b"a")
    async with running(client, handler, A, grace=0):
        await trio.sleep(waited + 0.5)
        client.revoke(A)
        await wait_all_tasks_blocked()
        assert handler.cancelled == [(0, 0)]
        assert client.released
        assert client.committed == {A: Commit(0)}
        client.assign(A)
        await trio.sleep(20)
    assert handler.done == [(0, 0), (0, 1)]
    assert client.committed == {A: Commit(2)}


async def test_the_deadline_holds_when_a_handler_ignores_its_cancellation(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    client = ScriptedClient()

    async def work(record: Record) -> None:
        if record.offset == 1:
            await ignore_cancellation(record)

    handler = Handler(work)
    client.produce(A, b"a", b"b", b"c")
    async with running(client, handler, A, grace=5, revoke_deadline=20) as stage:
        client.revoke(A)
        await trio.sleep(19.9)
        assert len(client.released) == 1
        assert client.committed[A].offset == 1
        assert client.committed[A].metadata
        assert stage.consumer.statistics().revokes_overrun == 1
        assert stage.consumer.statistics().in_flight == 1
        (message,) = [record.message for record in caplog.records if record.levelname == "ERROR"]
        assert "t[0]@1" in message


async def test_the_deadline_holds_when_the_commit_never_answers(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    client = ScriptedClient()
    client.produce(A, b"a")
    async with running(client, Handler(), A, revoke_deadline=20, commit_interval=100) as stage:
        client.answers.append(trio.Event())
        client.revoke(A)
        await trio.sleep(19.9)
        assert not client.released
        await trio.sleep(0.2)
        assert len(client.released) == 1
        assert stage.consumer.statistics().revokes_overrun == 1
    assert not client.commits
    (message,) = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert "t[0]" in message
    assert "revoke_deadline=20 s" in message


async def test_an_overrun_counts_once(autojump_clock: MockClock) -> None:
    client, handler = ScriptedClient(), Handler(ignore_cancellation)
    client.produce(A, b"a")
    async with running(client, handler, A, revoke_deadline=20, commit_interval=100) as stage:
        client.answers.append(trio.Event())
        client.revoke(A)
        await trio.sleep(30)
        assert stage.consumer.statistics().revokes_overrun == 1


async def test_retained_partitions_go_on(autojump_clock: MockClock) -> None:
    client = ScriptedClient()

    async def work(record: Record) -> None:
        await trio.sleep(1 if record.partition == 1 else 100)

    handler = Handler(work)
    client.produce(A, b"a")
    client.produce(B, *keys(20, 2))
    async with running(client, handler, A, B, grace=5, commit_interval=0.5):
        client.revoke(A)
        await trio.sleep(4.9)
        assert not client.released
        assert len(handler.done) == 8
        assert client.committed[B].offset == 8  # and they are committed meanwhile
        await trio.sleep(10)
        assert client.owned == {B}
    assert client.committed[B] == Commit(20)


async def test_the_commit_is_one_snapshot_of_all_that_are_revoked(autojump_clock: MockClock) -> None:
    client = ScriptedClient()
    for partition in (A, B, C):
        client.produce(partition, *keys(5))
    async with running(client, Handler(), A, B, C, commit_interval=100):
        client.revoke(A, B)
        await wait_all_tasks_blocked()
        assert client.requests == [{A: Commit(5), B: Commit(5)}]


async def test_nothing_new_is_not_committed_again(autojump_clock: MockClock) -> None:
    client = ScriptedClient()
    client.produce(A, b"a")
    async with running(client, Handler(), A):
        await trio.sleep(2)
        assert len(client.requests) == 1
        client.revoke(A)
        await wait_all_tasks_blocked()
        assert client.released
    assert len(client.requests) == 1


async def test_a_refused_commit_is_sent_again(autojump_clock: MockClock) -> None:
    client = ScriptedClient()
    client.produce(A, b"a")
    async with running(client, Handler(), A, commit_interval=100) as stage:
        client.answers.extend([ClientError("REBALANCE_IN_PROGRESS", "wait")] * 2)
        client.revoke(A)
        await trio.sleep(5)
        assert client.committed == {A: Commit(1)}
        assert len(client.requests) == 3
        assert len(client.released) == 1
        assert stage.consumer.statistics().commit_errors == {"REBALANCE_IN_PROGRESS": 2}


async def test_a_commit_that_is_refused_three_times_is_given_up(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    client = ScriptedClient()
    client.produce(A, b"a")
    async with running(client, Handler(), A, commit_interval=100):
        client.answers.extend([ClientError("REBALANCE_IN_PROGRESS", "wait")] * 3)
        client.revoke(A)
        await trio.sleep(5)
        assert len(client.released) == 1
    assert len(client.requests) == 3
    assert not client.commits
    (message,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert "t[0]" in message
    assert "3 times" in message


async def test_it_supersedes_a_commit_that_is_unanswered(autojump_clock: MockClock) -> None:
    client = ScriptedClient()
    client.produce(A, b"a")
    async with running(client, Handler(), A, B, commit_interval=1) as stage:
        client.answers.append(trio.Event())
        await trio.sleep(2)  # the first commit is in flight
        client.produce(A, b"b")
        client.produce(B, b"b")
        await wait_all_tasks_blocked()
        client.revoke(A)
        await wait_all_tasks_blocked()
        assert client.released
        assert client.committed == {A: Commit(2)}
        await trio.sleep(5)
        assert client.committed == {A: Commit(2), B: Commit(1)}
        assert stage.consumer.statistics().commit_errors == {"_SUPERSEDED": 1}


async def test_records_that_wait_for_a_retry_are_not_waited_for(autojump_clock: MockClock) -> None:
    client = ScriptedClient()

    async def work(record: Record) -> None:
        if record.offset == 1:
            raise ValueError

    client.produce(A, b"a", b"b", b"c")
    async with running(client, Handler(work), A, attempts=None, backoff=3) as stage:
        client.revoke(A)
        await wait_all_tasks_blocked()
        assert client.released
        await trio.sleep(10)
        assert stage.consumer.statistics().failed_attempts == 1
    assert client.committed[A].offset == 1


async def test_a_failure_during_the_grace(autojump_clock: MockClock) -> None:
    client = ScriptedClient()

    async def work(record: Record) -> None:
        await trio.sleep(1)
        raise ValueError

    client.produce(A, b"a")
    async with running(client, Handler(work), A, attempts=2, backoff=1) as stage:
        client.revoke(A)
        await trio.sleep(10)
        assert client.released
        assert stage.consumer.statistics().failed_attempts == 1
    assert client.committed == {A: Commit(0)}


@pytest.mark.parametrize("partitions", [(), (C,)])
async def test_what_we_do_not_hold_is_released(autojump_clock: MockClock, partitions: tuple[()]) -> None:
    client = ScriptedClient()
    async with running(client, Handler(), A):
        client.revoke(*partitions)
        await wait_all_tasks_blocked()
        assert len(client.released) == 1
        assert client.polled
    assert not client.requests


async def test_revoke_after_revoke(autojump_clock: MockClock) -> None:
    client, handler = ScriptedClient(), Handler()
    client.produce(A, *keys(5))
    client.produce(B, *keys(5))
    async with running(client, handler, A, B, commit_interval=100):
        client.revoke(A)
        client.revoke(B)
        client.assign(A)
        client.revoke(A)
        await wait_all_tasks_blocked()
        assert len(client.released) == 3
    assert client.committed == {A: Commit(5), B: Commit(5)}
    assert len(handler.started) == 10


async def test_a_revoke_during_a_drain(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Gates()
    handler = Handler(gates)
    client.produce(A, b"a")
    client.produce(B, b"b")
    async with running(client, handler, A, B) as stage, trio.open_nursery() as nursery:
        nursery.start_soon(stage.consumer.drain)
        await trio.sleep(1)
        client.revoke(A)
        await trio.sleep(1)
        gates.open()
    assert len(client.released) == 1
    assert client.committed == {A: Commit(1), B: Commit(1)}
