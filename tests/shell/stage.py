"""A stage for one consumer: it runs beside the test on a `ScriptedClient`, in virtual time.

Each test takes the fixture ``autojump_clock``: time jumps to the next deadline whenever every task waits, so hours take
milliseconds, and a consumer that has come to a halt for good fails its test at once, by `SECONDS_MAX`.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Unpack

import trio
from trio.testing import wait_all_tasks_blocked

from tests.shell.scripted import ScriptedClient
from trio_consumer import Consumer, Partition, Record, open_consumer
from trio_consumer.config import ConsumerOptions

A, B, C = (Partition("t", number) for number in range(3))
SETTINGS = {"bootstrap.servers": "broker:9092", "group.id": "group"}
SECONDS_MAX = 3_000.0
"""Virtual; only a consumer that hangs gets there."""

At = tuple[int, int]
"""Number of the partition, and offset."""


def keys(count: int, distinct: int | None = None) -> list[bytes]:
    """So many keys; the distinct ones take turns."""
    return [b"k%d" % (number % (distinct or count)) for number in range(count)]


class Handler:
    """A handler that notes what it does, and that no lane of it ever overlaps.

    Args:
        work: What it does with a record; by default it returns at once.
        keyed: False if records of one key may overlap.

    Attributes:
        started: Records in the order in which their handlers started.
        done: Those that returned.
        cancelled: Those that were cancelled.
        raised: Those that raised something else.
        running: Those that run now.
        peak: The most that ran at once.
        overlaps: Violations: records that started while another one of their key ran.
    """

    def __init__(self, work: Callable[[Record], Awaitable[object]] | None = None, *, keyed: bool = True) -> None:
        self.work = work
        self.keyed = keyed
        self.started: list[At] = []
        self.done: list[At] = []
        self.cancelled: list[At] = []
        self.raised: list[At] = []
        self.running: list[At] = []
        self.peak = 0
        self.overlaps: list[At] = []
        self._lanes: set[tuple[int, object]] = set()

    async def __call__(self, record: Record) -> None:
        at, lane = (record.partition, record.offset), (record.partition, record.key)
        if self.keyed and record.key is not None and lane in self._lanes:
            self.overlaps.append(at)
        self._lanes.add(lane)
        self.started.append(at)
        self.running.append(at)
        self.peak = max(self.peak, len(self.running))
        try:
            if self.work is not None:
                await self.work(record)
            self.done.append(at)
        except trio.Cancelled:
            self.cancelled.append(at)
            raise
        except BaseException:
            self.raised.append(at)
            raise
        finally:
            self.running.remove(at)
            self._lanes.discard(lane)


class Gates:
    """Work that waits for the test to let it through.

    Args:
        records: Only these wait; all by default.
    """

    def __init__(self, *records: At) -> None:
        self._only = frozenset(records)
        self._events: dict[At, trio.Event] = {}

    async def __call__(self, record: Record) -> None:
        at = (record.partition, record.offset)
        if not self._only or at in self._only:
            await self._event(at).wait()

    def open(self, *records: At) -> None:
        for at in records or tuple(self._events):
            self._event(at).set()

    def _event(self, at: At) -> trio.Event:
        return self._events.setdefault(at, trio.Event())


class Stage:
    """One consumer whose `run` goes on beside the test.

    Attributes:
        scope: Around `run`: cancel it for a cancellation from outside.
        ended: Set when `run` has ended.
    """

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer
        self.scope = trio.CancelScope()
        self.ended = trio.Event()
        self._error: BaseException | None = None

    async def run(  # noqa: ASYNC128  the consumer's run() tells
        self,
        handler: Callable[[Record], Awaitable[object]],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        with self.scope:
            try:
                await self.consumer.run(handler, task_status=task_status)
            except trio.Cancelled:
                raise
            except BaseException as error:
                _, rest = error.split(trio.Cancelled) if isinstance(error, BaseExceptionGroup) else (None, error)
                if rest is None:
                    raise
                self._error = rest
            finally:
                self.ended.set()

    async def failure(self) -> BaseException:
        """What `run` raised; the test fails if it returns."""
        await self.ended.wait()
        if self._error is None:
            raise AssertionError("run() did not raise")
        error, self._error = self._error, None
        return error

    async def cancel(self) -> None:
        """Cancel `run` from outside and wait for its end."""
        self.scope.cancel()
        await self.ended.wait()

    async def close(self) -> None:
        await self.consumer.drain()
        if self._error is not None:
            raise self._error


@asynccontextmanager
async def opened(client: ScriptedClient, **options: Unpack[ConsumerOptions]) -> AsyncGenerator[Consumer, None]:
    with trio.fail_after(SECONDS_MAX):
        async with open_consumer(SETTINGS, "t", connect=client.connect, rng=random.Random(1), **options) as consumer:
            yield consumer


@asynccontextmanager
async def running(
    client: ScriptedClient,
    handler: Callable[[Record], Awaitable[object]],
    *partitions: Partition,
    **options: Unpack[ConsumerOptions],
) -> AsyncGenerator[Stage, None]:
    """A consumer that runs and has been assigned these. It is drained at the end of the block, if it still runs."""
    async with opened(client, **options) as consumer:
        stage = Stage(consumer)
        async with trio.open_nursery() as nursery:
            await nursery.start(stage.run, handler)
            if partitions:
                client.assign(*partitions)
                await consumer.wait_assigned()
            await wait_all_tasks_blocked()
            yield stage
            await stage.close()
    if isinstance(handler, Handler) and handler.overlaps:
        raise AssertionError(f"handlers of one key overlapped: {handler.overlaps}")
