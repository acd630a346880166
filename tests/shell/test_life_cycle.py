"""From `open_consumer` to the end of `run`: start, drain, and calls out of order."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.shell.scripted import ScriptedClient
from tests.shell.stage import SETTINGS, A, B, Gates, Handler, Stage, keys, opened, running
from trio_consumer import ConfigurationError, StateError, open_consumer
from trio_consumer.client.port import Assigned, Commit


async def test_everything_is_handled_and_committed(autojump_clock: MockClock) -> None:
    client, handler = ScriptedClient(), Handler()
    client.produce(A, *keys(1000, 10))
    client.produce(B, *keys(500))
    async with running(client, handler, A, B) as stage:
        await wait_all_tasks_blocked()
        assert len(handler.done) == 1500
        assert not client.commits  # not before the interval is over, or something ends
        await stage.consumer.drain()
    assert client.committed == {A: Commit(1000), B: Commit(500)}
    assert client.closed == 1


async def test_drain_waits_for_a_long_handler(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Gates()
    handler = Handler(gates)
    client.produce(A, b"a", b"a", b"b")
    async with running(client, handler, A, concurrency=1) as stage, trio.open_nursery() as nursery:
        assert handler.running == [(0, 0)]
        nursery.start_soon(stage.consumer.drain)
        await trio.sleep(1_000)
        assert not stage.ended.is_set()
        assert client.polled  # the group is kept up for as long as that takes
        gates.open((0, 0))
        await stage.ended.wait()
    assert handler.started == [(0, 0)]
    assert client.committed == {A: Commit(1)}


async def test_drain_stops_fetching(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Gates()
    handler = Handler(gates)
    client.produce(A, b"a")
    async with running(client, handler, A) as stage, trio.open_nursery() as nursery:
        nursery.start_soon(stage.consumer.drain)
        await wait_all_tasks_blocked()
        assert client.paused == {A}
        client.produce(A, b"b")
        await trio.sleep(1)
        assert stage.consumer.statistics().queued == 0
        gates.open()
    assert handler.started == [(0, 0)]


async def test_a_cancelled_drain_only_stops_waiting(autojump_clock: MockClock) -> None:
    client, gates = ScriptedClient(), Gates()
    handler = Handler(gates)
    client.produce(A, b"a", b"a")
    async with running(client, handler, A) as stage:
        with trio.move_on_after(5) as scope:
            await stage.consumer.drain()
        assert scope.cancelled_caught
        assert not stage.ended.is_set()
        gates.open()
        await stage.ended.wait()
    assert handler.done == [(0, 0)]
    assert client.committed == {A: Commit(1)}


async def test_several_drains_at_once_and_after_the_end(autojump_clock: MockClock) -> None:
    client = ScriptedClient()
    async with running(client, Handler(), A) as stage:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(stage.consumer.drain)
        assert stage.ended.is_set()
        await stage.consumer.drain()


async def test_drain_from_within_a_handler_may_be_asked_for(autojump_clock: MockClock) -> None:
    client = ScriptedClient()
    client.produce(A, b"a", b"a", b"a")

    async def ask(record: Any) -> None:
        if record.offset == 1:
            with trio.move_on_after(0):
                await stage.consumer.drain()

    handler = Handler(ask)
    async with opened(client) as consumer, trio.open_nursery() as nursery:
        stage = Stage(consumer)
        nursery.start_soon(stage.run, handler)
        client.assign(A)
        await stage.ended.wait()
    assert handler.done == [(0, 0), (0, 1)]
    assert client.committed == {A: Commit(2)}


async def test_drain_before_run(autojump_clock: MockClock) -> None:
    async with opened(ScriptedClient()) as consumer:
        with pytest.raises(StateError, match="before run"):
            await consumer.drain()


async def test_a_second_run_is_refused(autojump_clock: MockClock) -> None:
    async with running(ScriptedClient(), Handler()) as stage:
        with pytest.raises(StateError, match="second time"):
            await stage.consumer.run(Handler())
        await stage.consumer.drain()
        with pytest.raises(StateError, match="second time"):
            await stage.consumer.run(Handler())


async def test_a_handler_that_is_no_function(autojump_clock: MockClock) -> None:
    async with opened(ScriptedClient()) as consumer:
        with pytest.raises(ConfigurationError, match="handler=None"):
            await consumer.run(None)  # type: ignore[arg-type]


async def test_run_is_started_when_the_client_is_being_polled(autojump_clock: MockClock) -> None:
    client = ScriptedClient()
    async with opened(client) as consumer, trio.open_nursery() as nursery:
        await nursery.start(consumer.run, Handler())
        await wait_all_tasks_blocked()
        assert client.polled
        await consumer.drain()


async def test_wait_assigned(autojump_clock: MockClock) -> None:
    client = ScriptedClient()
    async with running(client, Handler()) as stage:
        found = []

        async def wait() -> None:
            found.append(await stage.consumer.wait_assigned())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            nursery.start_soon(wait)
            await trio.sleep(1)
            assert not found
            client.assign(A, B)
        assert found == [{A, B}, {A, B}]
        client.revoke(A, B)
        await wait_all_tasks_blocked()
        with trio.move_on_after(1) as scope:
            await stage.consumer.wait_assigned()
        assert scope.cancelled_caught


async def test_wait_assigned_sleeps_through_an_assignment_of_nothing(autojump_clock: MockClock) -> None:
    client = ScriptedClient()
    async with running(client, Handler()) as stage:
        client.emit(Assigned({}))
        with trio.move_on_after(1) as scope:
            await stage.consumer.wait_assigned()
        assert scope.cancelled_caught
        client.assign(A)
        assert await stage.consumer.wait_assigned() == {A}


async def test_wait_assigned_out_of_order(autojump_clock: MockClock) -> None:
    client = ScriptedClient()
    async with opened(client) as consumer:
        with pytest.raises(StateError, match="run"):
            await consumer.wait_assigned()
    async with running(client, Handler(), A) as stage:
        await stage.consumer.drain()
        with pytest.raises(StateError, match="ended"):
            await stage.consumer.wait_assigned()


async def test_wait_assigned_ends_with_run(autojump_clock: MockClock) -> None:
    async with running(ScriptedClient(), Handler()) as stage:
        with pytest.RaisesGroup(StateError):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stage.consumer.wait_assigned)
                await trio.sleep(1)
                await stage.consumer.drain()


@pytest.mark.parametrize("topics", [[], [""], ["t", 1], ""])
async def test_topics_that_are_none(autojump_clock: MockClock, topics: Any) -> None:
    with pytest.raises(ConfigurationError, match="topics="):
        async with open_consumer(SETTINGS, topics, connect=ScriptedClient().connect):
            pass


async def test_topics_are_passed_on_once_each(autojump_clock: MockClock) -> None:
    client = ScriptedClient()
    async with open_consumer(SETTINGS, iter(["t", "^u.*", "t"]), connect=client.connect):
        assert client.topics == ("t", "^u.*")
        assert client.settings["group.id"] == "group"


async def test_an_unknown_option_is_refused(autojump_clock: MockClock) -> None:
    with pytest.raises(ConfigurationError, match="concurency"):
        async with open_consumer(SETTINGS, "t", connect=ScriptedClient().connect, concurency=3):  # type: ignore[call-arg]
            pass


async def test_a_revoke_deadline_above_half_of_the_poll_interval_is_refused(autojump_clock: MockClock) -> None:
    settings = {**SETTINGS, "max.poll.interval.ms": 10_000}
    with pytest.raises(ConfigurationError, match="revoke_deadline"):
        async with open_consumer(settings, "t", connect=ScriptedClient().connect, grace=1, revoke_deadline=5):
            pass
