"""Workers: the tasks that call the handler.

There are at most ``concurrency`` of them, so that many handlers are in flight at once at every instant. They are
started as they are needed and kept. A worker takes a *run*: some records of one lane, one after the other, inside a
cancel scope that the tenure can cancel. The scope serves many runs and is replaced once it was cancelled: entering one
costs more than handling a record.

Wake-ups are chained: whoever makes lanes ready, or takes one and leaves others, sees to it that one worker is on its
way. A worker that starts while others are suspended in their handlers wakes as many more, so handlers that wait get all
workers within a few passes, and handlers that never wait get by with one or two.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeAlias, cast

import trio

from .config import ConsumerConfig
from .core.engine import Core
from .core.retries import Decision
from .core.tenures import Tenure, TenureState
from .errors import ConfigurationError
from .exits import Exit, classify, ending, split_cancelled
from .record import Record
from .signals import Signal

log = logging.getLogger("trio_consumer")

Handler: TypeAlias = Callable[[Record], Awaitable[object]]

SLICE_RECORDS_MAX = 512
"""Records that a worker handles before it lets other tasks run, for handlers that never wait."""
SLICE_SECONDS_MAX = 0.01
"""The same in time, looked at after every `LOOK_RECORDS`."""
LOOK_RECORDS = 8


class Worker:
    """One worker's run in progress, as the core sees it."""

    __slots__ = ("cancelled", "key", "record", "resolved", "scope", "tenure")

    tenure: Tenure

    def __init__(self) -> None:
        self.key: Hashable = None
        self.record: Record | None = None
        self.resolved = 0
        self.scope = trio.CancelScope()
        self.cancelled = False  # as scope.cancel_called, which costs as much as a record

    def cancel(self) -> None:
        self.cancelled = True
        self.scope.cancel()


class Workers:
    """All workers of one ``run``.

    Attributes:
        hungry: Sent when a worker found nothing to do.
        left: Sent when a run of a tenure that is closing or ended has left.
        relieved: Sent when a throttled tenure's queue became shorter.
        commit_due: Sent when the number of resolved records makes a commit due.
        retry_added: Sent when a lane was parked.
    """

    def __init__(
        self,
        core: Core,
        config: ConsumerConfig,
        handler: Handler,
        *,
        halt: Callable[[], None],
        abort: Callable[[BaseException], None],
    ) -> None:
        self._core = core
        self._commit_count = config.commit_count
        self._concurrency = config.concurrency
        if not inspect.iscoroutinefunction(handler):
            handler = _expecting_awaitable(handler, abort)
        self._handler = _with_decoding(handler, config, core) if _prepares(config) else handler
        self._halt = halt
        self._abort = abort
        self._idle: list[trio.lowlevel.Task] = []
        self._nursery: trio.Nursery | None = None
        self._started = 0
        self._waking = 0
        self._yielding = 0
        self._active: Worker | None = None  # the last one that looked at its slice
        self.hungry = Signal()
        self.left = Signal()
        self.relieved = Signal()
        core.on_relief = self.relieved.send
        self.commit_due = Signal()
        self.retry_added = Signal()

    def open(self, nursery: trio.Nursery) -> None:
        """Start workers in this nursery from now on, as they are needed."""
        self._nursery = nursery
        self.wake()

    def wake(self) -> None:
        """See to it that a worker is on its way if lanes are ready. Call it after everything that makes lanes ready."""
        if not self._waking and self._core.scheduler.ring:
            self._wake(1)

    @property
    def idle(self) -> bool:
        """True if a worker is free and nothing is ready for it."""
        return not self._core.scheduler.ring and (bool(self._idle) or self._started < self._concurrency)

    def _wake(self, count: int) -> None:
        if self._core.stopping:  # no handler may start, and the nursery may have closed
            return
        for _ in range(count):
            if self._idle:
                self._waking += 1
                trio.lowlevel.reschedule(self._idle.pop())
            elif self._started < self._concurrency and self._nursery is not None:
                self._waking += 1
                self._started += 1
                self._nursery.start_soon(self._work)
            else:
                return

    async def _work(self) -> None:
        self._waking -= 1
        worker = Worker()
        try:
            while True:
                with worker.scope:
                    await self._serve(worker)
                worker.scope, worker.cancelled = trio.CancelScope(), False
        except Exception as error:  # ours: a handler's never gets here
            self._abort(error)

    async def _serve(self, worker: Worker) -> None:
        """Run after run, until the worker's scope has been cancelled."""
        core, handler = self._core, self._handler
        handled, look, until = 0, LOOK_RECORDS, trio.current_time() + SLICE_SECONDS_MAX
        while not worker.cancelled:
            run = core.take(worker)
            if run is None:
                await self._park()
                handled, look, until = 0, LOOK_RECORDS, trio.current_time() + SLICE_SECONDS_MAX
                continue
            self._wake_others()
            broken_off = None
            for record in run:
                handled += 1
                try:
                    await handler(record)
                except BaseException as error:  # noqa: ASYNC103  every kind of exit has its outcome: exits.py
                    run.close()
                    broken_off = self._broke_off(worker, record, error)
                    break  # noqa: ASYNC104  Cancelled is raised again below
            self._left_run(worker.tenure)
            if broken_off is not None and broken_off is not Exit.FAILED:
                # Raises Cancelled, always: a worker that is being cancelled would only start what is cancelled at once.
                await trio.lowlevel.checkpoint()
            if handled >= look:
                look = handled + LOOK_RECORDS
                if self._active is not worker:
                    # Another worker has run since: the handler waited, and so let others run.
                    self._active = worker
                elif handled < SLICE_RECORDS_MAX and trio.current_time() < until:
                    continue
                else:
                    await self._yield()
                handled, look, until = 0, LOOK_RECORDS, trio.current_time() + SLICE_SECONDS_MAX

    def _wake_others(self) -> None:
        """One has taken something: see to it that what is left is taken too."""
        if self._waking or not self._core.scheduler.ring:
            return
        suspended = self._started - len(self._idle) - self._yielding - 1
        if suspended < 2:
            self._wake(1)
        elif room := len(self._idle) + self._concurrency - self._started:
            self._wake(self._core.scheduler.runs_ready(min(suspended, room)))

    def _left_run(self, tenure: Tenure) -> None:
        """A run has left; what it has changed may be news to somebody."""
        if self._core.commits.resolved >= self._commit_count:
            self.commit_due.send()
        if tenure.throttled:
            self.relieved.send()
        if not tenure.open:
            self.left.send()
            if tenure.state is TenureState.ENDED:
                self.wake()  # the lane may have been waiting in the partition's next tenure

    async def _yield(self) -> None:
        self._yielding += 1
        try:
            await trio.lowlevel.checkpoint()
        finally:
            self._yielding -= 1

    async def _park(self) -> None:
        task = trio.lowlevel.current_task()

        def abort(_: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
            self._idle.remove(task)
            return trio.lowlevel.Abort.SUCCEEDED

        self._idle.append(task)
        self.hungry.send()
        await trio.lowlevel.wait_task_rescheduled(abort)
        self._waking -= 1

    def _broke_off(self, worker: Worker, record: Record, error: BaseException) -> Exit:
        """The handler raised."""
        core, partition = self._core, worker.tenure.partition
        kind = classify(error, cancelled=trio.current_effective_deadline() == float("-inf"))
        if kind is Exit.FAILED:
            decision = core.failed(worker, record, error, trio.current_time())
            self.retry_added.send()
            log.debug("%s@%d attempt %d failed: %s", partition, record.offset, record.attempt, decision)
            if decision is Decision.HALT:
                self._halt()
        else:
            core.cancelled(worker, record)
            if kind is Exit.ENDS_RUN:
                self._abort(ending(error) or error)
            elif (rest := split_cancelled(error)[1]) is not None:
                log.warning("%s@%d raised while it was being cancelled", partition, record.offset, exc_info=rest)
        return kind

    async def revive(self) -> None:
        """Makes parked lanes ready again when their time has come. Runs for as long as the workers."""
        core = self._core
        while True:
            due = core.retry_due_at()
            with trio.move_on_at(float("inf") if due is None else due):
                await self.retry_added.wait()
            core.unpark(trio.current_time())
            self.wake()

    async def wait_left(self, tenures: list[Tenure] | None = None) -> None:
        """Until no handler of these tenures runs, or none at all."""
        while self._core.running if tenures is None else any(tenure.runs for tenure in tenures):
            await self.left.wait()


def _expecting_awaitable(handler: Handler, abort: Callable[[BaseException], None]) -> Handler:
    """The handler, which may be a plain function that returns an awaitable; any other result ends the run."""

    async def checked(record: Record) -> None:
        result: object = handler(record)
        if not inspect.isawaitable(result):
            abort(ConfigurationError(f"handler={handler!r} is not async: define it with 'async def'"))
            await trio.sleep_forever()  # until the abort cancels us: the record stays incomplete
        await cast("Awaitable[object]", result)

    return checked


def _prepares(config: ConsumerConfig) -> bool:
    return config.decode_key is not None or config.decode_value is not None or callable(config.order)


def _with_decoding(handler: Handler, config: ConsumerConfig, core: Core) -> Handler:
    """The handler behind what happens inside an attempt before it: decoding, and the error of a lane function."""
    decode_key, decode_value = config.decode_key, config.decode_value

    def decoded(decode: Callable[[bytes], Any] | None, data: bytes | None) -> Any:
        return data if decode is None or data is None else decode(data)

    async def prepared(record: Record) -> None:
        if callable(config.order):
            core.raise_if_broken(record)
        await handler(
            Record(
                record.topic,
                record.partition,
                record.offset,
                decoded(decode_key, record.key),
                decoded(decode_value, record.value),
                record.headers,
                record.timestamp,
                record.attempt,
            )
        )

    return prepared
