"""Processor time per record of our consumer, core and shell as in production, behind a client without a broker.

The clock is that of the process's processor time, so waiting costs nothing and a busy machine little. It runs from the
moment when so many records have been handed out that the consumer has its workers and what is to be stuck is stuck, to
the moment when all are handled. In it is what the client does: building records, as a real one must (`client_us` in the
detail).

Options of the job, besides those of every consumer:

- ``keys``: how many, as in `Workload`;
- ``batch``: records of a batch at most;
- ``held``: so many records, at the beginning, belong to lanes that are stuck, one in each partition; they come all in
  a row, or ``scattered`` among as many others;
- ``wave``: so many records wait in their lanes before the first of them is handled. As many times as it takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import trio

from trio_consumer import Partition, Record, open_consumer
from trio_consumer.config import ConsumerOptions

from ..marks import Marks
from ..model import Job, Measurement, Workload
from .handlers import Handler, handler_of, work_of
from .prepared import HELD_KEY, KEY_BYTES, STRETCH_RECORDS, TOPIC, PreparedClient, Supply

SETTINGS = {"bootstrap.servers": "none", "group.id": "scale"}
UNLIMITED: ConsumerOptions = {
    "queued_records_max": 10_000_000,
    "queued_records_max_per_partition": 10_000_000,
    "queued_bytes_max": 2**50,
    "queued_bytes_max_per_partition": 2**50,
    "grace": 0,
}
"""What is held back must not stop the intake."""
LOOK_SECONDS = 0.05
"""Between two looks at what is handled. Seldom, as each costs something; one that is late costs nothing."""
WARM_SHARE = 0.1
"""Part of the records that are handed out before the clock starts."""
WARM_ROUNDS = 10
"""The same as records for each handler in flight: workers are started as they are needed."""
SECONDS_MAX = 120.0
CALIBRATION_RECORDS = 20_000


class Waves:
    """Lets records in by waves: none is handled before all of its wave wait in their lanes.

    Args:
        handler: What to do then.
        records: Of a wave.
        total: Of all waves.
    """

    def __init__(self, handler: Handler, records: int, total: int) -> None:
        self._handler = handler
        self._records = records
        self._total = total
        self._left = 0
        self._high, self._low = trio.Event(), trio.Event()

    async def room(self, handed: int) -> int:
        """For the client: waits between two waves. Whoever asks has taken in what was handed out before."""
        begun = handed % self._records
        if handed and (not begun or handed >= self._total):
            self._high.set()
            await self._low.wait()
        if not begun:
            self._left = min(self._records, self._total - handed)
            self._high, self._low = trio.Event(), trio.Event()
        return self._records - begun

    async def handle(self, record: Record) -> None:
        """The handler."""
        if not self._high.is_set():
            await self._high.wait()
        await self._handler(record)
        self._left -= 1
        if not self._left:
            self._low.set()


def consume(job: Job) -> Measurement:
    """Microseconds of the processor for each record."""
    return trio.run(_consume, job)


async def _consume(job: Job) -> Measurement:
    supply, marks, options = _supply(job), Marks(job.marks, job.counts), job.options
    handler = handler_of(job, marks)
    if "held" in options:
        handler = _holding(handler)
        _mark_held(supply, marks)
    waves = Waves(handler, options["wave"], job.records) if "wave" in options else None
    client = PreparedClient(
        supply, batch_records_max=options.get("batch", 0), room=None if waves is None else waves.room
    )
    warm = (
        0
        if waves
        else max(int(job.records * WARM_SHARE), 2 * options.get("held", 0), WARM_ROUNDS * options["concurrency"])
    )
    client_us = _building_us(supply)
    limits: ConsumerOptions = {**UNLIMITED, "concurrency": options["concurrency"]}
    async with (
        open_consumer(SETTINGS, TOPIC, connect=client.connect, **limits) as consumer,
        trio.open_nursery() as nursery,
    ):
        await nursery.start(consumer.run, handler if waves is None else waves.handle)
        value = await _clocked(client, marks, min(warm, job.records // 2))
        if value is None or any(supply.held):
            nursery.cancel_scope.cancel()  # handlers that never return cannot be waited for
        await consumer.drain()
    problems = [*marks.problems(), *_commit_problems(client, supply)]
    return Measurement(value=value, problems=problems, detail={"client_us": client_us, "commits": client.commits})


async def _clocked(client: PreparedClient, marks: Marks, warm: int) -> float | None:
    """Microseconds of the processor for each record after so many; ``None`` if it takes too long."""
    with trio.move_on_after(SECONDS_MAX):
        await until(lambda: client.handed >= warm)
        already, began = marks.handled, time.process_time()
        await until(lambda: marks.complete)
        return (time.process_time() - began) * 1e6 / max(marks.handled - already, 1)
    return None


async def until(condition: Callable[[], bool]) -> None:
    """Look again and again."""
    while True:
        if condition():
            return
        await trio.sleep(LOOK_SECONDS)


def _supply(job: Job) -> Supply:
    options = job.options
    workload = Workload(
        records=job.records,
        keys=options["keys"],
        partitions=len(job.counts),
        value_bytes=job.record_bytes - KEY_BYTES,
    )
    return Supply.of(workload, held=options.get("held", 0), scattered=options.get("scattered", False))


def _holding(handler: Handler) -> Handler:
    """Never returns for records that are held."""

    async def handle(record: Record) -> None:
        if record.key == HELD_KEY:
            await trio.sleep_forever()
        await handler(record)

    return handle


def _mark_held(supply: Supply, marks: Marks) -> None:
    """So that nobody waits for them."""
    for partition, offsets in enumerate(supply.held):
        for offset in offsets:
            marks.add(partition, offset)


def _commit_problems(client: PreparedClient, supply: Supply) -> list[str]:
    """All up to the first held record must have been committed."""
    wrong = 0
    for number, (count, held) in enumerate(zip(supply.counts, supply.held, strict=True)):
        commit = client.committed.get(Partition(TOPIC, number))
        wrong += (commit.offset if commit else 0) != (min(held) if held else count)
    return [f"{wrong:,} partitions are not committed as far as they can be"] if wrong else []


def _building_us(supply: Supply) -> float:
    """What the client needs for each record."""
    counts = supply.counts
    partition = counts.index(max(counts))
    records = min(counts[partition], CALIBRATION_RECORDS)
    began = time.process_time()
    for begin in range(0, records, STRETCH_RECORDS):
        supply.build(partition, begin, min(begin + STRETCH_RECORDS, records))
    return (time.process_time() - began) * 1e6 / records


def tasks(job: Job) -> Measurement:
    """The same of Trio tasks that do the handler's work in a loop, as many as the consumer may have."""
    work, concurrency = work_of(job.options["handler"]), job.options["concurrency"]
    repeats = max(job.records // concurrency, 1)
    record = Record(TOPIC, 0, 0)
    began = 0.0

    async def one() -> None:
        for _ in range(repeats):
            await work(record)

    async def main() -> None:
        nonlocal began
        async with trio.open_nursery() as nursery:
            for _ in range(concurrency):
                nursery.start_soon(one)
            began = time.process_time()

    trio.run(main)
    return Measurement(value=(time.process_time() - began) * 1e6 / (repeats * concurrency))
