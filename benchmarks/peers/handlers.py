"""The handlers of `candidates.handlers`, for asyncio.

A handler takes a record of the peer's own type, as its users would, and gets at the partition by a function that the
peer gives. Records have their offset as an attribute in all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol, TypeVar

from ..marks import Marks, Spans
from ..model import Job
from ..work import compute, sweep_seconds


class Record(Protocol):
    """What a handler reads of a record itself."""

    @property
    def offset(self) -> int: ...


RecordT = TypeVar("RecordT", bound=Record)
Handler = Callable[[RecordT], Coroutine[Any, Any, None]]


def handler_of(job: Job, marks: Marks, partition_of: Callable[[RecordT], int]) -> Handler[RecordT]:
    """The handler that a job asks for: it does the work and marks the record."""
    options: Mapping[str, Any] = job.options["handler"]
    handler = _noop(marks, partition_of) if options["kind"] == "noop" else _working(options, marks, partition_of)
    if job.options.get("stuck"):
        partition, offset = job.options["stuck"]
        handler = _with_stuck(handler, partition_of, partition, offset)
    return _with_spans(handler, partition_of, Spans(job.spans, job.counts)) if job.spans else handler


def _noop(marks: Marks, partition_of: Callable[[RecordT], int]) -> Handler[RecordT]:
    rows = marks.rows

    async def handle(record: RecordT) -> None:
        rows[partition_of(record)][record.offset] += 1

    return handle


def _working(options: Mapping[str, Any], marks: Marks, partition_of: Callable[[RecordT], int]) -> Handler[RecordT]:
    rows, work = marks.rows, work_of(options)

    async def handle(record: RecordT) -> None:
        await work(record)
        rows[partition_of(record)][record.offset] += 1

    return handle


def work_of(options: Mapping[str, Any]) -> Handler[Any]:
    """The work of a handler that waits or computes, without the mark.

    Raises:
        ValueError: There is no such kind of handler for peers.
    """
    seconds = options.get("seconds", 0.0)

    async def checkpoint(record: Record) -> None:
        await asyncio.sleep(0)

    async def sleep(record: Record) -> None:
        await asyncio.sleep(seconds)

    async def sweep(record: Record) -> None:
        await asyncio.sleep(sweep_seconds(record.offset))

    async def cpu(record: Record) -> None:
        compute(seconds)

    kinds = {"checkpoint": checkpoint, "sleep": sleep, "sweep": sweep, "cpu": cpu}
    if options["kind"] not in kinds:
        raise ValueError(f"handler {options['kind']!r}: peers have noop, {', '.join(kinds)}")
    return kinds[options["kind"]]


def _with_stuck(
    handler: Handler[RecordT], partition_of: Callable[[RecordT], int], partition: int, offset: int
) -> Handler[RecordT]:
    """Never returns for one record."""
    never = asyncio.Event()  # kept, or the task that waits for it would be garbage

    async def handle(record: RecordT) -> None:
        if record.offset == offset and partition_of(record) == partition:
            await never.wait()
        await handler(record)

    return handle


def _with_spans(handler: Handler[RecordT], partition_of: Callable[[RecordT], int], spans: Spans) -> Handler[RecordT]:
    async def handle(record: RecordT) -> None:
        spans.begin(partition_of(record), record.offset)
        await handler(record)
        spans.end(partition_of(record), record.offset)

    return handle
