"""Pyrallel-Consumer, its asynchronous engine.

Logging is off, and so is its dead-letter queue, which would copy each record.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from pyrallel_consumer import KafkaConfig, PyrallelConsumer
from pyrallel_consumer.config import AsyncConfig, ExecutionConfig, ParallelConsumerConfig
from pyrallel_consumer.dto import ExecutionMode, OrderingMode

from ..marks import Marks
from ..model import Job, Measurement
from ..pace import LOOK_SECONDS, Pace
from .handlers import handler_of

ORDERS = {"key": OrderingMode.KEY_HASH, "partition": OrderingMode.PARTITION, "unordered": OrderingMode.UNORDERED}
POLL_BATCH_RECORDS, POLL_BATCH_RECORDS_WAITING = 50, 25
"""What was found to be fastest for handlers that do not wait, and for those that do."""
COMMIT_SECONDS_MAX = 20.0
"""After the last record."""
DAY_MS = 86_400_000
"""No handler is ended for being slow: those of other consumers are not, either."""
CLIENT_SETTINGS: Mapping[str, str | int | bool] = {
    "enable.auto.offset.store": False,
    "fetch.queue.backoff.ms": 10,
}
"""What `trio_consumer` gives to librdkafka besides."""


class Config(KafkaConfig):  # type: ignore[misc]
    """With settings of librdkafka that Pyrallel-Consumer has no field for."""

    def get_consumer_config(self) -> dict[str, str | int | bool]:
        """All of them."""
        return {**super().get_consumer_config(), **CLIENT_SETTINGS}


def consume(job: Job) -> Measurement:
    """Records per second."""
    logging.disable(logging.CRITICAL)
    return asyncio.run(_consume(job))


async def _consume(job: Job) -> Measurement:
    marks = Marks(job.marks, job.counts)
    pace = Pace(marks)
    consumer = PyrallelConsumer(config_of(job), handler_of(job, marks, attrgetter("tp.partition")), job.topic)
    await consumer.start()
    while not pace.look():  # noqa: ASYNC110  the clock is a look
        await asyncio.sleep(LOOK_SECONDS)
    problems = []
    if marks.complete and not await _all_committed(consumer):
        problems.append(f"not all was committed {COMMIT_SECONDS_MAX:g} s after the last record was handled")
    await consumer.stop()
    return pace.measurement(problems)


def config_of(job: Job) -> KafkaConfig:
    """The settings at which it was found to be fastest."""
    waiting = job.options["handler"]["kind"] in ("sleep", "sweep")
    execution = ExecutionConfig(
        mode=ExecutionMode.ASYNC,
        max_in_flight=job.options["concurrency"],
        async_config=AsyncConfig(task_timeout_ms=DAY_MS),
    )
    parallel = ParallelConsumerConfig(
        poll_batch_size=POLL_BATCH_RECORDS_WAITING if waiting else POLL_BATCH_RECORDS,
        ordering_mode=ORDERS[job.options.get("order", "key")],
        execution=execution,
    )
    return Config(
        BOOTSTRAP_SERVERS=job.bootstrap_servers,
        CONSUMER_GROUP=job.group,
        dlq_enabled=False,
        parallel_consumer=parallel,
    )


async def _all_committed(consumer: Any) -> bool:
    """Wait: what is not committed when it is stopped never will be."""
    deadline = time.monotonic() + COMMIT_SECONDS_MAX
    while any(one.true_lag for one in consumer.get_metrics().partitions):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(LOOK_SECONDS)
    return True
