"""Memory of queued records: what the process grows by while records pile up behind a handler that never returns.

Two readings are taken while the queue grows, one early and one at its end, so that what is there once (librdkafka's
buffers, the interpreter) cancels out. librdkafka's own queue is kept short: its records are not ours yet.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import trio

from trio_consumer import Consumer, Record, open_consumer
from trio_consumer.config import ConsumerOptions

from ..model import Job, Measurement
from .ours import LOOK_SECONDS, STANDSTILL_SECONDS_MAX, settings_of

EARLY = 0.2
"""Part of the records that is queued at the first reading."""
SHORT_QUEUE = {
    "queued.min.messages": 1_000,
    "queued.max.messages.kbytes": 1_024,
    "fetch.max.bytes": 1_048_576,
    "max.partition.fetch.bytes": 65_536,
    "message.max.bytes": 1_048_576,
}


def resident(job: Job) -> Measurement:
    """Bytes of a queued record beyond its key and value, by the resident set of the process."""
    return trio.run(_grow, job, _resident_bytes)


def traced(job: Job) -> Measurement:
    """The same by what Python has allocated, which leaves out what malloc wastes, and what librdkafka holds."""
    tracemalloc.start()
    return trio.run(_grow, job, lambda: tracemalloc.get_traced_memory()[0])


async def _grow(job: Job, bytes_now: Callable[[], int]) -> Measurement:
    unlimited: ConsumerOptions = {
        "queued_records_max": 100 * job.records,
        "queued_records_max_per_partition": 100 * job.records,
        "queued_bytes_max": 2**50,
        "queued_bytes_max_per_partition": 2**50,
        "concurrency": 1,  # the tasks of handlers in flight are not what is measured
        "grace": 0,
    }
    async with open_consumer({**settings_of(job), **SHORT_QUEUE}, [job.topic], **unlimited) as consumer:
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


def _resident_bytes() -> int:
    status = Path("/proc/self/statm")
    if not status.exists():
        sys.exit("the resident set is read from /proc, which this system does not have")
    import resource

    return int(status.read_text().split()[1]) * resource.getpagesize()
