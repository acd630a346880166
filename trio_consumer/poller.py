"""The poller: the one reader of the client's events. It outlives the workers.

A revoke runs here, step by step: no handler starts → grace for those that run → cancel them → end hooks → one commit of
one snapshot → release. Nothing is fetched meanwhile and no other event is read, as the port says.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import trio

from .client.port import Assigned, Client, Event, Failed, Lost, Records, Revoked
from .committer import Committer
from .config import ConsumerConfig
from .core.engine import Core
from .core.tenures import Tenure
from .errors import CallbackFailed, ClientError
from .hooks import Hooks
from .workers import Workers

log = logging.getLogger("trio_consumer")

HANDLERS_SHARE = 0.75
"""Part of the revoke's deadline after which handlers are no longer waited for."""
COMMIT_SHARE = 0.1
"""Part of the revoke's deadline that is kept for the commit."""
PATIENCE_SECONDS = 0.1
"""How long the poller lets workers catch up with a full enough queue before it fetches on, up to the limits."""
RELIEF_TICK_SECONDS = 0.005
"""How often throttled partitions are looked at while their queues get shorter."""
FULL_TICK_SECONDS = 0.05
"""How often a total that is full is looked at."""
SEEK_AGAIN_SECONDS = 0.1
"""After this a seek that the client refused is asked for again: straight after an assignment it may refuse."""
LOG_AGAIN_SECONDS = 60.0


class Poller:
    """Reads events, tells the core, and does what the core asks of the client."""

    def __init__(
        self,
        core: Core,
        config: ConsumerConfig,
        client: Client,
        workers: Workers,
        hooks: Hooks,
        committer: Committer,
        *,
        abort: Callable[[BaseException], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        self._core = core
        self._config = config
        self._client = client
        self._workers = workers
        self._hooks = hooks
        self._committer = committer
        self._abort = abort
        self._fail = fail
        self._batch = core.limits.batch
        # Enough for the workers while the next batch is on its way; more would only cost memory.
        self._enough = max(self._batch, 2 * config.concurrency)
        self._waiting: trio.CancelScope | None = None
        self._poked = False
        self._logged: dict[str, float] = {}
        self.client_errors: dict[str, int] = {}
        self.revokes_overrun = 0
        self.assigned = trio.Event()
        self.settled = trio.Event()
        self.settled.set()

    def poke(self) -> None:
        """Something about what to fetch has changed."""
        self._poked = True
        if self._waiting is not None:
            self._waiting.cancel()

    async def watch_relief(self) -> None:
        """Pokes when a throttled partition's queue has become short enough to look again."""
        while True:
            await self._workers.relieved.wait()
            # Every run of a throttled partition says so; looking costs a walk over the partitions.
            await trio.sleep(FULL_TICK_SECONDS if self._core.full else RELIEF_TICK_SECONDS)
            self.poke()

    async def run(self) -> None:
        while True:
            await self._follow_seeks()
            await self._follow_flow()
            await self._let_workers_catch_up()
            event = await self._next()
            if event is not None and not await self._take_in(event):
                return
            del event  # while we wait for the next one, nothing but its lane may keep a record alive

    async def _next(self) -> Event | None:
        """The next event, or ``None`` when poked."""
        if self._poked:
            return None
        event = None
        seeking = trio.current_time() + SEEK_AGAIN_SECONDS if self._core.seeks else float("inf")
        with trio.CancelScope(deadline=seeking) as self._waiting:
            event = await self._client.next(self._batch)
        self._waiting = None
        return event

    async def _follow_flow(self) -> None:
        if not self._poked and not self._core.flow_is_due:
            return
        self._poked = False
        pause, resume = self._core.flow()
        if pause:
            await self._client.pause(pause)
        if resume:
            await self._client.resume(resume)

    async def _follow_seeks(self) -> None:
        """Where the client refuses, a revoke or a loss of the partition is to come, or we try again."""
        seeks = self._core.seeks
        for partition, offset in tuple(seeks.items()):
            try:
                await self._client.seek({partition: offset})
            except ClientError as error:
                self._note(Failed(error))
            else:
                seeks.pop(partition, None)

    async def _let_workers_catch_up(self) -> None:
        if self._core.queued() >= self._enough and not self._workers.idle:
            with trio.move_on_after(PATIENCE_SECONDS):
                await self._workers.hungry.wait()

    async def _take_in(self, event: Event) -> bool:
        """Returns false when it was the last event."""
        core = self._core
        if isinstance(event, Records):
            core.records(event, trio.current_time())
            self._workers.wake()
        elif isinstance(event, Assigned):
            core.assigned(event)
            if core.tenures:  # events of no partitions are frequent
                self.assigned.set()
        elif isinstance(event, Revoked):
            await self._revoke(event)
        elif isinstance(event, Lost):
            self._lose(event)
        else:
            return self._note(event)
        if core.begun or core.ended:
            self._hooks.follow()
            if not core.tenures:
                self.assigned = trio.Event()
        return True

    def _lose(self, event: Lost) -> None:
        tenures = [self._core.tenures[partition] for partition in event.partitions if partition in self._core.tenures]
        for tenure in tenures:
            self._core.end(tenure, lost=True)
        if tenures:
            log.warning("lost %s: their latest records are handled again elsewhere", _names(tenures))

    async def _revoke(self, event: Revoked) -> None:
        tenures = self._core.close(event.partitions)
        self.settled = trio.Event()
        try:
            deadline = trio.current_time() + self._config.revoke_deadline
            stuck = False
            with trio.move_on_at(deadline) as scope:
                stuck = await self._empty(tenures)
                with trio.move_on_at(deadline - self._config.revoke_deadline * COMMIT_SHARE):
                    await self._hooks.finish(tenures)
                await self._committer.commit_final(tenures)
            self.revokes_overrun += stuck or scope.cancelled_caught
            if scope.cancelled_caught:
                log.error(
                    "the revoke of %s overran revoke_deadline=%g s; what was not committed is handled again",
                    _names(tenures),
                    self._config.revoke_deadline,
                )
        finally:
            for tenure in tenures:
                self._core.end(tenure)
            self._client.release(event)
            self.settled.set()

    async def _empty(self, tenures: list[Tenure]) -> bool:
        """Grace for the handlers that run, then cancel them, and wait until they have left or may not be waited for.

        Returns whether some have not left.
        """
        left = self._workers.wait_left
        begun = trio.current_time()
        with trio.move_on_at(begun + self._config.grace):
            await left(tenures)
        for tenure in tenures:
            for run in tuple(tenure.runs):
                run.cancel()
        with trio.move_on_at(begun + HANDLERS_SHARE * self._config.revoke_deadline):
            await left(tenures)
        stuck = [tenure for tenure in tenures if tenure.runs]
        if stuck:
            log.error(
                "handlers of %s ignore their cancellation: their records stay incomplete, and their lanes blocked here",
                ", ".join(
                    f"{tenure.partition}@{run.record.offset}" for tenure in stuck for run in tenure.runs if run.record
                ),
            )
        return bool(stuck)

    def _note(self, event: Failed) -> bool:
        error = event.error
        if isinstance(error, ClientError):
            self.client_errors[error.code] = self.client_errors.get(error.code, 0) + 1
        if isinstance(error, CallbackFailed):  # the client is well: stop in order
            self._fail(error)
            return True
        if event.fatal:
            self._abort(error)
            return False
        code = error.code if isinstance(error, ClientError) else type(error).__name__
        now = trio.current_time()
        if now - self._logged.get(code, float("-inf")) >= LOG_AGAIN_SECONDS:
            self._logged[code] = now
            log.warning("the Kafka client reports (once a minute at most): %s", error)
        return True


def _names(tenures: list[Tenure]) -> str:
    return ", ".join(str(tenure.partition) for tenure in tenures)
