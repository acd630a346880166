"""Added latency: our consumer and a bare loop, at the same time, on the same records, under a steady load.

A measurement takes two steps:

1. our consumer finds its *capacity*: records per second that it handles while there is always a backlog, and while a
   producer, on the same processors, sends as many, and a bare loop reads them too. Where the producer is the slowest,
   this is what the machine can send and handle at a time;
2. the producer sends on time (see `open_loop`) at a part of this rate. Our handler takes the times, and so does the
   bare loop, over confluent-kafka's ``poll()`` and ``consume()`` in another process, with our client settings: what the
   record took there is what producer, broker and client cost without us.

What we add is told record by record: the start of our handler less the moment at which the bare loop had the record.
Both wait for the same broker, and lose the processor to the same others, so what disturbs the two alike cancels out. It
is below zero where the bare loop was the later one, and counts as zero then.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import attrs
import trio
from confluent_kafka import Consumer, TopicPartition

from trio_consumer import Record, open_consumer

from ..model import Job, Measurement
from ..pace import LOOK_SECONDS, STANDSTILL_SECONDS_MAX
from ..topics import log_bounds
from .beside import Beside
from .handlers import Handler, work_of
from .open_loop import Order, Sender, Sent, Target, stamp_of
from .ours import settings_of
from .stopwatch import Stopwatch, curve_ms, firsts, missing, reported_ms

KEYS = 1_000
BACKLOG_RECORDS_MIN = 20_000
"""Records on their way or waiting while capacity is measured."""
BURST_RECORDS = 5_000
STEADY_SECONDS = 1.0
"""Before anything is measured, of the capacity and of the load."""
CAPACITY_SECONDS = 3.0
LATE_PART_MAX = 0.05
"""A producer that takes longer than planned by this part has not sent at the rate."""


def added(job: Job) -> Measurement:
    """Milliseconds that we add at the median, from the record's time to the start of its handler."""
    if missing():
        return Measurement(value=None, skipped=missing())
    start_at_end(job)
    target = Target(bootstrap_servers=job.bootstrap_servers, topic=job.topic, partitions=len(job.counts), keys=KEYS)
    with Sender(target) as sender:
        return trio.run(_added, job, sender)


async def _added(job: Job, sender: Sender) -> Measurement:
    handling = Handling(job)
    async with open_consumer(settings_of(job), [job.topic], concurrency=job.options["concurrency"]) as consumer:
        async with trio.open_nursery() as nursery:
            with Beside(job.bootstrap_servers, _ends(job)) as beside:
                await trio.to_thread.run_sync(beside.wait_ready)
                await nursery.start(consumer.run, handling.handler())
                capacity = await _capacity(sender, handling)
                rate = capacity * job.options["load"]
                skip = round(rate * STEADY_SECONDS)
                order = Order(records=skip + job.records, rate=rate)
                watch = handling.watch = Stopwatch(len(job.counts), order.records, skip)
                cpu = time.process_time()
                sender.order(order)
                with trio.fail_after(order.seconds + STANDSTILL_SECONDS_MAX):
                    await _wait_handled(handling, order.records)
                cpu = time.process_time() - cpu
                sent = await trio.to_thread.run_sync(sender.answer)
                bare_ns = await trio.to_thread.run_sync(beside.answer)
            await consumer.drain()
    detail = {"capacity": capacity, "cpu_us_per_record": cpu * 1e6 / order.records}
    found = compare(firsts(watch.start, skip), firsts(bare_ns, skip), watch.next)
    return attrs.evolve(found, problems=late(order, sent), detail={**found.detail, **detail})


def compare(ours_ns: Sequence[int], bare_ns: Sequence[int], next_ns: Sequence[int]) -> Measurement:
    """What we add. The curve has ours and the bare loop's.

    Args:
        ours_ns: From the time of each record to the start of its handler.
        bare_ns: From the time of each record to the bare loop.
        next_ns: From the end of a handler to the next one of its lane.
    """
    ours, bare = curve_ms(ours_ns), curve_ms(bare_ns)
    told = reported_ms(curve_ms(mine - other for mine, other in zip(ours_ns, bare_ns, strict=True)), "added")
    value = told.pop("added_p50_ms")
    told |= {**reported_ms(ours, "ours"), **reported_ms(bare, "bare")}
    if next_ns:
        told |= reported_ms(curve_ms(next_ns), "next")
    curve = [(percentile, mine, other) for (percentile, mine), (_, other) in zip(ours, bare, strict=True)]
    return Measurement(value=value, detail=told, curve=curve)


def late(order: Order, sent: Sent) -> list[str]:
    """A producer that has not kept the rate is a problem: the load was another one."""
    if sent.seconds <= order.seconds * (1 + LATE_PART_MAX):
        return []
    return [f"the producer took {sent.seconds:.2f} s for {order.records:,} records instead of {order.seconds:.2f} s"]


def start_at_end(job: Job) -> None:
    """Let the group begin with what is produced from now on: earlier measurements have left their records."""
    consumer = Consumer({"bootstrap.servers": job.bootstrap_servers, "group.id": job.group})
    consumer.commit(offsets=_ends(job), asynchronous=False)
    consumer.close()


def _ends(job: Job) -> list[TopicPartition]:
    bounds = log_bounds(job.bootstrap_servers, job.topic, len(job.counts))
    return [TopicPartition(job.topic, number, end) for number, (_, end) in enumerate(bounds)]


# Ours


class Handling:
    """Our handler, which does the work between two looks at the clock, and what it has taken so far."""

    def __init__(self, job: Job) -> None:
        kind = job.options["handler"]
        self._work = None if kind["kind"] == "noop" else work_of(kind)
        self.watch = Stopwatch(len(job.counts))

    def handler(self) -> Handler:
        work = self._work

        async def handle(record: Record) -> None:
            watch = self.watch
            due_ns, number, _ = stamp_of(record.value)
            watch.begin(record.partition, record.offset, record.key, due_ns, number, time.monotonic_ns())
            if work is not None:
                await work(record)
            watch.end(record.partition, record.key, time.monotonic_ns())

        return handle


async def _capacity(sender: Sender, handling: Handling) -> float:
    """Records per second. Returns when the backlog is done."""
    ordered = 0

    async def feed(seconds: float, records: int = 0) -> tuple[int, float]:
        """Keep a backlog for so long, and until so many are handled: how many are, and the time."""
        nonlocal ordered
        until = time.monotonic() + seconds
        while (now := time.monotonic()) < until or handling.watch.handled < records:
            while ordered - handling.watch.handled < BACKLOG_RECORDS_MIN:
                sender.order(Order(records=BURST_RECORDS))
                ordered += BURST_RECORDS
            await trio.sleep(LOOK_SECONDS)
        return handling.watch.handled, now

    with trio.fail_after(STANDSTILL_SECONDS_MAX + STEADY_SECONDS + CAPACITY_SECONDS):
        await feed(0.0, records=1)
        already, first = await feed(STEADY_SECONDS)
        handled, last = await feed(CAPACITY_SECONDS)
    with trio.fail_after(STANDSTILL_SECONDS_MAX):
        await _wait_handled(handling, ordered)
    return (handled - already) / (last - first)


async def _wait_handled(handling: Handling, records: int) -> None:
    while handling.watch.handled < records:  # noqa: ASYNC110  an event would cost each handler a look
        await trio.sleep(LOOK_SECONDS)
