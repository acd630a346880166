"""Threads in virtual time: when they go on, and when never again."""

from __future__ import annotations

import pytest

from simulator.client.thread import FOREVER, Blocking, Thread, wait
from simulator.runtime.clock import VirtualClock
from simulator.runtime.dice import SeededDice
from simulator.runtime.processes import Process


def made() -> tuple[VirtualClock, Process, Thread, list[float]]:
    clock = VirtualClock()
    process = Process("a.1", clock)
    return clock, process, Thread(process, SeededDice(0)), []


def test_it_goes_on_when_the_time_is_over_or_it_is_poked() -> None:
    clock, _, thread, steps = made()

    def body() -> Blocking[None]:
        for until in (5.0, 9.0, FOREVER):
            steps.append(clock.now)
            yield until
        steps.append(clock.now)

    thread.start(body())
    clock.advance(1)
    thread.poke()
    clock.advance(20)  # poked at 1, so it waits until 9 and then for ever
    thread.poke()
    thread.poke()
    clock.advance(1)
    assert steps == pytest.approx([0, 1, 9, 21], abs=0.001)


def test_waiting_for_something() -> None:
    clock, _, thread, steps = made()
    results: list[bool] = []

    def body() -> Blocking[None]:
        results.append((yield from wait(lambda: steps, lambda: clock.now, 2.0)))
        results.append((yield from wait(lambda: steps, lambda: clock.now, 4.0)))

    thread.start(body())
    clock.advance(3)
    steps.append(3)
    thread.poke()
    clock.advance(0.1)
    assert results == [False, True]


def test_a_freeze_holds_it_up() -> None:
    clock, process, thread, steps = made()

    def body() -> Blocking[None]:
        yield 2.0
        steps.append(clock.now)

    thread.start(body())
    clock.advance(1)
    process.freeze(whole=True)
    clock.advance(5)
    assert not steps
    process.thaw()
    assert steps == [6]


@pytest.mark.parametrize("by_itself", [True, False])
def test_death_ends_it(by_itself: bool) -> None:
    clock, process, thread, steps = made()

    def body() -> Blocking[None]:
        yield 1.0
        if by_itself:
            process.end()
        yield 2.0
        steps.append(clock.now)

    thread.start(body())
    clock.advance(1.5)
    if not by_itself:
        process.end()
    thread.poke()
    clock.advance(10)
    assert not steps
