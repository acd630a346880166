"""`open_consumer` and `Consumer`: the nursery tree.

::

    open_consumer                     holds the client: opened first, closed last
    └── run                           one nursery
        ├── services, shielded        poller, committer, retries, hooks: they outlive the workers
        └── workers                   cancelled first, by us or from outside
            └── the stop              waits to be asked, then ends the workers in order

Every policy is in `core`; this decides only the order in which the tasks start and end.
"""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Unpack

import trio

from .client import confluent
from .client.port import Client, Connect
from .client.settings import max_poll_interval_seconds, prepare
from .committer import Committer
from .config import ConsumerConfig, ConsumerOptions, gather
from .core.engine import Core
from .core.picture import picture
from .errors import ConfigurationError, HandlerFailed, StateError
from .hooks import Hooks
from .poller import Poller
from .record import Partition
from .statistics import Statistics
from .workers import Handler, Workers

log = logging.getLogger("trio_consumer")


@asynccontextmanager
async def open_consumer(
    settings: Mapping[str, Any],
    topics: str | Iterable[str],
    *,
    connect: Connect | None = None,
    rng: random.Random | None = None,
    **options: Unpack[ConsumerOptions],
) -> AsyncGenerator[Consumer, None]:
    """Open a consumer of these topics, as one member of a group.

    The client is connected when the block is entered, joins the group when `Consumer.run` is called, and leaves it when
    the block is left.

    Args:
        settings: librdkafka's settings by their own names; at least ``bootstrap.servers`` and ``group.id``.
        topics: Names of topics, or regular expressions that start with ``^``.
        connect: Opens another client than confluent-kafka's, for instance a simulated one.
        rng: Source of the jitter of retries.
        options: The fields of `ConsumerConfig`.

    Raises:
        ConfigurationError: A setting or option is wrong, or would break the promise.
        BrokerUnreachable: No broker answered.
        AuthenticationFailed: The broker refused our credentials.
        AuthorizationFailed: A topic may not be read.
        UnknownTopic: A topic does not exist.
        CallbackFailed: A callback in the settings raised.
    """
    config = gather(options)
    names = _checked_topics(topics)
    prepared = prepare(settings)
    config.check_poll_interval(max_poll_interval_seconds(prepared))
    opener = confluent.connect if connect is None else connect
    async with opener(prepared, names) as client:
        yield Consumer(client, config, rng if rng is not None else random.Random())


def _checked_topics(topics: str | Iterable[str]) -> tuple[str, ...]:
    names = (topics,) if isinstance(topics, str) else tuple(topics)
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigurationError(f"topics={topics!r}: give at least one name of a topic")
    return tuple(dict.fromkeys(names))


class Consumer:
    """A member of a consumer group. Made by `open_consumer`."""

    def __init__(self, client: Client, config: ConsumerConfig, rng: random.Random) -> None:
        self._config = config
        self._client = client
        self._core = Core(config, rng)
        self._poller: Poller | None = None
        self._workers: Workers | None = None
        self._crew: trio.CancelScope | None = None
        self._cause: BaseException | None = None
        self._client_dead = False
        self._stop_asked = trio.Event()
        self._ended = trio.Event()

    async def run(self, handler: Handler, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Handle records until `drain` is called, a record halts the consumer, the client fails, or it is cancelled.

        Args:
            handler: An async function of one `Record`. Its return value is ignored; see the reference for what each way
                of ending means.
            task_status: Started as soon as the client is being polled.

        Raises:
            HandlerFailed: The attempts of a record are exhausted, and ``exhausted`` is ``"halt"``. Its ``others`` are
                those that failed before everything had stopped.
            ClientError: The client can't go on.
            CallbackFailed: A callback or hook of yours raised.
            StateError: It was called before. There is one run for each consumer.
        """
        if self._poller is not None:
            raise StateError("run() was called a second time: open another consumer for another run")
        if not callable(handler):
            raise ConfigurationError(f"handler={handler!r}: give an async function of one record")
        core, config = self._core, self._config
        workers = Workers(core, config, handler, halt=self._halt, abort=self._abort)
        committer = Committer(
            core.commits,
            self._client,
            due=workers.commit_due,
            abort=self._abort_client,
        )
        hooks = Hooks(core, config, opened=workers.wake, left=workers.wait_left, failed=self._fail)
        poller = Poller(
            core, config, self._client, workers, hooks, committer, abort=self._abort_client, fail=self._fail
        )
        self._workers, self._poller = workers, poller
        try:
            async with trio.open_nursery() as nursery:
                # Not by nursery.start(), which waits for ever where a shielded task starts in a cancelled scope.
                services = trio.CancelScope(shield=True)
                nursery.start_soon(self._serve, services, poller, committer, workers, hooks)
                try:
                    async with trio.open_nursery() as crew:
                        self._crew = crew.cancel_scope
                        workers.open(crew)
                        crew.start_soon(self._stop)
                        task_status.started()
                finally:
                    try:
                        with trio.CancelScope(shield=True):
                            await self._finish(poller, hooks, committer)
                    finally:
                        services.cancel()
        finally:
            self._ended.set()
            # An error is never hidden by a cancellation that came at the same time.
            if self._failed:
                raise self._verdict()

    async def drain(self) -> None:
        """Let running handlers finish, start no others, commit, and end `run`. Cancelling this only stops waiting.

        Raises:
            StateError: `run` has not been called.
        """
        if self._poller is None:
            raise StateError("drain() was called before run()")
        self._ask_to_stop()
        await self._ended.wait()

    def pause(self, partitions: Collection[tuple[str, int]] | None = None) -> None:
        """Start no handlers and fetch nothing for these partitions, by default for all; the group is kept up.

        It holds across rebalances, until `resume`.
        """
        self._core.user_pause.pause(_named(partitions))
        self._follow_pause()

    def resume(self, partitions: Collection[tuple[str, int]] | None = None) -> None:
        """Undo `pause` for these partitions, by default for all."""
        self._core.user_pause.resume(_named(partitions))
        self._follow_pause()

    def _follow_pause(self) -> None:
        self._core.reopen_all()
        if self._workers is not None and self._poller is not None:
            self._workers.wake()
            self._poller.poke()

    async def wait_assigned(self) -> frozenset[Partition]:
        """Wait until the group has given us at least one partition, and return those that we have.

        Raises:
            StateError: `run` has not been called, or has ended.
        """
        while True:
            if self._poller is None or self._ended.is_set():
                raise StateError("no partition will be assigned: run() has not been called, or has ended")
            if self._core.tenures:
                break
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_first, nursery.cancel_scope, self._poller.assigned)
                nursery.start_soon(_first, nursery.cancel_scope, self._ended)
        await trio.lowlevel.checkpoint_if_cancelled()
        return frozenset(self._core.tenures)

    def statistics(self) -> Statistics:
        """A picture of this instant. Never blocks; costs a walk over what is queued."""
        poller = self._poller
        return picture(
            self._core,
            trio.current_time(),
            client_errors={} if poller is None else poller.client_errors,
            revokes_overrun=0 if poller is None else poller.revokes_overrun,
        )

    async def _serve(
        self, scope: trio.CancelScope, poller: Poller, committer: Committer, workers: Workers, hooks: Hooks
    ) -> None:
        with scope:
            async with trio.open_nursery() as nursery:
                hooks.nursery = nursery
                for service in (poller.run, poller.watch_relief, committer.run, workers.revive):
                    nursery.start_soon(self._guard, service)

    async def _guard(self, service: Callable[[], Awaitable[None]]) -> None:
        """A service that dies ends `run` with what it died of."""
        try:
            await service()
        except Exception as error:
            self._abort_client(error)

    # How it ends

    @property
    def _failed(self) -> bool:
        return self._cause is not None or bool(self._core.failures)

    def _ask_to_stop(self) -> None:
        """From now on no handler starts and nothing is fetched; `_stop` does the rest."""
        self._core.stop()
        self._stop_asked.set()
        if self._poller is not None:
            self._poller.poke()

    def _halt(self) -> None:
        """A record is exhausted: stop in order."""
        self._ask_to_stop()

    def _fail(self, error: BaseException) -> None:
        """Something of the user's failed: stop in order, then raise it."""
        if self._cause is None:
            self._cause = error
        elif error is not self._cause:
            log.error("while stopping for another error", exc_info=error)
        self._ask_to_stop()
        if self._workers is not None:
            self._workers.left.send()

    def _abort(self, error: BaseException) -> None:
        """Stop at once, then raise this."""
        self._fail(error)
        if self._crew is not None:
            self._crew.cancel()

    def _abort_client(self, error: BaseException) -> None:
        """The client can't go on, so neither can we."""
        self._client_dead = True
        self._abort(error)

    async def _stop(self) -> None:
        """Waits to be asked; then lets handlers finish, and ends the workers."""
        core, workers = self._core, self._workers
        if workers is None or self._crew is None:
            return
        try:
            await self._stop_asked.wait()
        finally:
            self._ask_to_stop()  # where `run` is cancelled: handlers that take long to leave must not start others
        # A drain waits for handlers for as long as they take, a failure only for the grace.
        while core.running and not self._failed:
            await workers.left.wait()
        with trio.move_on_after(self._config.grace):
            await workers.wait_left()
        self._crew.cancel()

    async def _finish(self, poller: Poller, hooks: Hooks, committer: Committer) -> None:
        """Hooks and the last commit, after all handlers have left."""
        core = self._core
        with trio.move_on_after(self._config.stop_deadline) as scope:
            await poller.settled.wait()
            await hooks.finish(list(core.tenures.values()))
            if not self._client_dead:
                await committer.finish()
        if scope.cancelled_caught:
            log.error(
                "the last commit was not done within stop_deadline=%g s; what it would have covered is handled again",
                self._config.stop_deadline,
            )

    def _verdict(self) -> BaseException:
        if self._cause is not None:
            return self._cause
        first, *others = self._core.failures
        if not others:
            return first
        cause = first.__cause__ or first
        verdict = HandlerFailed(first.partition, first.offset, first.attempts, cause, tuple(others))
        verdict.__cause__ = cause
        return verdict


async def _first(scope: trio.CancelScope, event: trio.Event) -> None:
    await event.wait()
    scope.cancel()


def _named(partitions: Collection[tuple[str, int]] | None) -> list[Partition] | None:
    return None if partitions is None else [Partition(*partition) for partition in partitions]
