"""All that the simulator knows of Trio's insides. Nothing else in it touches a private name of Trio.

Trio is open to a foreign scheduler by accident: with a flag set, its loop sorts the runnable tasks by age and lets a
generator of random numbers shuffle them. `Loop` takes the place of that generator. It sees each pass before it happens,
so it can count, record, reorder and put back, hold the tasks of a frozen process, and cut down those of a dead one.

Also here: a run without sockets, epoll and signals (a world needs none, and a system call per pass is a fifth of it);
deadlines of one instant expire in the order in which they were set, not by address in memory; and the process that a
task belongs to, which tasks inherit from whoever starts them.

What Trio must have for all this is in `EXPECTED`; what it must do, `tests/simulator/test_runtime_trio.py` checks.
"""

from __future__ import annotations

import contextvars
import logging
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from heapq import heappush
from typing import Any, TypeVar

import trio
from trio._core import _run

from .clock import VirtualClock
from .errors import Broken, HotLoop, Stuck, TimeLimitReached, Undying, WorldError
from .processes import Process
from .schedulers import Scheduler
from .steps import Steps

T = TypeVar("T")

internals: Any = _run

SPIN_STEPS = 1000
"""After the limit, so many steps more are looked at, to name who takes them."""
UNDYING_PASSES = 5000
"""A killed process that is still there after so many passes catches its cancellations."""
UNWIND_STEPS = 50_000
"""So many steps may a world take to unwind once it was ended; then it is given up."""

EXPECTED: Mapping[Any, tuple[str, ...]] = {
    internals: ("_ALLOW_DETERMINISTIC_SCHEDULING", "_r", "GLOBAL_RUN_CONTEXT", "Runner", "Deadlines", "unrolled_run",
                "sniffio_library", "Instruments", "KIManager", "EntryQueue"),
    internals.Runner: ("clock", "runq", "tasks", "deadlines", "entry_queue", "io_manager", "asyncgens", "init_task",
                       "main_task_outcome", "deliver_ki", "waiting_for_idle"),
    internals.Task: ("_counter", "context", "name", "iter_await_frames", "_cancel_status", "_parent_nursery"),
    internals.CancelScope: ("_cancel_status", "_shield"),
    internals.CancelStatus: ("_scope", "_children"),
    internals.Deadlines: ("_heap", "_active", "add", "next_deadline"),
    internals.EntryQueue: ("wakeup",),
    internals.KIManager: ("install",),
    internals.Instruments: ("add_instrument", "remove_instrument", "call"),
}  # fmt: skip
"""Names that must exist. What they must do is tested."""

_process: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)


class Loop:
    """Trio's loop in one world. See the module.

    Attributes:
        steps: What was counted so far.
        error: Why the world was ended before its time, if it was.
        ended: True once all its tasks have ended.
    """

    def __init__(
        self, clock: VirtualClock, scheduler: Scheduler, *, steps: Steps, steps_max: int, seconds_max: float
    ) -> None:
        self.clock = clock
        self.steps = steps
        self.error: WorldError | None = None
        self.ended = False
        self.scopes: dict[Process, trio.CancelScope] = {}
        self._scheduler = scheduler
        self._steps_max = steps_max
        self._seconds_max = seconds_max
        self._root = trio.CancelScope()
        self._runner: Any = None
        self._send: Callable[[Any], float]
        self._first = 0
        # In how many passes a process was seen after it was killed.
        self._dying: dict[Process, int] = {}
        self._held: list[Any] = []
        # True while a process is frozen or dying, or the world is being ended: only then is a pass looked at closely.
        self._special = False
        self._spinning: Counter[str] | None = None
        self._given_up_at = 0
        self._broken = False
        self._interrupted = False
        self._until: Callable[[], object] | None = None

    # What Trio's loop calls, as if it were random.Random

    def shuffle(self, batch: list[Any]) -> None:
        """The batch of a pass, possibly empty, sorted by age. What is left in it will run, the last first."""
        if self._special:
            self._attend(batch)
        if len(batch) > 1:
            waiting = self._scheduler.arrange(batch)
            if waiting:
                self._runner.runq.extend(waiting)
        steps = self.steps
        steps.count += len(batch)
        if steps.recording:
            now, first = self.clock.now, self._first
            steps.recorded.extend((now, f"{task._counter - first}:{task.name}") for task in reversed(batch))
        if steps.count > self._steps_max or self.clock.now > self._seconds_max:
            self._over(batch)

    def eventful(self, deadline: float) -> bool:
        """Whether Trio has to look at what timers just did; if not, more of them may fire."""
        runner = self._runner
        if runner.runq or self._special or self._interrupted or runner.waiting_for_idle:
            return True
        heap = runner.deadlines._heap  # at its head what has expired or was set; what was removed does no harm there
        if (heap and heap[0][0] != deadline) or self.clock.now > self._seconds_max:
            return True
        return self._until is not None and bool(self._until())

    def random(self) -> float:
        return 0.9

    def uniform(self, low: float, high: float) -> float:
        return low

    # Processes

    def review(self) -> None:
        """A process froze, thawed or ended: look closely at the next pass."""
        self._special = True

    def condemn(self, process: Process) -> None:
        """Cancel all its tasks, whatever shields them, until they are gone."""
        self._special = True
        self._dying.setdefault(process, 0)
        scope = self.scopes.get(process)
        if scope is not None:
            scope.cancel()
            _unshield(scope)

    def forget(self, process: Process) -> None:
        """It has unwound."""
        self.scopes.pop(process, None)
        self._dying.pop(process, None)

    def tasks_of(self, process: Process) -> list[Any]:
        """Its tasks, the oldest first."""
        tasks = [task for task in self._runner.tasks if task.context.get(_process) is process]
        return sorted(tasks, key=lambda task: task._counter)

    def _attend(self, batch: list[Any]) -> None:
        frozen = [process for process in self.scopes if process.tasks_frozen and process.alive]
        if self._held or frozen:
            batch.extend(self._held)
            self._held = []
            if frozen:
                free: list[Any] = []
                for task in batch:
                    (self._held if task.context.get(_process) in frozen else free).append(task)
                batch[:] = free
            batch.sort(key=lambda task: task._counter)
        dying = [scope for process in self._dying if (scope := self.scopes.get(process)) is not None]
        for process in self._dying:
            self._dying[process] += 1
            if self._dying[process] == UNDYING_PASSES:
                self.end(Undying(process.name, self.waits()))
        if self.error is not None:
            dying.append(self._root)
        for scope in dying:
            _unshield(scope)
        if dying:
            # Time must not pass before the next look, or a shield that was raised just now would outlive it.
            self.clock.at(self.clock.now, int)
        self._special = bool(frozen or dying or self._held)

    # Limits

    def end(self, error: WorldError) -> None:
        """End the world before its time: `run` raises this error once all tasks have unwound."""
        if self.error is None:
            self.error = error
            self._special = True
            self._given_up_at = self.steps.count + UNWIND_STEPS
            self._root.cancel()
            _unshield(self._root)

    def _over(self, batch: list[Any]) -> None:
        if self.error is not None:
            if self.steps.count > self._given_up_at:
                raise self.error
        elif self.clock.now > self._seconds_max:
            self.end(TimeLimitReached(self._seconds_max, self.waits()))
        elif self._spinning is None:
            self._spinning = Counter()
        else:
            self._spinning.update(_label(task) for task in batch)
            last = self._spinning.total()
            if last >= SPIN_STEPS:
                self.end(HotLoop(self._steps_max, self._spinning.most_common(5), last, self.waits()))

    def _stuck(self) -> None:
        self.end(Stuck(self.clock.now, self.waits()))

    def waits(self) -> str:
        """What each task waits for, for people."""
        tasks = sorted(self._runner.tasks, key=lambda task: task._counter)
        lines = [f"  {_label(task)} at {_place(task)}" for task in tasks if not task.name.startswith("<")]
        return "Tasks and where they are:\n" + "\n".join(lines[:40] + ["  ..."] * (len(lines) > 40))

    # The run

    def run(self, main: Callable[[], Awaitable[T]]) -> T:
        """As `trio.run`, in this world. Raises its `error`, if it was ended."""
        with self.running(main):
            self.go_on()
        result: T = self.result()
        return result

    @contextmanager
    def running(self, main: Callable[[], Awaitable[object]]) -> Iterator[None]:
        """The world exists within this context; `go_on` lets it go on."""

        async def world() -> Any:
            with self._root:
                return await main()

        with _installed(self):
            self._runner = runner = _runner(self.clock, self._interrupt)
            clock = self.clock
            before = clock.stuck, clock.eventful, clock.failed
            clock.stuck, clock.eventful, clock.failed = (
                self._stuck,
                self.eventful,
                lambda error: self.end(Broken(error)),
            )
            self._send = internals.unrolled_run(runner, world, ()).send
            try:
                self._send(None)
                self._first = runner.init_task._counter
                yield
            finally:
                clock.stuck, clock.eventful, clock.failed = before
                if not self.ended and not self._broken:
                    self.end(WorldError("the world was left before its end"))
                    self.go_on()
                if not self.ended:
                    _abandon(runner)

    def go_on(self, until: Callable[[], object] | None = None) -> None:
        """Run to the end, or until this becomes true; without ever waiting for anything real."""
        nothing: Any = 0 if sys.platform == "win32" else []
        send = self._send
        self._until = until
        try:
            while until is None or not until():
                send(nothing)
                if self._interrupted:
                    self._interrupted = False
                    self._runner.deliver_ki()
        except StopIteration:
            self.ended = True
        except trio.TrioInternalError as error:
            # Trio takes what our callbacks raise for an error of its own.
            self._broken = True
            if self.error is None:
                raise Broken(error.__cause__ or error) from error.__cause__

    def result(self) -> Any:
        """What ``main`` returned, or raise what it raised, or why it was ended."""
        if self.error is not None:
            raise self.error
        return self._runner.main_task_outcome.unwrap()

    def _interrupt(self) -> None:
        """Ctrl-C, at any instant: nothing may be touched now."""
        self._interrupted = True


_current: Loop | None = None


async def live(process: Process, main: Callable[[], Awaitable[object]]) -> None:
    """Be the first task of this process: everything that ``main`` starts belongs to it. Nothing if it is dead already.

    What the tasks of a killed process raise as they unwind is nobody's business.
    """
    loop = _loop()
    if not process.alive:
        return
    before = _process.set(process)
    process.changed = loop.review
    loop.review()
    try:
        with trio.CancelScope() as scope:
            loop.scopes[process] = scope
            await main()
    except trio.Cancelled:
        raise
    except BaseException as error:
        if process.alive or _is_interrupt(error):
            raise
    finally:
        loop.forget(process)
        _process.reset(before)


def kill(process: Process) -> None:
    """As SIGKILL: `Process.end`, then cancel its tasks, overriding every shield until they are gone."""
    process.end()
    _loop().condemn(process)


def tasks_of(process: Process) -> list[str]:
    """Names of its living tasks, the oldest first; the first one is that of `live`."""
    return [task.name for task in _loop().tasks_of(process)]


def current_process() -> Process | None:
    """The process whose task is running."""
    return _process.get()


def _loop() -> Loop:
    if _current is None:
        raise RuntimeError("there is no world: this works within `simulator.runtime.run.run` only")
    return _current


# Trio without the machine


class _NoInputOutput:
    """Trio's I/O manager, where there is no I/O."""

    def close(self) -> None:
        pass

    def process_events(self, events: object) -> None:
        pass

    def statistics(self) -> None:
        return None


class _Wakeup:
    """Wakes the task that serves `TrioToken.run_sync_soon`, without a pair of sockets. For one thread only."""

    def __init__(self) -> None:
        self._woken = False
        self._task: Any = None

    def wakeup_thread_and_signal_safe(self) -> None:
        if self._task is not None:
            task, self._task = self._task, None
            trio.lowlevel.reschedule(task)
        else:
            self._woken = True

    async def wait_woken(self) -> None:
        def abort(_: object) -> trio.lowlevel.Abort:
            self._task = None
            return trio.lowlevel.Abort.SUCCEEDED

        if not self._woken:
            self._task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(abort)
        self._woken = False

    def wakeup_on_signals(self) -> None:
        pass

    def close(self) -> None:
        pass


class _Instruments(dict[str, Any]):
    """Trio's instruments, that are asked for several times in each pass: as a `dict`, not as one wrapped in Python."""

    add_instrument = internals.Instruments.add_instrument
    remove_instrument = internals.Instruments.remove_instrument
    call = internals.Instruments.call

    @property
    def data(self) -> dict[str, Any]:
        return self


class _OrderedDeadlines(_run.Deadlines):
    """Deadlines of one instant expire in the order in which they were set; Trio's own go by ``id()``."""

    numbers = 0

    def add(self, deadline: float, cancel_scope: trio.CancelScope) -> None:
        _OrderedDeadlines.numbers += 1
        heappush(self._heap, (deadline, _OrderedDeadlines.numbers, cancel_scope))
        self._active += 1


@contextmanager
def _installed(loop: Loop) -> Iterator[None]:
    """This loop schedules, until the context ends."""
    global _current
    if _current is not None:
        raise RuntimeError("one world at a time: a world can't run within another one")
    before = internals._ALLOW_DETERMINISTIC_SCHEDULING, internals._r
    internals._ALLOW_DETERMINISTIC_SCHEDULING, internals._r = True, loop
    library = internals.sniffio_library.name
    internals.sniffio_library.name = "trio"
    _current = loop
    try:
        yield
    finally:
        _current = None
        internals.sniffio_library.name = library
        internals._ALLOW_DETERMINISTIC_SCHEDULING, internals._r = before


def _runner(clock: VirtualClock, interrupt: Callable[[], None]) -> Any:
    """What Trio sets up before it runs, but without sockets and epoll."""
    if hasattr(internals.GLOBAL_RUN_CONTEXT, "runner"):
        raise RuntimeError("a world can't run inside trio.run: call it from synchronous code")
    keyboard = internals.KIManager()
    runner = internals.Runner(
        clock=clock,
        instruments=_Instruments({"_all": {}}),
        io_manager=_NoInputOutput(),
        system_context=contextvars.copy_context(),
        ki_manager=keyboard,
        strict_exception_groups=True,
        deadlines=_OrderedDeadlines(),
        entry_queue=internals.EntryQueue(wakeup=_Wakeup()),
    )
    runner.asyncgens.install_hooks(runner)
    keyboard.install(interrupt, False)
    internals.GLOBAL_RUN_CONTEXT.runner = runner
    return runner


_undead: list[Any] = []
"""Coroutines that would not even be closed. Kept, since they would protest when they are collected."""


def _abandon(runner: Any) -> None:
    """Close what would not unwind. Whatever it does about that is without effect."""
    muted = logging.root.manager.disable
    logging.disable()  # they complain about being closed
    for task in sorted(runner.tasks, key=lambda task: -task._counter):
        for nursery in task.child_nurseries:
            nursery._children.clear()
        try:
            task.coro.close()
        except BaseException:  # noqa: ASYNC103  whatever it is, the world is over
            _undead.append(task.coro)
    logging.disable(muted)


def _unshield(scope: trio.CancelScope) -> None:
    """Lower every shield below this scope."""
    status: Any = scope._cancel_status
    todo = [status] if status is not None else []
    while todo:
        children = todo.pop()._children
        for child in list(children):
            if child._scope._shield:
                child._scope.shield = False
            todo.append(child)


def _label(task: Any) -> str:
    process = task.context.get(_process)
    return f"{process.name} {task.name}" if process is not None else str(task.name)


def _place(task: Any) -> str:
    """Where a task is: the innermost line that is not Trio's."""
    place = "its start"
    library = os.path.dirname(trio.__file__)
    for frame, line in task.iter_await_frames():
        if not frame.f_code.co_filename.startswith(library):
            place = f"{os.path.basename(frame.f_code.co_filename)}:{line} {frame.f_code.co_name}"
    return place


def _is_interrupt(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(KeyboardInterrupt) is not None
    return isinstance(error, KeyboardInterrupt)
