"""``trio-consumer run``: one consumer, and the signals that end it.

The first SIGINT or SIGTERM drains: running handlers finish, what is done is committed. The second aborts: handlers are
cancelled, and what is done is still committed. The third ends the process at once. A signal that comes while the
consumer is not running yet aborts.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import trio

from ..consumer import Consumer, open_consumer
from ..record import Record
from ..statistics import Statistics
from .exits import Exit

log = logging.getLogger("trio_consumer.cli")

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Stop:
    """What signals have asked for so far."""

    def __init__(self) -> None:
        self.consumer: Consumer | None = None
        self.scope = trio.CancelScope()
        self.aborted_by = 0
        self._drain = trio.Event()

    async def watch(self, *, task_status: trio.TaskStatus[None]) -> None:
        with trio.open_signal_receiver(*SIGNALS) as arrived:
            task_status.started()
            async for number in arrived:
                self._take(signal.Signals(number))

    def _take(self, arrived: signal.Signals) -> None:
        if self.aborted_by:
            os._exit(128 + arrived)
        if self.consumer is None or self._drain.is_set():
            log.warning("%s: aborting; once more ends the process without the last commit", arrived.name)
            self.aborted_by = arrived
            self.scope.cancel()
        else:
            in_flight = self.consumer.statistics().in_flight
            log.info("%s: draining, %d records in flight; once more aborts", arrived.name, in_flight)
            self._drain.set()

    async def drain(self, consumer: Consumer) -> None:
        self.consumer = consumer
        await self._drain.wait()
        await consumer.drain()


async def consume(
    handler: Callable[[Record], Awaitable[object]],
    settings: Mapping[str, Any],
    topics: Sequence[str],
    options: Mapping[str, Any],
) -> int:
    """Consume until a signal, an exhausted record or an error of the client ends it.

    Args:
        handler: Called with each record.
        settings: librdkafka's.
        topics: What to subscribe to.
        options: Fields of `ConsumerConfig`.

    Returns:
        The exit code.
    """
    stop, began = _Stop(), trio.current_time()
    async with trio.open_nursery() as nursery:
        await nursery.start(stop.watch)
        with stop.scope:
            log.info("connecting to %s", settings["bootstrap.servers"])
            async with open_consumer(settings, topics, **options) as consumer:
                log.info("consuming %s in group %s", ", ".join(topics), settings["group.id"])
                try:
                    await _run(consumer, handler, stop)
                finally:
                    _summarise(consumer.statistics(), trio.current_time() - began)
        nursery.cancel_scope.cancel()
    return 128 + stop.aborted_by if stop.aborted_by else Exit.DONE


async def _run(consumer: Consumer, handler: Callable[[Record], Awaitable[object]], stop: _Stop) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(consumer.run, handler)
        await stop.drain(consumer)
        nursery.cancel_scope.cancel()


def _summarise(statistics: Statistics, seconds: float) -> None:
    log.info(
        "handled %d records in %.1f s (%d skipped, %d failed attempts), %d commits",
        statistics.handled,
        seconds,
        statistics.skipped,
        statistics.failed_attempts,
        statistics.commits,
    )
