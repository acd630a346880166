"""Running a world: time, limits, what ends it, and what its tasks were doing then."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio

from simulator.runtime.clock import VirtualClock
from simulator.runtime.errors import Broken, HotLoop, Stuck, TimeLimitReached
from simulator.runtime.run import run, stepped
from simulator.runtime.schedulers import Fifo
from simulator.runtime.steps import Steps


async def sleeps_for_ever() -> None:
    await trio.sleep_forever()


async def spins() -> None:
    while True:  # noqa: ASYNC110
        await trio.lowlevel.checkpoint()


async def spins_and_ignores_cancellation() -> None:
    while True:  # noqa: ASYNC913
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled:  # noqa: ASYNC103
            continue  # noqa: ASYNC104


async def waits_in_vain() -> None:
    await trio.Event().wait()


def test_virtual_time_passes_at_once() -> None:
    async def main() -> float:
        await trio.sleep(10_000)
        return trio.current_time()

    assert run(main, clock=VirtualClock(), scheduler=Fifo(), seconds_max=20_000) == 10_000


def test_timers_and_deadlines_come_in_order() -> None:
    clock = VirtualClock()
    happened: list[object] = []

    async def main() -> None:
        clock.after(2, happened.append, "timer at 2")
        clock.after(0.5, happened.append, "timer at 0.5")
        with trio.move_on_after(1):
            await trio.sleep_forever()
        happened.append(trio.current_time())
        await trio.sleep(5)

    run(main, clock=clock, scheduler=Fifo())
    assert happened == ["timer at 0.5", 1, "timer at 2"]


def test_timers_fire_without_a_pass_of_trio_until_they_concern_a_task() -> None:
    clock = VirtualClock()
    looks: list[float] = []
    told = trio.Event()

    async def main() -> float:
        for number in range(1, 100):
            clock.after(number, int)
        clock.after(50.5, told.set)
        asked = clock.deadline_to_sleep_time

        def counted(deadline: float) -> float:
            looks.append(clock.now)
            return asked(deadline)

        clock.deadline_to_sleep_time = counted  # type: ignore[method-assign]
        with trio.move_on_after(20.5):
            await trio.sleep_forever()
        assert trio.current_time() == 20.5
        await told.wait()
        return trio.current_time()

    assert run(main, clock=clock, scheduler=Fifo()) == 50.5
    assert len(looks) < 5


def test_a_task_sleeps_by_a_timer_and_a_cancelled_sleep_leaves_none() -> None:
    clock = VirtualClock()
    woken: list[float] = []

    async def main() -> None:
        await clock.sleep(2)
        woken.append(trio.current_time())
        with trio.move_on_after(1) as scope:
            await clock.sleep(5)
        assert scope.cancelled_caught
        woken.append(trio.current_time())
        assert clock.next_due() == float("inf")
        with trio.move_on_after(0) as scope:
            await clock.sleep(0)  # a checkpoint, as any sleep
        assert scope.cancelled_caught

    run(main, clock=clock, scheduler=Fifo())
    assert woken == [2, 3]


def test_timers_that_concern_no_task_run_into_the_time_limit() -> None:
    clock = VirtualClock()

    def again() -> None:
        clock.after(1, again)

    again()
    with pytest.raises(TimeLimitReached):
        run(sleeps_for_ever, clock=clock, scheduler=Fifo(), seconds_max=50)


def test_it_returns_and_raises_what_main_does() -> None:
    async def returns() -> str:
        return "value"

    async def raises() -> None:
        raise LookupError("mine")

    assert run(returns, clock=VirtualClock(), scheduler=Fifo()) == "value"
    with pytest.raises(LookupError, match="mine"):
        run(raises, clock=VirtualClock(), scheduler=Fifo())


def test_deadlines_of_one_instant_expire_in_the_order_in_which_they_were_set() -> None:
    order: list[int] = []

    async def waits(number: int) -> None:
        def abort(_: object) -> trio.lowlevel.Abort:
            order.append(number)
            return trio.lowlevel.Abort.SUCCEEDED

        with trio.move_on_at(1.0):  # noqa: ASYNC125
            await trio.lowlevel.wait_task_rescheduled(abort)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(waits, number)

    run(main, clock=VirtualClock(), scheduler=Fifo())
    assert order == list(range(50))


def test_a_hot_loop_ends_and_names_who_spins() -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(waits_in_vain)
            nursery.start_soon(spins)

    with pytest.raises(HotLoop, match=r"took 5000 steps[\s\S]*spins") as caught:
        run(main, clock=VirtualClock(), scheduler=Fifo(), steps_max=5000)
    assert [name.rpartition(".")[2] for name in caught.value.tasks] == ["spins"]
    assert "waits_in_vain" in str(caught.value)


def test_so_does_one_that_ignores_cancellation() -> None:
    with pytest.raises(HotLoop, match="spins_and_ignores_cancellation"):
        run(spins_and_ignores_cancellation, clock=VirtualClock(), scheduler=Fifo(), steps_max=100)
    # And the next world is not disturbed.
    assert run(_now, clock=VirtualClock(), scheduler=Fifo()) == 0


def test_a_stuck_world_ends_and_says_where_each_task_waits() -> None:
    with pytest.raises(Stuck, match=r"stuck at 0.000 s[\s\S]*test_runtime_run.py:\d+ waits_in_vain"):
        run(waits_in_vain, clock=VirtualClock(), scheduler=Fifo())


def test_shields_do_not_keep_an_ended_world_alive() -> None:
    async def main() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep_forever()

    with pytest.raises(Stuck):
        run(main, clock=VirtualClock(), scheduler=Fifo())


def test_time_is_limited() -> None:
    clock = VirtualClock()

    def again() -> None:
        clock.after(1, again)

    again()
    with pytest.raises(TimeLimitReached, match=r"more than 10 virtual seconds[\s\S]*sleeps_for_ever"):
        run(sleeps_for_ever, clock=clock, scheduler=Fifo(), seconds_max=10)
    assert 10 <= clock.now <= 11


def test_steps_are_counted_and_recorded() -> None:
    async def main() -> None:
        await trio.sleep(1)

    counted, recorded = Steps(), Steps(recording=True)
    run(main, clock=VirtualClock(), scheduler=Fifo(), steps=counted)
    run(main, clock=VirtualClock(), scheduler=Fifo(), steps=recorded)
    assert counted.recorded == []
    assert counted.count == recorded.count == len(recorded.recorded)
    assert [(time, step[:2]) for time, step in recorded.recorded if step.endswith(".world")] == [(0, "1:"), (1, "1:")]


def test_callbacks_from_outside_a_task_are_served() -> None:
    clock = VirtualClock()

    async def main() -> float:
        event = trio.Event()
        token = trio.lowlevel.current_trio_token()
        clock.after(1, token.run_sync_soon, event.set)
        clock.after(5, lambda: None)
        await event.wait()
        return trio.current_time()

    assert run(main, clock=clock, scheduler=Fifo()) == 1


def test_async_generators_are_finalized() -> None:
    closed: list[bool] = []
    kept: list[object] = []

    async def numbers() -> AsyncIterator[int]:  # noqa: ASYNC900
        try:
            yield 1
        finally:
            closed.append(True)

    async def main() -> None:
        generator = numbers()
        kept.append(generator)
        await anext(generator)

    run(main, clock=VirtualClock(), scheduler=Fifo())
    assert closed == [True]


def test_one_world_at_a_time() -> None:
    async def main() -> None:
        run(_now, clock=VirtualClock(), scheduler=Fifo())

    with pytest.raises(RuntimeError, match="within another one"):
        run(main, clock=VirtualClock(), scheduler=Fifo())


def test_not_within_trio_run() -> None:
    async def main() -> None:
        run(_now, clock=VirtualClock(), scheduler=Fifo())

    with pytest.raises(RuntimeError, match="synchronous code"):
        trio.run(main)


def test_trio_is_as_before_after_a_world() -> None:
    run(_now, clock=VirtualClock(), scheduler=Fifo())

    async def main() -> float:
        before = trio.current_time()
        await trio.sleep(0.01)
        return trio.current_time() - before

    assert trio.run(main) >= 0.01


async def _now() -> float:
    return trio.current_time()


def test_step_by_step() -> None:
    clock = VirtualClock()
    ticks: list[float] = []

    async def main() -> str:
        for _ in range(5):
            await trio.sleep(1)
            ticks.append(trio.current_time())
        return "done"

    with stepped(main, clock=clock, scheduler=Fifo()) as world:
        assert ticks == []
        world.advance(2.5)
        assert ticks == [1, 2]
        assert clock.now == 2.5
        world.advance(0.5)
        assert ticks == [1, 2, 3]
        assert not world.ended
        assert world.finish() == "done"
        assert world.ended
    assert ticks == [1, 2, 3, 4, 5]


def test_a_world_that_is_left_is_ended() -> None:
    unwound: list[bool] = []

    async def main() -> None:
        try:
            with trio.CancelScope(shield=True):
                await trio.sleep_forever()
        finally:
            unwound.append(True)

    with pytest.raises(LookupError), stepped(main, clock=VirtualClock(), scheduler=Fifo()) as world:
        world.advance(1)
        raise LookupError
    assert unwound == [True]
    assert run(_now, clock=VirtualClock(), scheduler=Fifo()) == 0


def test_what_breaks_outside_of_tasks_is_said_and_tasks_unwind() -> None:
    clock = VirtualClock()
    unwound = []

    def breaks() -> None:
        raise LookupError("in a timer")

    async def main() -> None:
        try:
            await trio.sleep_forever()
        finally:
            unwound.append(True)

    clock.after(1, breaks)
    with pytest.raises(Broken, match="LookupError: in a timer") as caught:
        run(main, clock=clock, scheduler=Fifo())
    assert isinstance(caught.value.__cause__, LookupError)
    assert unwound == [True]
    assert run(_now, clock=VirtualClock(), scheduler=Fifo()) == 0
