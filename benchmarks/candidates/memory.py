"""Memory of queued records and of lanes: what the process grows by.

Two readings are taken while what is measured grows, one early and one at its end, so that what is there once (buffers,
the interpreter) cancels out.

*Queued*: records pile up behind a handler that never returns. The client is the real one, as its records are what is
weighed; librdkafka's own queue is kept short: its records are not ours yet.

*Idle*: records of ever new keys are handled, and nothing stays queued. The client is one without a broker.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import trio

from trio_consumer import Consumer, Record, open_consumer
from trio_consumer.config import ConsumerOptions

from ..marks import Marks
from ..model import Job, Measurement, Workload
from ..pace import LOOK_SECONDS, STANDSTILL_SECONDS_MAX
from .handlers import handler_of
from .ours import settings_of
from .prepared import KEY_BYTES, TOPIC, PreparedClient, Supply
from .scale import SETTINGS, UNLIMITED, until

EARLY = 0.2
"""Part of the records that is queued, or handled, at the first reading."""
SHORT_QUEUE = {
    "queued.min.messages": 1_000,
    "queued.max.messages.kbytes": 1_024,
    "fetch.max.bytes": 1_048_576,
    "max.partition.fetch.bytes": 65_536,
    "message.max.bytes": 1_048_576,
}


def resident(job: Job) -> Measurement:
    """Bytes of a queued record beyond its key and value, by the resident set of the process."""
    return trio.run(_queue, job, _resident_bytes)


def traced(job: Job) -> Measurement:
    """The same by what Python has allocated, which leaves out what malloc wastes, and what librdkafka holds."""
    tracemalloc.start()
    return trio.run(_queue, job, _traced_bytes)


def idle(job: Job) -> Measurement:
    """Bytes of a key that was seen and has no record any more, by what Python has allocated."""
    tracemalloc.start()
    return trio.run(_forget, job)


async def _queue(job: Job, bytes_now: Callable[[], int]) -> Measurement:
    # The tasks of handlers in flight are not what is measured.
    options: ConsumerOptions = {**UNLIMITED, "concurrency": 1}
    async with open_consumer({**settings_of(job), **SHORT_QUEUE}, [job.topic], **options) as consumer:
        async with trio.open_nursery() as nursery:
            await nursery.start(consumer.run, _never)
            early, early_bytes = await _wait_queued(consumer, int(job.records * EARLY), bytes_now)
            late, late_bytes = await _wait_queued(consumer, job.records, bytes_now)
            nursery.cancel_scope.cancel()
    if late != job.records:
        return Measurement(value=None, problems=[f"{late:,} of {job.records:,} records were queued"])
    grown = (late_bytes - early_bytes) / (late - early)
    return Measurement(value=grown - job.record_bytes, detail={"with_key_and_value": grown})


async def _never(record: Record) -> None:
    await trio.sleep_forever()


async def _wait_queued(consumer: Consumer, records: int, bytes_now: Callable[[], int]) -> tuple[int, int]:
    """How many records have come when there are enough, and the memory then."""
    seen, since = -1, trio.current_time()
    while True:
        await trio.sleep(10 * LOOK_SECONDS)
        statistics = consumer.statistics()
        come = statistics.queued + statistics.in_flight
        if come != seen:
            seen, since = come, trio.current_time()
        if come >= records or trio.current_time() - since > STANDSTILL_SECONDS_MAX:
            gc.collect()
            return come, bytes_now()


async def _forget(job: Job) -> Measurement:
    workload = Workload(
        records=job.records, keys=None, partitions=len(job.counts), value_bytes=job.record_bytes - KEY_BYTES
    )
    marks, stops = Marks(job.marks, job.counts), (int(job.records * EARLY), job.records)
    ebb, early_bytes, late_bytes = _Ebb(stops), 0, 0
    client = PreparedClient(Supply.of(workload), room=ebb.room)
    options: ConsumerOptions = {**UNLIMITED, "concurrency": job.options["concurrency"]}
    async with (
        open_consumer(SETTINGS, TOPIC, connect=client.connect, **options) as consumer,
        trio.open_nursery() as nursery,
    ):
        await nursery.start(consumer.run, handler_of(job, marks))
        with trio.move_on_after(STANDSTILL_SECONDS_MAX):
            early_bytes = await _low_tide(ebb, marks, stops[0])
            late_bytes = await _low_tide(ebb, marks, stops[1])
        queued = consumer.statistics().queued
        nursery.cancel_scope.cancel()
    problems = marks.problems()
    if queued or ebb.stop is not None:
        return Measurement(value=None, problems=[*problems, f"{queued:,} records were still queued"])
    return Measurement(value=(late_bytes - early_bytes) / (stops[1] - stops[0]), problems=problems)


async def _low_tide(ebb: _Ebb, marks: Marks, records: int) -> int:
    """What Python has allocated when so many records are handled and no other has come."""
    await until(lambda: marks.handled >= records)
    gc.collect()
    allocated = _traced_bytes()
    ebb.next()
    return allocated


class _Ebb:
    """Stops the client until what it has handed out is handled.

    Args:
        stops: After so many records.
    """

    def __init__(self, stops: Sequence[int]) -> None:
        self._stops = deque(stops)
        self._go = trio.Event()

    @property
    def stop(self) -> int | None:
        """The next one."""
        return self._stops[0] if self._stops else None

    def next(self) -> None:
        """Go on to the next stop, if there is one."""
        self._stops.popleft()
        self._go.set()
        self._go = trio.Event()

    async def room(self, handed: int) -> int:
        """For the client."""
        while self.stop is not None and handed >= self.stop:
            await self._go.wait()
        return 1 if self.stop is None else self.stop - handed


def _traced_bytes() -> int:
    return tracemalloc.get_traced_memory()[0]


def _resident_bytes() -> int:
    status = Path("/proc/self/statm")
    if not status.exists():
        sys.exit("the resident set is read from /proc, which this system does not have")
    import resource

    return int(status.read_text().split()[1]) * resource.getpagesize()
