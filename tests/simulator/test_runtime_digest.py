"""Digests and divergences, and that a world is the same in another process under another hash seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import trio

from simulator.runtime.clock import VirtualClock
from simulator.runtime.dice import SeededDice
from simulator.runtime.digest import digest, first_divergence, trail
from simulator.runtime.run import run
from simulator.runtime.schedulers import scheduler
from simulator.runtime.steps import Steps

ROOT = Path(__file__).parents[2]


class Event(NamedTuple):
    text: str
    names: frozenset[str] = frozenset()


def test_equal_runs_have_equal_digests() -> None:
    assert digest([(1.0, Event("a"))], [(0.5, "1:task")]) == digest([(1.0, Event("a"))], [(0.5, "1:task")])
    assert digest([(1.0, Event("a"))]) != digest([(1.0, Event("b"))])
    assert digest([(1.0, Event("a"))]) != digest([(1.5, Event("a"))])
    assert digest([(1.0, Event("a"))]) != digest([(1.0, Event("a"))], [(1.0, "1:task")])


def test_addresses_and_the_order_of_sets_do_not_count() -> None:
    names = frozenset({"x", "y", "z"})
    (line,) = trail([(1.0, Event(f"raised in {object()!r}", names))])
    assert line == "1.000000000 Event (text='raised in <object object>', names={'x', 'y', 'z'})"


def test_the_first_divergence_is_named() -> None:
    assert first_divergence(["a", "b"], ["a", "b"]) is None
    found = first_divergence(["a", "b", "c"], ["a", "x", "y"])
    assert found is not None
    assert (found.line, found.first, found.second) == (1, "b", "x")
    assert str(first_divergence(["a"], ["a", "b"])) == "line 1:\n  (the end)\n  b"


def program(seed: int, name: str) -> list[str]:
    """A world in which much depends on the order of events: what its tasks did, as a trail."""
    clock = VirtualClock()
    told: list[tuple[float, object]] = []
    steps = Steps(recording=True)

    def tell(*what: object) -> None:
        told.append((clock.now, Event(repr(what))))

    async def main() -> None:
        event, condition, limiter = trio.Event(), trio.Condition(), trio.CapacityLimiter(3)
        send, receive = trio.open_memory_channel[tuple[int, int]](2)
        shared = 0

        async def producer(number: int) -> None:
            for count in range(4):
                await send.send((number, count))
                if count % 3 == 0:
                    await trio.sleep(0.5)

        async def worker(number: int) -> None:
            nonlocal shared
            with trio.move_on_after(2):
                while True:
                    item = await receive.receive()
                    async with limiter:
                        seen = shared
                        await trio.lowlevel.checkpoint()
                        shared = seen + 1
                    tell("received", number, item, seen)

        async def waiter(number: int) -> None:
            with trio.move_on_at(1.0):  # noqa: ASYNC125
                await event.wait()
            tell("woke", number, event.is_set())
            async with condition:
                condition.notify_all()

        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(producer, number)
                nursery.start_soon(worker, number)
            for number in range(8):
                nursery.start_soon(waiter, number)
            clock.after(1.0, event.set)
        tell("end", shared)

    run(main, clock=clock, scheduler=scheduler(name, SeededDice(seed)), steps=steps)
    return trail(told, steps.recorded)


def trails() -> list[str]:
    return [line for name in ("shuffle", "hold-back", "pct") for seed in range(10) for line in program(seed, name)]


def test_a_world_is_the_same_in_another_process_under_another_hash_seed() -> None:
    code = "import sys, tests.simulator.test_runtime_digest as here; sys.stdout.write('\\n'.join(here.trails()))"
    here = trails()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        there = subprocess.run(
            [sys.executable, "-c", code], env=environment, cwd=ROOT, check=True, capture_output=True, text=True
        )
        assert first_divergence(here, there.stdout.split("\n")) is None


def test_other_seeds_are_other_worlds() -> None:
    for name in ("shuffle", "hold-back", "pct"):
        assert len({tuple(program(seed, name)) for seed in range(10)}) == 10
