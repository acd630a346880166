"""The limits: a loop over confluent-kafka's ``consume`` with no consumer around it, and Trio tasks without Kafka."""

from __future__ import annotations

import time
from typing import Any

import trio
from confluent_kafka import Consumer, KafkaError, TopicPartition

from trio_consumer import Record
from trio_consumer.client.settings import prepare

from ..model import Job, Measurement
from ..pace import STANDSTILL_SECONDS_MAX
from .handlers import work_of
from .ours import settings_of

BATCH_RECORDS_MAX = 2_000


def consume_at_defaults(job: Job) -> Measurement:
    """librdkafka as it comes."""
    return _consume(job, settings_of(job))


def consume(job: Job) -> Measurement:
    """With the settings that `open_consumer` gives to librdkafka."""
    return _consume(job, dict(prepare(settings_of(job))))


def _consume(job: Job, settings: dict[str, Any]) -> Measurement:
    """Records per second, from the first batch on. Commits nothing; reads of a record what any handler would need."""
    consumer = Consumer({**settings, "enable.auto.commit": False})
    consumer.subscribe([job.topic])
    handled = already = 0
    first = first_cpu = 0.0
    latest = time.perf_counter()
    while handled < job.records and time.perf_counter() - latest < STANDSTILL_SECONDS_MAX:
        batch = consumer.consume(BATCH_RECORDS_MAX, 0.1)
        if not batch:
            continue
        latest = time.perf_counter()
        if not already:
            already, first, first_cpu = len(batch), latest, time.process_time()
        for message in batch:
            if error := message.error():
                # Our settings ask for the word that a partition has come to its end.
                if error.code() != KafkaError._PARTITION_EOF:
                    return Measurement(value=None, problems=[str(error)])
                handled -= 1
            message.partition(), message.offset(), message.key(), message.value()
        handled += len(batch)
    seconds, cpu = time.perf_counter() - first, time.process_time() - first_cpu
    problems = _problems(consumer, job, handled)
    consumer.close()
    records = max(handled - already, 1)
    return Measurement(value=records / seconds, problems=problems, detail={"cpu_us_per_record": cpu * 1e6 / records})


def _problems(consumer: Consumer, job: Job, handled: int) -> list[str]:
    """As many records as there are, and every partition read to its end: then each was seen once."""
    if handled != job.records:
        return [f"{handled:,} of {job.records:,} records came"]
    wanted = [TopicPartition(job.topic, number) for number, count in enumerate(job.counts) if count]
    behind = [one.partition for one in consumer.position(wanted) if one.offset != job.counts[one.partition]]
    return [f"{len(behind)} partitions were not read to their end"] if behind else []


def working_tasks(job: Job) -> Measurement:
    """Pieces of work per second of Trio tasks that do nothing else, as many as the consumer may have handlers."""
    work = work_of(job.options["handler"])
    tasks = job.options["concurrency"]
    repeats = max(job.records // tasks, 1)

    async def one(number: int) -> None:
        for repeat in range(repeats):
            await work(Record(job.topic, 0, number * repeats + repeat))

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(tasks):
                nursery.start_soon(one, number)

    first, first_cpu = time.perf_counter(), time.process_time()
    trio.run(main)
    took, cpu = time.perf_counter() - first, time.process_time() - first_cpu
    done = repeats * tasks
    return Measurement(value=done / took, detail={"cpu_us_per_record": cpu * 1e6 / done})
