"""The user's hooks at the start and the end of a tenure, for caches and files of a partition.

The start hook runs before the first handler of its tenure, which is held until then; the end hook after the last one,
and before the commit of a revoke. The end hook runs if and only if the start hook has returned. Those of one partition
never overlap: the start of the next tenure waits for the end of the previous one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from .config import ConsumerConfig
from .core.engine import Core
from .core.tenures import Tenure, TenureState
from .errors import CallbackFailed
from .exits import ending
from .record import Partition


class Hooks:
    """Runs the hooks of all tenures of one ``run``."""

    def __init__(
        self,
        core: Core,
        config: ConsumerConfig,
        *,
        opened: Callable[[], None],
        left: Callable[[list[Tenure]], Awaitable[None]],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._core = core
        self._start = config.tenure_start
        self._end = config.tenure_end
        self._opened = opened
        self._left = left
        self._failed = failed
        self._starting: dict[Tenure, trio.CancelScope] = {}
        self._busy: dict[Partition, trio.Event] = {}
        self.nursery: trio.Nursery | None = None

    def follow(self) -> None:
        """Start what the tenures that began and ended since the last call need."""
        begun, self._core.begun = self._core.begun, []
        ended, self._core.ended = self._core.ended, []
        for tenure in ended:
            if tenure in self._starting:
                self._starting[tenure].cancel()
            if tenure.started:
                self._spawn(tenure, self._run_end)
        for tenure in begun:
            if self._start is None:
                tenure.started = self._end is not None
            elif tenure.state is TenureState.ACTIVE:
                self._starting[tenure] = trio.CancelScope()
                self._spawn(tenure, self._run_start)

    def _spawn(self, tenure: Tenure, hook: Callable[[Tenure, trio.Event | None, trio.Event], Awaitable[None]]) -> None:
        before, done = self._busy.get(tenure.partition), trio.Event()
        self._busy[tenure.partition] = done
        if self.nursery is not None:
            self.nursery.start_soon(hook, tenure, before, done)

    async def _run_start(self, tenure: Tenure, before: trio.Event | None, done: trio.Event) -> None:
        try:
            with self._starting[tenure]:
                if before is not None:
                    await before.wait()
                if self._start is not None:
                    await self._start(tenure.partition)
                tenure.started = True
        except trio.Cancelled:
            raise
        except BaseException as error:
            self._report("tenure_start", error)
        finally:
            del self._starting[tenure]
            self._release(tenure, done)
        if tenure.started:
            if tenure.state is TenureState.ENDED:
                self._spawn(tenure, self._run_end)
            tenure.held = False
            self._core.reopen(tenure)
            self._opened()

    async def _run_end(self, tenure: Tenure, before: trio.Event | None, done: trio.Event) -> None:
        started, tenure.started = tenure.started, False
        try:
            if before is not None:
                await before.wait()
            await self._left([tenure])
            if started and self._end is not None:
                await self._end(tenure.partition)
        except trio.Cancelled:
            raise
        except BaseException as error:
            self._report("tenure_end", error)
        finally:
            self._release(tenure, done)

    def _release(self, tenure: Tenure, done: trio.Event) -> None:
        done.set()
        if self._busy.get(tenure.partition) is done:
            del self._busy[tenure.partition]

    def _report(self, name: str, error: BaseException) -> None:
        """A hook failed: stop in order. What ends the program ends `run` bare, as from a handler."""
        if (end := ending(error)) is not None:
            self._failed(end)
        elif isinstance(error, Exception):
            failure = CallbackFailed(name)
            failure.__cause__ = error
            self._failed(failure)
        else:
            raise error

    async def finish(self, tenures: list[Tenure]) -> None:
        """End hooks of these tenures, whose handlers have left; start hooks that still run are cancelled."""
        for tenure in tenures:
            if tenure in self._starting:
                self._starting[tenure].cancel()
            elif tenure.started:
                self._spawn(tenure, self._run_end)
        for tenure in tenures:
            while (busy := self._busy.get(tenure.partition)) is not None:
                await busy.wait()
                if tenure.started:  # its start hook has returned although it was cancelled
                    self._spawn(tenure, self._run_end)
