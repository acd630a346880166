"""That Trio's insides are still what the simulator takes them for. When Trio changes, this says what did.

Each test is about one thing that `simulator.runtime.trio_internals` relies on.
"""

from __future__ import annotations

import inspect
from typing import Any

import attrs
import trio
from trio._core import _run

from simulator.runtime import trio_internals
from simulator.runtime.clock import VirtualClock
from simulator.runtime.run import run
from simulator.runtime.schedulers import Fifo


def changed(what: str) -> str:
    return f"trio {trio.__version__} changed: {what}. simulator/runtime/trio_internals.py relies on it"


def test_every_private_name_is_there() -> None:
    missing = [
        f"{getattr(holder, '__name__', holder)}.{name}"
        for holder, names in trio_internals.EXPECTED.items()
        for name in names
        if not (hasattr(holder, name) or name in {field.name for field in _fields(holder)})
    ]
    assert not missing, changed(f"{', '.join(missing)} is gone")


def test_the_runner_takes_what_we_give_it() -> None:
    taken = set(inspect.signature(_run.Runner).parameters)
    given = {"clock", "instruments", "io_manager", "system_context", "ki_manager", "strict_exception_groups",
             "deadlines", "entry_queue"}  # fmt: skip
    assert given <= taken, changed(f"Runner no longer takes {given - taken}")
    required = {
        name
        for name, parameter in inspect.signature(_run.Runner).parameters.items()
        if parameter.default is inspect.Parameter.empty
    }
    assert required <= given, changed(f"Runner now requires {required - given}")


def test_the_loop_sorts_by_age_and_lets_our_scheduler_arrange_each_batch() -> None:
    batches: list[list[int]] = []

    class Looks(Fifo):
        def arrange(self, batch: list[Any]) -> list[Any]:
            batches.append([task._counter for task in batch])
            return super().arrange(batch)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(trio.lowlevel.checkpoint)

    run(main, clock=VirtualClock(), scheduler=Looks())
    assert any(len(batch) == 10 for batch in batches), changed("the loop does not call _r.shuffle(batch)")
    assert all(batch == sorted(batch) for batch in batches), changed("batches are not sorted by Task._counter")


def test_the_end_of_a_batch_runs_first() -> None:
    order: list[int] = []

    async def note(number: int) -> None:
        order.append(number)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(5):
                nursery.start_soon(note, number)

    run(main, clock=VirtualClock(), scheduler=Fifo())
    assert order == [0, 1, 2, 3, 4], changed("the loop does not take tasks from the end of the batch")


def test_a_task_that_is_put_back_runs_in_a_later_pass() -> None:
    order: list[int] = []

    class OneByOne:
        def arrange(self, batch: list[Any]) -> list[Any]:
            waiting = batch[:-1]
            del batch[:-1]
            return waiting

    async def note(number: int) -> None:
        order.append(number)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(5):
                nursery.start_soon(note, number)

    run(main, clock=VirtualClock(), scheduler=OneByOne())
    assert order == [4, 3, 2, 1, 0], changed("tasks put back on runner.runq are lost or reordered")


def test_the_clock_is_asked_only_when_no_task_can_run() -> None:
    asked: list[float] = []

    class Looks(VirtualClock):
        def deadline_to_sleep_time(self, deadline: float) -> float:
            asked.append(deadline)
            return super().deadline_to_sleep_time(deadline)

    async def main() -> None:
        for _ in range(100):
            await trio.lowlevel.checkpoint()
        await trio.sleep(1)

    run(main, clock=Looks(), scheduler=Fifo())
    assert 1.0 in asked, changed("the clock is not asked before the loop waits")
    assert len(asked) < 10, changed("the clock is asked while tasks can run")


def test_the_insides_are_restored() -> None:
    before = _run._ALLOW_DETERMINISTIC_SCHEDULING, _run._r

    async def main() -> bool:
        return _run._ALLOW_DETERMINISTIC_SCHEDULING

    assert run(main, clock=VirtualClock(), scheduler=Fifo())
    assert (_run._ALLOW_DETERMINISTIC_SCHEDULING, _run._r) == before


def _fields(holder: object) -> tuple[attrs.Attribute[object], ...]:
    return attrs.fields(holder) if isinstance(holder, type) and attrs.has(holder) else ()


def test_instruments_can_be_added_and_removed_in_a_world() -> None:
    steps: list[str] = []

    class Watching(trio.abc.Instrument):
        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            steps.append(task.name)

    async def main() -> None:
        watching = Watching()
        trio.lowlevel.add_instrument(watching)
        await trio.lowlevel.checkpoint()
        trio.lowlevel.remove_instrument(watching)
        await trio.lowlevel.checkpoint()

    run(main, clock=VirtualClock(), scheduler=Fifo())
    assert [name for name in steps if name.endswith("world")] == steps[-1:], changed("instruments")
