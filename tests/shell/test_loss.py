"""A loss: cancel at once, commit nothing of it any more, whatever comes late."""

from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.shell.scripted import ScriptedClient
from tests.shell.stage import A, B, C, Gates, Handler, keys, running
from trio_consumer import Record
from trio_consumer.client.port import Commit

AWAITS = 4


async def shielded(record: Record) -> None:
    with trio.CancelScope(shield=True):
        await trio.sleep(10)


@pytest.mark.parametrize("waited", range(AWAITS))
async def test_at_every_await_of_a_handler(autojump_clock: MockClock, waited: int) -> None:
    client = ScriptedClient()

    async def work(record: Record) -> None:
        for _ in range(AWAITS):
            await trio.sleep(1)

    handler = Handler(work)
    client.produce(A, b"a", b"a", b"b")
    async with running(client, handler, A, grace=5, commit_interval=100) as stage:
        await trio.sleep(waited + 0.5)
        client.lose(A)
        await wait_all_tasks_blocked()
        assert sorted(handler.cancelled) == [(0, 0), (0, 2)]
        assert not client.requests
        statistics = stage.consumer.statistics()
        assert statistics.cancelled_attempts == 2
        assert statistics.tenures_lost == 1
        assert statistics.partitions == {}
        client.assign(A)
        await trio.sleep(20)
    assert [at for at in handler.done if at[1] != 2] == [(0, 0), (0, 1)]
    assert client.committed == {A: Commit(3)}


async def test_what_was_handled_before_is_not_committed_afterwards(autojump_clock: MockClock) -> None:
    client, handler = ScriptedClient(), Handler()
    client.produce(A, *keys(10))
    async with running(client, handler, A, commit_interval=100):
        assert len(handler.done) == 10
        client.lose(A)
        await trio.sleep(1000)
    assert not client.requests


async def test_outcomes_that_come_late_count_for_nothing(autojump_clock: MockClock) -> None:
    client = ScriptedClient()

    async def work(record: Record) -> None:
        await shielded(record)
        if record.offset == 1:
            raise ValueError

    handler = Handler(work)
    client.produce(A, b"a", b"b", b"a")
    async with running(client, handler, A, attempts=1) as stage:
        client.lose(A)
        await trio.sleep(100)
        assert handler.done == [(0, 0)]
        assert handler.raised == [(0, 1)]
        assert stage.consumer.statistics().handled == 0
        assert stage.consumer.statistics().in_flight == 0
        assert not stage.ended.is_set()  # nor does a failure halt
    assert not client.requests


async def test_a_late_outcome_does_not_complete_a_fresh_record(autojump_clock: MockClock) -> None:
    client = ScriptedClient()
    handler = Handler(shielded)
    client.produce(A, b"a")
    async with running(client, handler, A) as stage:
        await trio.sleep(1)
        client.lose(A)
        client.assign(A)
        await trio.sleep(9.5)  # the first tenure's handler has just succeeded, the second one's has started
        assert handler.done == [(0, 0)]
        assert handler.started == [(0, 0)] * 2
        statistics = stage.consumer.statistics()
        assert (statistics.handled, statistics.partitions[A].committable, statistics.partitions[A].in_flight) == (
            0,
            0,
            1,
        )
        await trio.sleep(10)
        assert stage.consumer.statistics().handled == 1
    assert client.committed == {A: Commit(1)}


async def test_a_commit_in_flight_at_the_loss(autojump_clock: MockClock) -> None:
    """Its answer, whatever it is, changes nothing of the next tenure."""
    client, answer, gates = ScriptedClient(), trio.Event(), Gates()
    client.produce(A, *keys(10))
    client.answers.append(answer)
    handler = Handler()
    async with running(client, handler, A, commit_interval=1) as stage:
        await trio.sleep(2)
        assert len(client.requests) == 1
        client.lose(A)
        handler.work = gates
        client.assign(A)
        await wait_all_tasks_blocked()
        answer.set()
        await wait_all_tasks_blocked()
        assert client.commits == [{A: Commit(10)}, {A: Commit(0)}]
        assert stage.consumer.statistics().partitions[A].committed == 0  # by a first commit of its own
        gates.open()
        await trio.sleep(5)
        assert client.requests[1:] == [{A: Commit(0)}, {A: Commit(10)}]
        assert stage.consumer.statistics().partitions[A].committed == 10


async def test_the_others_go_on(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Gates()
    handler = Handler(gates)
    for partition in (A, B, C):
        client.produce(partition, b"a", b"a")
    async with running(client, handler, A, B, C) as stage:
        client.lose(A, B)
        await wait_all_tasks_blocked()
        assert handler.running == [(2, 0)]
        assert stage.consumer.statistics().tenures_lost == 2
        gates.open((2, 0), (2, 1))
        await trio.sleep(5)
    assert client.committed == {C: Commit(2)}


async def test_it_is_logged_once_and_by_name(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    client = ScriptedClient()
    async with running(client, Handler(), A, B):
        client.lose(A, B)
        client.lose(A, C)  # what we do not hold cannot be lost
        client.lose()
        await wait_all_tasks_blocked()
        assert client.polled
    (record,) = [record for record in caplog.records if record.levelno >= logging.INFO]
    assert record.levelno == logging.WARNING
    assert "t[0], t[1]" in record.message


async def test_records_that_wait_for_a_retry_are_forgotten(autojump_clock: MockClock) -> None:
    client = ScriptedClient()

    async def work(record: Record) -> None:
        if record.attempt < 3:
            raise ValueError

    handler = Handler(work)
    client.produce(A, b"a")
    async with running(client, handler, A, backoff=10) as stage:
        await trio.sleep(5)
        client.lose(A)
        await trio.sleep(100)
        assert handler.started == [(0, 0)]
        assert stage.consumer.statistics().parked == 0
        client.assign(A)
        await trio.sleep(100)
        assert len(handler.started) == 4  # attempts are counted from one again
    assert client.committed == {A: Commit(1)}


@pytest.mark.parametrize("refused", [0, 1, 3])
async def test_a_log_that_goes_back_loses_nothing_that_was_still_to_be_done(
    autojump_clock: MockClock, refused: int
) -> None:
    client, gates = ScriptedClient(), Gates((0, 1))
    client.seeks_refused = refused
    handler = Handler(gates)
    client.produce(A, b"a", b"b", b"c", b"d")
    async with running(client, handler, A, concurrency=1, commit_interval=1) as stage:
        assert handler.done == [(0, 0)]  # 1 runs, 2 and 3 wait
        client.rewind(A, 3)
        await wait_all_tasks_blocked()
        gates.open((0, 1))
        await trio.sleep(10)
        assert stage.consumer.statistics().tenures_lost == 1
        assert stage.consumer.statistics().client_errors == ({"_STATE": refused} if refused else {})
    assert [at for at in handler.done if at != (0, 1)] == [(0, 0), (0, 2), (0, 3)]
    assert (0, 1) in handler.done
    assert client.committed[A].offset == 4
