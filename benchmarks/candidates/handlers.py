"""The handlers that consumers are given: ``Job.options["handler"]`` has the kind and its parameters.

| kind | does |
|---|---|
| ``noop`` | nothing |
| ``checkpoint`` | the cheapest ``await`` of Trio |
| ``sleep`` | sleeps ``seconds`` |
| ``sweep`` | sleeps 0 to 4 ms, as the record's offset says |
| ``cpu`` | computes for ``seconds`` without giving way |
| ``io`` | sends ``bytes`` to another process and waits until they have come back |

Each then marks its record, which costs some 0.06 µs and counts against the consumer.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import trio

from trio_consumer import Record

from ..marks import Marks, Spans
from ..model import Job
from ..work import compute, sweep_seconds

Handler = Callable[[Record], Awaitable[object]]


def handler_of(job: Job, marks: Marks) -> Handler:
    """The handler that a job asks for: it does the work and marks the record."""
    options: Mapping[str, Any] = job.options["handler"]
    handler = _noop(marks) if options["kind"] == "noop" else _working(work_of(options), marks)
    if job.options.get("stuck"):
        handler = _with_stuck(handler, *job.options["stuck"])
    return _with_spans(handler, Spans(job.spans, job.counts)) if job.spans else handler


def work_of(options: Mapping[str, Any]) -> Handler:
    """The work of a handler that waits or computes, without the mark."""
    kind = options["kind"]
    match kind:
        case "checkpoint":
            return _checkpoint
        case "sleep":
            return _sleep(options["seconds"])
        case "sweep":
            return _sweep
        case "cpu":
            return _cpu(options["seconds"])
        case "io":
            return Echo(options["bytes"]).call
    raise ValueError(f"{kind!r} is no kind of handler that is known here")


def _noop(marks: Marks) -> Handler:
    rows = marks.rows

    async def handle(record: Record) -> None:
        rows[record.partition][record.offset] += 1

    return handle


def _working(work: Handler, marks: Marks) -> Handler:
    rows = marks.rows

    async def handle(record: Record) -> None:
        await work(record)
        rows[record.partition][record.offset] += 1

    return handle


async def _checkpoint(record: Record) -> None:
    await trio.lowlevel.checkpoint()


def _sleep(seconds: float) -> Handler:
    async def work(record: Record) -> None:
        await trio.sleep(seconds)

    return work


async def _sweep(record: Record) -> None:
    await trio.sleep(sweep_seconds(record.offset))


def _cpu(seconds: float) -> Handler:
    async def work(record: Record) -> None:
        compute(seconds)

    return work


class Echo:
    """A process that sends back what it gets, and connections to it: as many as calls are under way.

    Args:
        size: Bytes of a call, there and back.
    """

    def __init__(self, size: int) -> None:
        command = [sys.executable, "-m", "benchmarks.echo"]
        # It ends when this pipe does, so with us.
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self._process.stdout is None:
            raise RuntimeError("a process that was started with pipes has none")
        self._port = int(self._process.stdout.readline())
        self._payload = b"x" * size
        self._idle: list[trio.SocketStream] = []

    async def call(self, record: object) -> None:
        """Send and wait."""
        stream = self._idle.pop() if self._idle else await trio.open_tcp_stream("127.0.0.1", self._port)
        await stream.send_all(self._payload)
        missing = len(self._payload)
        while missing:
            missing -= len(await stream.receive_some(missing))
        self._idle.append(stream)


def _with_stuck(handler: Handler, partition: int, offset: int) -> Handler:
    """Never returns for one record."""

    async def handle(record: Record) -> None:
        if record.partition == partition and record.offset == offset:
            await trio.sleep_forever()
        await handler(record)

    return handle


def _with_spans(handler: Handler, spans: Spans) -> Handler:
    async def handle(record: Record) -> None:
        spans.begin(record.partition, record.offset)
        await handler(record)
        spans.end(record.partition, record.offset)

    return handle
