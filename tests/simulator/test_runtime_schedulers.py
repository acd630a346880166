"""Schedulers: what each can find, and that its choices are the seed's."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import pytest
import trio

from simulator.runtime.clock import VirtualClock
from simulator.runtime.dice import SeededDice
from simulator.runtime.run import run
from simulator.runtime.schedulers import Fifo, Scheduler, scheduler

SEEDS = 300


def race(passes: int) -> Callable[[], Awaitable[bool]]:
    """True if a task that needs one step was late by so many passes of another one."""

    async def main() -> bool:
        done = False
        lost = False

        async def long() -> None:
            nonlocal done
            for _ in range(passes):
                await trio.lowlevel.checkpoint()
            done = True

        async def short() -> None:
            nonlocal lost
            await trio.lowlevel.checkpoint()
            lost = done

        async with trio.open_nursery() as nursery:
            nursery.start_soon(long)
            nursery.start_soon(short)
        return lost

    return main


def found(name: str, passes: int) -> int:
    return sum(
        run(race(passes), clock=VirtualClock(), scheduler=scheduler(name, SeededDice(seed), depth=2, horizon=40))
        for seed in range(SEEDS)
    )


def test_a_shuffle_delays_nobody_by_two_passes() -> None:
    assert found("shuffle", 1) > SEEDS / 4
    assert found("shuffle", 2) == 0


@pytest.mark.parametrize("passes", [2, 5, 10])
@pytest.mark.parametrize("name", ["hold-back", "pct"])
def test_others_do(name: str, passes: int) -> None:
    assert found(name, passes) > SEEDS / 50


def test_pct_of_depth_one_never_changes_a_priority() -> None:
    chosen = scheduler("pct", SeededDice(3), depth=1, horizon=10)
    first = [_first(chosen) for _ in range(100)]
    assert len(set(first)) == 1


def test_pct_lets_others_run_when_one_task_never_waits() -> None:
    async def main() -> int:
        stopped = False
        steps = 0

        async def spins() -> None:
            nonlocal steps
            while not stopped:
                steps += 1
                await trio.lowlevel.checkpoint()

        async def stops() -> None:
            nonlocal stopped
            await trio.lowlevel.checkpoint()
            stopped = True

        async with trio.open_nursery() as nursery:
            nursery.start_soon(spins)
            nursery.start_soon(stops)
        return steps

    for seed in range(10):
        steps = run(main, clock=VirtualClock(), scheduler=scheduler("pct", SeededDice(seed), depth=1), steps_max=5000)
        assert steps < 1000


@pytest.mark.parametrize("name", ["shuffle", "hold-back", "pct"])
def test_the_seed_decides(name: str) -> None:
    def order(seed: int) -> list[tuple[int, ...]]:
        chosen = scheduler(name, SeededDice(seed))
        return [_arranged(chosen, size) for size in (2, 5, 3, 8) * 20]

    assert order(1) == order(1)
    assert order(1) != order(2)


@pytest.mark.parametrize("name", ["shuffle", "hold-back", "pct"])
def test_nobody_is_lost_and_somebody_always_runs(name: str) -> None:
    chosen = scheduler(name, SeededDice(5))
    for size in (2, 3, 7) * 100:
        batch = list(range(size))
        waiting = chosen.arrange(batch)
        assert batch
        assert sorted(batch + waiting) == list(range(size))


def test_the_oldest_first_by_default() -> None:
    assert _arranged(Fifo(), 4) == (0, 1, 2, 3)


def test_there_is_no_other() -> None:
    with pytest.raises(KeyError):
        scheduler("fair", SeededDice(1))


def _first(chosen: Scheduler) -> int:
    return _arranged(chosen, 4)[0]


def _arranged(chosen: Scheduler, size: int) -> tuple[int, ...]:
    """The order in which a batch runs: its end comes first."""
    batch = list(range(size))
    chosen.arrange(batch)
    return tuple(reversed(batch))


def test_seeded_dice_draw_what_the_standard_library_would() -> None:
    """So a seed means the same on every Python."""
    dice, real = SeededDice(7).split("network"), random.Random("7/network")
    assert [dice.uniform(0, 1) for _ in range(5)] == [real.random() for _ in range(5)]
    assert SeededDice(7, "/network").random().random() == random.Random("7/network").random()
