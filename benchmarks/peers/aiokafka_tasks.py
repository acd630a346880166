"""aiokafka with a task for each record: what one writes with asyncio, made as fast as it gets.

aiokafka hands out records partition by partition; everything else is here. Each record gets a task, and so many may run
at a time as the job says. Tasks end in any order. Each marks its offset as done; at intervals, the offset below which
all are done is committed, for those partitions where it has moved. There is no rebalance to deal with: the group has
one member.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Callable, Coroutine
from operator import attrgetter
from typing import Any

import uvloop
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from ..marks import Marks
from ..model import Job, Measurement
from ..pace import LOOK_SECONDS, Pace
from .handlers import Handler, handler_of

COMMIT_SECONDS = 0.5
"""As ours, by default."""
SETTINGS: dict[str, Any] = {
    "auto_offset_reset": "earliest",
    "enable_auto_commit": False,
    "fetch_max_bytes": 50 * 1024 * 1024,
    "max_partition_fetch_bytes": 1024 * 1024,
    "check_crcs": False,
}
"""What librdkafka has by default."""

StartTask = Callable[[Coroutine[Any, Any, None]], object]
"""Starts a task that nobody waits for."""


def consume(job: Job) -> Measurement:
    """Records per second, with asyncio's own event loop."""
    return asyncio.run(_consume(job, eager=False))


def consume_fast(job: Job) -> Measurement:
    """The same with uvloop and, from Python 3.12, eager tasks: one whose handler never waits ends where it is made."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_consume(job, eager=True))


async def _consume(job: Job, *, eager: bool) -> Measurement:
    marks = Marks(job.marks, job.counts)
    pace = Pace(marks)
    consumer = AIOKafkaConsumer(job.topic, bootstrap_servers=job.bootstrap_servers, group_id=job.group, **SETTINGS)
    await consumer.start()
    try:
        work = TaskPerRecord(consumer, handler_of(job, marks, attrgetter("partition")), job, _start_task(eager=eager))
        routines = [asyncio.create_task(work.feed()), asyncio.create_task(work.commit_at_intervals())]
        while not pace.look() and not any(one.done() for one in routines):  # noqa: ASYNC110  the clock is a look
            await asyncio.sleep(LOOK_SECONDS)
        for one in routines:
            one.cancel()
        ended = await asyncio.gather(*routines, return_exceptions=True)
        await work.commit()
    finally:
        await consumer.stop()
    failed = [f"{type(one).__name__}: {one}" for one in ended if isinstance(one, Exception)]
    return pace.measurement(failed, {"commits": work.commits})


def _start_task(*, eager: bool) -> StartTask:
    # Not by the loop's task factory: aiokafka starts tasks that must not run before their constructor has ended.
    loop = asyncio.get_running_loop()
    if eager and sys.version_info >= (3, 12):
        return functools.partial(asyncio.Task, loop=loop, eager_start=True)
    return loop.create_task


class TaskPerRecord:
    """Feeds records to tasks, and commits what they have done.

    Args:
        consumer: Started.
        handler: Called in the task of each record.
        job: Tells how many tasks may run at a time, and how many records there are.
        start_task: Starts one.

    Attributes:
        commits: How many were answered.
    """

    def __init__(
        self, consumer: AIOKafkaConsumer, handler: Handler[ConsumerRecord], job: Job, start_task: StartTask
    ) -> None:
        self._consumer = consumer
        self._handler = handler
        self._start_task = start_task
        self._topic = job.topic
        self._free = int(job.options["concurrency"])
        self._room: asyncio.Future[None] | None = None
        self._done = [bytearray(count) for count in job.counts]
        self._next: dict[int, int] = {}  # by partition, the offset below which all are done
        self._committed: dict[int, int] = {}
        self.commits = 0

    async def feed(self) -> None:
        """A task for each record, for ever."""
        loop, start_task, run = asyncio.get_running_loop(), self._start_task, self._run
        while True:
            for at, records in (await self._consumer.getmany(timeout_ms=1_000)).items():
                self._next.setdefault(at.partition, records[0].offset)
                for record in records:
                    if not self._free:
                        self._room = loop.create_future()
                        await self._room
                    self._free -= 1
                    start_task(run(record))  # what it waits for, or the loop, keeps it alive

    async def _run(self, record: ConsumerRecord) -> None:
        await self._handler(record)
        self._done[record.partition][record.offset] = 1
        self._free += 1
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    async def commit_at_intervals(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(COMMIT_SECONDS)
            await self.commit()

    async def commit(self) -> None:
        """What is done without a gap, where that is more than what was committed last."""
        for partition, first in self._next.items():
            found = self._done[partition].find(0, first)
            self._next[partition] = len(self._done[partition]) if found < 0 else found
        moved = {at: offset for at, offset in self._next.items() if offset != self._committed.get(at)}
        if moved:
            await self._consumer.commit({TopicPartition(self._topic, at): offset for at, offset in moved.items()})
            self._committed.update(moved)
            self.commits += 1
