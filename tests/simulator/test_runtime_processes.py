"""Processes in Trio: frozen, thawed, killed, and what is left of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio

from simulator.runtime.clock import VirtualClock
from simulator.runtime.dice import SeededDice
from simulator.runtime.errors import Undying
from simulator.runtime.processes import Process
from simulator.runtime.run import run
from simulator.runtime.schedulers import Fifo, scheduler
from simulator.runtime.trio_internals import current_process, kill, live, tasks_of


class World:
    """A clock, one process, and what was noted."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.process = Process("a.1", self.clock)
        self.noted: list[tuple[str, Any]] = []
        self.ended_at = -1.0

    def run(self, main: Callable[[], Awaitable[object]], *, seconds: float = 100) -> None:
        async def world() -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._live, main)
                await trio.sleep(seconds)

        run(world, clock=self.clock, scheduler=Fifo(), steps_max=20_000)

    async def _live(self, main: Callable[[], Awaitable[object]]) -> None:
        await live(self.process, main)
        self.ended_at = trio.current_time()

    async def ticks(self, label: str = "tick") -> None:
        while True:
            await trio.sleep(1)
            self.noted.append((label, trio.current_time()))


@pytest.fixture
def world() -> World:
    return World()


def test_a_frozen_process_does_nothing_and_others_go_on(world: World) -> None:
    async def other() -> None:
        await world.ticks("other")

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(live, world.process, world.ticks)
            nursery.start_soon(other)
            await trio.sleep(8.7)
            nursery.cancel_scope.cancel()

    world.clock.after(2.5, partial(world.process.freeze, whole=False))
    world.clock.after(6.5, world.process.thaw)
    run(main, clock=world.clock, scheduler=Fifo())
    # It slept from 2 to 3, was due at 3 and got to it at 6.5; then it went on from there.
    assert [now for label, now in world.noted if label == "tick"] == [1, 2, 6.5, 7.5, 8.5]
    assert [now for label, now in world.noted if label == "other"] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_frozen_process_can_be_killed(world: World) -> None:
    world.clock.after(2.5, partial(world.process.freeze, whole=True))
    world.clock.after(4.5, kill, world.process)
    world.run(world.ticks)
    assert world.noted == [("tick", 1), ("tick", 2)]
    assert world.ended_at == 4.5


@pytest.mark.parametrize("name", ["shuffle", "hold-back", "pct"])
def test_a_killed_process_is_gone_at_once_whatever_it_shields(name: str) -> None:
    clock = VirtualClock()
    process = Process("a.1", clock)
    ended: list[float] = []

    async def stubborn(depth: int) -> None:
        """Shields its clean-up, and the clean-up of that, and so on."""
        try:
            with trio.CancelScope(shield=True):
                await trio.sleep(1000)
        finally:
            if depth:
                await stubborn(depth - 1)  # noqa: ASYNC102

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stubborn, 5)
            with trio.CancelScope(shield=True):
                async with trio.open_nursery() as inner:
                    inner.start_soon(stubborn, 3)
                    await stubborn(2)

    async def world() -> None:
        await live(process, main)
        ended.append(trio.current_time())

    clock.after(3, kill, process)
    clock.after(500, lambda: None)
    run(world, clock=clock, scheduler=scheduler(name, SeededDice(4)))
    assert ended == [3]
    assert not process.alive


def test_what_a_dead_process_raises_is_nobodys_business(world: World) -> None:
    async def fails() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise LookupError("while it unwinds")

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fails)
            nursery.start_soon(trio.sleep_forever)

    world.clock.after(1, kill, world.process)
    world.run(main)
    assert world.ended_at == 1


def test_what_a_living_one_raises_is(world: World) -> None:
    async def fails() -> None:
        raise LookupError("its own")

    with pytest.raises(ExceptionGroup) as caught:  # noqa: ASYNC401
        world.run(fails)
    assert caught.group_contains(LookupError, match="its own")


def test_killed_before_its_first_step_it_never_starts(world: World) -> None:
    world.process.end()
    world.run(world.ticks)
    assert world.noted == []
    assert world.ended_at == 0


def test_a_task_belongs_to_the_process_of_whoever_started_it(world: World) -> None:
    other = Process("b.1", world.clock)

    async def child(label: str) -> None:
        await trio.lowlevel.checkpoint()
        process = current_process()
        world.noted.append((label, process.name if process else None))

    async def parent(label: str) -> None:
        async with trio.open_nursery() as nursery:  # noqa: ASYNC112
            nursery.start_soon(child, label)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(live, world.process, partial(parent, "first"))
            nursery.start_soon(live, other, partial(parent, "second"))
            nursery.start_soon(parent, "neither")

    run(main, clock=world.clock, scheduler=Fifo())
    assert world.noted == [("first", "a.1"), ("second", "b.1"), ("neither", None)]


def test_tasks_that_a_process_leaves_behind_are_counted(world: World) -> None:
    async def main() -> list[list[str]]:
        counts = []
        async with trio.open_nursery() as outside:

            async def leaves_one_behind() -> None:
                outside.start_soon(trio.sleep_forever)
                async with trio.open_nursery() as inside:
                    inside.start_soon(trio.sleep, 1)
                    await trio.lowlevel.checkpoint()
                    counts.append(tasks_of(world.process))

            await live(world.process, leaves_one_behind)
            counts.append(tasks_of(world.process))
            outside.cancel_scope.cancel()
        return counts

    before, after = run(main, clock=world.clock, scheduler=Fifo())
    assert [name.rpartition(".")[2] for name in before] == ["world", "sleep_forever", "sleep"]
    assert [name.rpartition(".")[2] for name in after] == ["sleep_forever"]


def test_a_process_that_will_not_die_is_named(world: World) -> None:
    async def undying() -> None:
        while True:  # noqa: ASYNC913
            try:
                await trio.sleep(1)
            except trio.Cancelled:  # noqa: ASYNC103
                continue  # noqa: ASYNC104

    world.clock.after(1, kill, world.process)
    with pytest.raises(Undying, match=r"a\.1 was killed[\s\S]*undying"):
        world.run(undying)


def test_out_of_a_world_there_is_nothing_to_kill(world: World) -> None:
    with pytest.raises(RuntimeError, match="no world"):
        kill(world.process)
