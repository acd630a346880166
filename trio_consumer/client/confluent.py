"""The port on confluent-kafka: the Trio side. The thread that owns the client is in `trio_consumer.client.owner`.

Every request waits for the thread in an `Answer`, so cancelling it only stops waiting; `next` waits for the `Inbox`, so
cancelling it loses nothing. The number of a partition's tenure is stamped on a commit here, from what the reader of
the events has been told, and compared there, with what is so.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import trio

from ..errors import StateError
from ..record import Partition
from .bridge import Answer, Bridge, Inbox
from .owner import Owner
from .port import Commit, Event, Revoked
from .requests import Close, CommitOffsets, Fetch, Pause, Release, Request, Resume, Seek
from .settings import prepare
from .startup import STARTUP_SECONDS
from .translation import closed, not_assigned

log = logging.getLogger("trio_consumer.client")

CLOSE_SECONDS = 10.0
"""How long leaving waits for the client to leave its group. A broker that hangs can block it for minutes."""

_Asked = TypeVar("_Asked", CommitOffsets, Pause, Resume, Seek)


@asynccontextmanager
async def connect(
    settings: Mapping[str, Any], topics: Sequence[str], /, *, startup_deadline: float = STARTUP_SECONDS
) -> AsyncGenerator[ConfluentClient, None]:
    """Open a client of these topics, once a broker has answered. It joins the group at the first `next`.

    Args:
        settings: librdkafka's settings; see `trio_consumer.client.settings` for what is refused and what is added.
        topics: Names of topics, or regular expressions that start with ``^``.
        startup_deadline: How many seconds brokers get to answer.

    Raises:
        ConfigurationError: A setting is wrong.
        BrokerUnreachable: No broker answered.
        AuthenticationFailed: The broker refused our credentials.
        UnknownTopic: A topic does not exist.
        CallbackFailed: A callback of the user's raised.
    """
    client = ConfluentClient(prepare(settings), topics, startup_deadline)
    started = False
    try:
        await client.start()
        started = True
        yield client
    finally:
        client.close()
        # A client that has not started belongs to no group: its thread ends by itself, as soon as it can.
        if started:
            with trio.move_on_after(CLOSE_SECONDS, shield=True) as scope:
                await client.wait_ended()
            if scope.cancelled_caught:
                log.warning(
                    "the Kafka client did not close within %g s and is left alone; its session has yet to end",
                    CLOSE_SECONDS,
                )


class ConfluentClient:
    """One member of a consumer group. Made by `connect`; implements `trio_consumer.client.port.Client`."""

    def __init__(self, settings: Mapping[str, Any], topics: Sequence[str], startup_seconds: float) -> None:
        self._inbox = Inbox()
        self._started = Answer()
        self._ended = trio.Event()
        self._bridge = Bridge(self._inbox, self._started)
        self._owner = Owner(settings, topics, startup_seconds, self._bridge)
        self._unanswered: dict[Answer, str] = {}
        self._reading = False
        self._closed = False

    async def start(self) -> None:
        """Start the thread, and wait until a broker has answered."""
        trio.lowlevel.start_thread_soon(
            self._owner.run, lambda _: self._bridge.ended(self._on_ended), "trio_consumer client"
        )
        await self._started.wait()

    def close(self) -> None:
        """Ask the thread to leave the group, and answer everybody who still waits."""
        self._closed = True
        self._owner.ask(Close())
        self._give_up()

    async def wait_ended(self) -> None:
        """Wait until the thread has ended."""
        await self._ended.wait()

    async def next(self, records_max: int) -> Event:
        if records_max < 1:
            raise ValueError(f"records_max={records_max!r}: give at least 1")
        if self._reading:
            raise StateError("next() is already waited for: events have one reader")
        self._reading = True
        try:
            await trio.lowlevel.checkpoint()
            self._grant(records_max)
            if not await self._inbox.wait():
                raise closed("next")
        finally:
            self._reading = False
        event = self._inbox.take(records_max)
        self._grant(records_max)
        return event

    async def commit(self, offsets: Mapping[Partition, Commit]) -> None:
        if offsets:
            tenures = self._tenures("commit", offsets)
            await self._ask(CommitOffsets(dict(offsets), tenures, Answer()), "commit")
        else:
            await trio.lowlevel.checkpoint()

    def release(self, revoked: Revoked) -> None:
        for partition in revoked.partitions:
            self._inbox.tenures.pop(partition, None)
        self._tell(Release(revoked))

    async def pause(self, partitions: Collection[Partition]) -> None:
        await self._ask(Pause(tuple(partitions), Answer()), "pause")

    async def resume(self, partitions: Collection[Partition]) -> None:
        await self._ask(Resume(tuple(partitions), Answer()), "resume")

    async def seek(self, offsets: Mapping[Partition, int]) -> None:
        await self._ask(Seek(dict(offsets), self._tenures("seek", offsets), Answer()), "seek")

    def _grant(self, records_max: int) -> None:
        if not self._inbox.granted:
            self._inbox.granted = True
            self._tell(Fetch(records_max))

    def _tenures(self, what: str, partitions: Iterable[Partition]) -> dict[Partition, int]:
        known = self._inbox.tenures
        foreign = [partition for partition in partitions if partition not in known]
        if foreign:
            raise not_assigned(what, foreign)
        return {partition: known[partition] for partition in partitions}

    def _tell(self, request: Request) -> None:
        if not self._closed:
            self._owner.ask(request)

    async def _ask(self, request: _Asked, what: str) -> None:
        if self._closed:
            raise closed(what)
        self._unanswered[request.answer] = what
        self._owner.ask(request)
        try:
            await request.answer.wait()
        finally:
            del self._unanswered[request.answer]

    def _on_ended(self) -> None:
        self._closed = True
        self._inbox.close()
        self._give_up()
        self._ended.set()

    def _give_up(self) -> None:
        for answer, what in self._unanswered.items():
            answer.set(closed(what))
