"""Our consumer, with the handlers that scenarios name."""

from __future__ import annotations

from typing import Any

import trio

from trio_consumer import Order, open_consumer
from trio_consumer.config import ConsumerOptions

from ..marks import Marks
from ..model import Job, Measurement
from ..pace import LOOK_SECONDS, Pace
from .handlers import handler_of


def settings_of(job: Job) -> dict[str, Any]:
    """What a user would give; everything else is as `open_consumer` makes it."""
    return {"bootstrap.servers": job.bootstrap_servers, "group.id": job.group, "auto.offset.reset": "earliest"}


def consume(job: Job) -> Measurement:
    """Records per second."""
    return trio.run(_consume, job)


async def _consume(job: Job) -> Measurement:
    marks = Marks(job.marks, job.counts)
    already = marks.handled  # by a process before this one
    pace = Pace(marks)
    options: ConsumerOptions = {
        "concurrency": job.options["concurrency"],
        "order": Order(job.options.get("order", "key")),
    }
    async with open_consumer(settings_of(job), [job.topic], **options) as consumer:
        async with trio.open_nursery() as nursery:
            await nursery.start(consumer.run, handler_of(job, marks))
            while True:
                await trio.sleep(LOOK_SECONDS)
                if pace.look():
                    break
            if not marks.complete:
                nursery.cancel_scope.cancel()
            await consumer.drain()
        statistics = consumer.statistics()
    problems = []
    if not already and statistics.handled != marks.handled:
        problems.append(f"statistics() tells of {statistics.handled:,} handled records, the marks of {marks.handled:,}")
    return pace.measurement(problems, {"commits": statistics.commits})
