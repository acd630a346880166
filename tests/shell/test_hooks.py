"""Hooks at the start and the end of a tenure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.shell.scripted import ScriptedClient
from tests.shell.stage import A, B, Gates, Handler, keys, running
from trio_consumer import CallbackFailed, Partition, Record
from trio_consumer.client.port import Commit


class Story:
    """Notes what happens to partition A, and when; hooks take so many seconds."""

    def __init__(self, start_seconds: float = 0, end_seconds: float = 0) -> None:
        self.client = ScriptedClient()
        self.client.on_commit = lambda offsets: self.note(f"commit {offsets[A].offset}") if A in offsets else None
        self.start_seconds = start_seconds
        self.end_seconds = end_seconds
        self.told: list[str] = []

    def note(self, what: str) -> None:
        self.told.append(what)

    async def start(self, partition: Partition) -> None:
        self.note("start")
        try:
            await trio.sleep(self.start_seconds)
        except trio.Cancelled:
            self.note("start cancelled")
            raise
        self.note("started")

    async def end(self, partition: Partition) -> None:
        self.note("end")
        await trio.sleep(self.end_seconds)
        self.note("ended")

    async def handle(self, record: Record) -> None:
        self.note(f"handle {record.offset}")


async def test_in_order(autojump_clock: MockClock) -> None:
    """Start, handlers, end, commit; and each partition for itself."""
    story = Story(start_seconds=5, end_seconds=3)
    story.client.produce(A, b"a", b"a")
    async with running(
        story.client, story.handle, A, tenure_start=story.start, tenure_end=story.end, commit_interval=100
    ):
        await trio.sleep(4)
        assert story.told == ["start"]
        await trio.sleep(6)
        story.client.revoke(A)
        await trio.sleep(2)
        assert not story.client.released
        await trio.sleep(2)
        assert story.client.released
    assert story.told == ["start", "started", "handle 0", "handle 1", "end", "ended", "commit 2"]


@pytest.mark.parametrize("how", ["drain", "cancel", "halt"])
async def test_at_the_end_of_run(autojump_clock: MockClock, how: str) -> None:
    story, gates = Story(end_seconds=3), Gates((0, 1))

    async def work(record: Record) -> None:
        await gates(record)
        if how == "halt":
            raise ValueError
        await story.handle(record)

    story.client.produce(A, b"a", b"b")
    async with running(
        story.client, work, A, tenure_start=story.start, tenure_end=story.end, commit_interval=100, attempts=1
    ) as stage:
        if how == "cancel":
            await stage.cancel()
        elif how == "halt":
            gates.open()
            await stage.failure()
        else:
            gates.open()
            await stage.consumer.drain()
    offset = {"drain": 2, "cancel": 1, "halt": 0}[how]
    handled = [f"handle {number}" for number in range(offset)]
    assert story.told == ["start", "started", *handled, "end", "ended", f"commit {offset}"]


async def test_after_a_loss(autojump_clock: MockClock) -> None:
    """The end hook waits for the last handler; nothing is committed; the next tenure waits for it."""
    story = Story(start_seconds=1, end_seconds=2)

    async def work(record: Record) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(10)
        await story.handle(record)

    story.client.produce(A, b"a")
    async with running(
        story.client, Handler(work), A, tenure_start=story.start, tenure_end=story.end, commit_interval=100
    ):
        await trio.sleep(2)
        story.client.lose(A)
        story.client.assign(A)
        await trio.sleep(20)
        assert story.told == ["start", "started", "handle 0", "end", "ended", "start", "started"]
        await trio.sleep(20)
    assert story.told[7:] == ["handle 0", "end", "ended", "commit 1"]


async def test_a_start_that_takes_too_long_is_cancelled_by_a_revoke(autojump_clock: MockClock) -> None:
    story = Story(start_seconds=1000)
    story.client.produce(A, b"a")
    async with running(story.client, story.handle, A, tenure_start=story.start, tenure_end=story.end):
        await trio.sleep(1)
        story.client.revoke(A)
        await wait_all_tasks_blocked()
        assert story.client.released
    assert [what for what in story.told if what != "commit 0"] == ["start", "start cancelled"]  # so there is no end


@pytest.mark.parametrize("how", ["lose", "cancel", "drain"])
async def test_a_start_that_takes_too_long_is_cancelled(autojump_clock: MockClock, how: str) -> None:
    story = Story(start_seconds=1000)
    story.client.produce(A, b"a")
    async with running(story.client, story.handle, A, tenure_start=story.start, tenure_end=story.end) as stage:
        await trio.sleep(1)
        if how == "lose":
            story.client.lose(A)
        elif how == "cancel":
            await stage.cancel()
        await wait_all_tasks_blocked()
    assert [what for what in story.told if "commit" not in what] == ["start", "start cancelled"]


@pytest.mark.parametrize("how", ["revoke", "lose", "drain"])
async def test_a_start_that_returns_although_it_was_cancelled_has_its_end(autojump_clock: MockClock, how: str) -> None:
    story = Story()

    async def start(partition: Partition) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(2)
        story.note("started")

    async with running(story.client, story.handle, A, tenure_start=start, tenure_end=story.end) as stage:
        await trio.sleep(1)
        if how == "drain":
            await stage.consumer.drain()
        else:
            (story.client.lose if how == "lose" else story.client.revoke)(A)
            await trio.sleep(10)
        assert story.told == ["started", "end", "ended"]


async def test_other_partitions_do_not_wait(autojump_clock: MockClock) -> None:
    client, handler = ScriptedClient(), Handler()

    async def start(partition: Partition) -> None:
        await trio.sleep(100 if partition == A else 1)

    for partition in (A, B):
        client.produce(partition, *keys(3))
    async with running(client, handler, A, B, tenure_start=start) as stage:
        await trio.sleep(50)
        assert {partition for partition, _ in handler.done} == {1}
        assert stage.consumer.statistics().partitions[A].queued == 3
        await trio.sleep(100)
    assert client.committed == {A: Commit(3), B: Commit(3)}


async def test_only_one_of_the_two(autojump_clock: MockClock) -> None:
    story = Story()
    story.client.produce(A, b"a")
    async with running(story.client, story.handle, A, tenure_end=story.end, commit_interval=100):
        await trio.sleep(1)
    assert story.told == ["handle 0", "end", "ended", "commit 1"]
    story = Story()
    story.client.produce(A, b"a")
    async with running(story.client, story.handle, A, tenure_start=story.start, commit_interval=100):
        await trio.sleep(1)
        story.client.revoke(A)
        await trio.sleep(1)
    assert story.told == ["start", "started", "handle 0", "commit 1"]


async def test_an_end_that_takes_too_long_leaves_time_for_the_commit(autojump_clock: MockClock) -> None:
    story = Story(end_seconds=1000)
    story.client.produce(A, b"a")
    async with running(
        story.client, story.handle, A, tenure_end=story.end, commit_interval=100, revoke_deadline=20
    ) as stage:
        story.client.revoke(A)
        await trio.sleep(19.9)
        assert story.client.released
        assert story.told == ["handle 0", "end", "commit 1"]
        await stage.cancel()


async def fails(partition: Partition) -> None:
    await trio.sleep(1)
    raise ValueError("of a hook")


async def fails_in_a_group(partition: Partition) -> None:
    async with trio.open_nursery():
        raise ValueError("of a hook")


@pytest.mark.parametrize("hook", [fails, fails_in_a_group])
async def test_a_start_that_fails_ends_run(
    autojump_clock: MockClock, hook: Callable[[Partition], Awaitable[None]]
) -> None:
    client, handler = ScriptedClient(), Handler()
    client.produce(A, b"a")
    async with running(client, handler, A, tenure_start=hook) as stage:
        failure = await stage.failure()
    assert isinstance(failure, CallbackFailed)
    assert failure.name == "tenure_start"
    assert isinstance(failure.__cause__, (ValueError, ExceptionGroup))
    assert not handler.started


@pytest.mark.parametrize("how", ["revoke", "lose", "drain"])
async def test_an_end_that_fails_ends_run(autojump_clock: MockClock, how: str) -> None:
    """After the commit: what was handled was handled."""
    client = ScriptedClient()
    client.produce(A, b"a")
    async with running(client, Handler(), A, tenure_end=fails, commit_interval=100) as stage:
        if how != "drain":
            (client.lose if how == "lose" else client.revoke)(A)
        else:
            await stage.consumer.drain()
        failure = await stage.failure()
    assert isinstance(failure, CallbackFailed)
    assert failure.name == "tenure_end"
    assert client.committed == ({} if how == "lose" else {A: Commit(1)})


@pytest.mark.parametrize("which", ["tenure_start", "tenure_end"])
async def test_a_hook_that_ends_the_program(autojump_clock: MockClock, which: str) -> None:
    async def hook(partition: Partition) -> None:
        raise SystemExit(3)

    client = ScriptedClient()
    client.produce(A, b"a")
    async with running(client, Handler(), A, **{which: hook}) as stage:  # type: ignore[arg-type]
        client.revoke(A)
        assert isinstance(await stage.failure(), SystemExit)
