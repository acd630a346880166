"""Our consumer, with the handlers of the scenarios.

The rate is taken by a task beside the consumer, from the first time it sees a record handled to the time when it sees
all of them handled, without those that the first look already counted; so neither the joining of the group nor a clock
in the handler is in it. What the handler does for the harness is to set one byte.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import trio

from trio_consumer import Record, open_consumer

from ..model import Job, Measurement
from .tally import Handler, OrderCheck, Tally

LOOK_SECONDS = 0.01
"""Time between two looks at what is handled, and so the resolution of a measurement."""
STANDSTILL_SECONDS_MAX = 20.0
"""Without any progress for so long, a candidate gives up."""


def settings_of(job: Job) -> dict[str, Any]:
    """What a user would give; everything else is as `open_consumer` makes it."""
    return {"bootstrap.servers": job.bootstrap_servers, "group.id": job.group, "auto.offset.reset": "earliest"}


def noop(job: Job) -> Measurement:
    """Records per second of a handler that never waits."""

    def handler(tally: Tally) -> Handler:
        marks = tally.marks

        async def handle(record: Record) -> None:
            marks[record.partition][record.offset] += 1

        return handle

    return trio.run(_rate, job, handler, {"concurrency": job.options["concurrency"]})


def sleep(job: Job) -> Measurement:
    """Records per second of a handler that sleeps."""
    seconds = job.options["seconds"]

    def handler(tally: Tally) -> Handler:
        marks = tally.marks

        async def handle(record: Record) -> None:
            await trio.sleep(seconds)
            marks[record.partition][record.offset] += 1

        return handle

    return trio.run(_rate, job, handler, {"concurrency": job.options["concurrency"]})


async def _rate(job: Job, handler_of: Callable[[Tally], Handler], options: Mapping[str, Any]) -> Measurement:
    tally = Tally(job.counts)
    handler = handler_of(tally)
    check = OrderCheck(handler) if job.check_order else None
    async with open_consumer(settings_of(job), [job.topic], **options) as consumer:
        async with trio.open_nursery() as nursery:
            await nursery.start(consumer.run, check or handler)
            rate, cpu = await _watch(tally)
            if rate is None:
                nursery.cancel_scope.cancel()
            await consumer.drain()
        statistics = consumer.statistics()
    problems = [*tally.problems(), *(check.problems() if check else ())]
    if statistics.handled != tally.handled:
        problems.append(
            f"statistics() tells of {statistics.handled:,} handled records, the handler of {tally.handled:,}"
        )
    return Measurement(
        value=rate,
        problems=problems,
        detail={"cpu_us_per_record": cpu * 1e6, "commits": statistics.commits},
    )


async def _watch(tally: Tally) -> tuple[float | None, float]:
    """Records per second, and seconds of the processor for each; no rate if the consumer stands still."""
    first = first_cpu = 0.0
    already, seen, since = 0, -1, time.perf_counter()
    while True:
        await trio.sleep(LOOK_SECONDS)
        now = time.perf_counter()
        if tally.complete:
            records = max(tally.handled - already, 1)
            return records / (now - first), (time.process_time() - first_cpu) / records
        if not already:
            already, first, first_cpu = tally.handled, now, time.process_time()
        if now - since > STANDSTILL_SECONDS_MAX:
            if tally.handled == seen:
                return None, 0.0
            seen, since = tally.handled, now
