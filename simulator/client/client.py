"""The port on the simulated client: the Trio side. The thread that owns the client is in `owner`.

As in the real adapter every request waits for the thread in an `Answer`, and `next` waits for the `Inbox`, so
cancelling either loses nothing. What a consumer is told and what it asks for goes into the history here, at the
instant of it.

A process that dies takes its client with it: nothing is sent any more, and whoever still waits is told that it is
closed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

import trio

from trio_consumer import ClientError, Partition, StateError
from trio_consumer.client.bridge import Answer, Inbox
from trio_consumer.client.port import Assigned, Client, Commit, Connect, Event, Failed, Lost, Records, Revoked
from trio_consumer.client.settings import prepare
from trio_consumer.client.translation import closed, not_assigned

from ..world.history import (
    AssignmentDelivered,
    CommitAnswered,
    CommitAsked,
    ErrorDelivered,
    LossDelivered,
    RecordsDelivered,
    Released,
    RevokeDelivered,
)
from . import Surroundings
from .brokers import Brokers, Coordinator
from .committing import Committing
from .fetching import Fetching
from .handle import Handle
from .knobs import read
from .membership_classic import ClassicMembership
from .membership_consumer import ConsumerMembership
from .owner import Owner
from .requests import Close, CommitOffsets, Fetch, Pause, Release, Request, Resume, Seek
from .thread import Thread

CLOSE_SECONDS = 10.0
"""How long leaving waits for the client to leave its group."""
CRASH_SECONDS = 0.05
"""Within how long a process dies in a revoke, if the fault says so and the release does not come first."""

_Asked = TypeVar("_Asked", CommitOffsets, Pause, Resume, Seek)


def connect(surroundings: Surroundings) -> Connect:
    """What ``open_consumer(..., connect=)`` takes."""

    def connect(settings: Mapping[str, Any], topics: Sequence[str], /) -> AbstractAsyncContextManager[Client]:
        return _connected(surroundings, settings, topics)

    return connect


@asynccontextmanager
async def _connected(
    surroundings: Surroundings, settings: Mapping[str, Any], topics: Sequence[str]
) -> AsyncGenerator[Client, None]:
    client = SimulatedClient(surroundings, prepare(settings), topics)
    started = False
    try:
        await client.start()
        started = True
        yield client
    finally:
        client.close()
        if started:
            with trio.move_on_after(CLOSE_SECONDS, shield=True):
                await client.wait_ended()


class SimulatedClient:
    """One member of a consumer group; implements `trio_consumer.client.port.Client`."""

    def __init__(self, surroundings: Surroundings, settings: Mapping[str, Any], topics: Sequence[str]) -> None:
        self._surroundings = surroundings
        self._name = surroundings.process.name
        self._add = surroundings.history.add
        self._inbox = Inbox()
        self._started = Answer()
        self._ended = trio.Event()
        self._unanswered: dict[Answer, str] = {}
        self._reading = False
        self._closed = False
        self._revoking: Revoked | None = None
        self._doomed = False
        thread = Thread(surroundings.process, surroundings.dice.split("thread"))
        handle = Handle(surroundings, read(settings, tuple(topics)), thread)
        handle.brokers = Brokers(handle)
        handle.coordinator = Coordinator(handle)
        handle.fetching = Fetching(handle)
        handle.committing = Committing(handle)
        classic = handle.knobs.protocol != "consumer"
        handle.membership = ClassicMembership(handle) if classic else ConsumerMembership(handle)
        self._owner = Owner(handle, settings, self)
        self._thread = thread

    async def start(self) -> None:
        """Start the thread, and wait until a broker has answered."""
        self._surroundings.process.farewells.append(self.ended)
        self._thread.start(self._owner.run())
        await self._started.wait()

    def close(self) -> None:
        """Ask the thread to leave the group, and answer everybody who still waits."""
        self._closed = True
        self._owner.ask(Close())
        self._give_up()

    async def wait_ended(self) -> None:
        """Wait until the thread has ended."""
        await self._ended.wait()

    # The port

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
        self._note(event)
        self._grant(records_max)
        return event

    async def commit(self, offsets: Mapping[Partition, Commit]) -> None:
        if not offsets:
            await trio.lowlevel.checkpoint()
            return
        number = next(self._surroundings.commits)
        asked = {partition: (one.offset, one.metadata) for partition, one in offsets.items()}
        if self._surroundings.process.alive:
            self._add(CommitAsked(self._name, number, asked, self._revoking is not None))
        try:
            tenures = self._tenures("commit", offsets)
            await self._ask(CommitOffsets(dict(offsets), tenures, Answer(), number), "commit")
        except ClientError as error:
            self._note_commit(number, error.code)
            raise
        self._note_commit(number, "")

    def release(self, revoked: Revoked) -> None:
        for partition in revoked.partitions:
            self._inbox.tenures.pop(partition, None)
        if self._surroundings.process.alive and revoked is self._revoking:
            self._revoking = None
            if self._doomed:  # it was faster than the crash: what it says is no longer heard
                self._surroundings.process.after(0, self._surroundings.crash)
                return
            self._add(Released(self._name, tuple(revoked.partitions)))
        self._tell(Release(revoked))

    async def pause(self, partitions: Collection[Partition]) -> None:
        await self._ask(Pause(tuple(partitions), Answer()), "pause")

    async def resume(self, partitions: Collection[Partition]) -> None:
        await self._ask(Resume(tuple(partitions), Answer()), "resume")

    async def seek(self, offsets: Mapping[Partition, int]) -> None:
        await self._ask(Seek(dict(offsets), self._tenures("seek", offsets), Answer()), "seek")

    # The thread's end

    def emit(self, event: Event, numbers: Mapping[Partition, int], last: bool) -> None:
        self._inbox.put(event, numbers, last)

    def drop(self, partition: Partition) -> None:
        self._inbox.drop(partition)

    def started(self, error: Exception | None) -> None:
        self._started.set(error)

    def ended(self) -> None:
        """The thread is no more."""
        self._closed = True
        self._started.set(closed("start"))
        self._inbox.close()
        self._give_up()
        self._ended.set()

    # Within

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

    def _give_up(self) -> None:
        for answer, what in self._unanswered.items():
            answer.set(closed(what))

    # The history

    def _note_commit(self, number: int, error: str) -> None:
        if self._surroundings.process.alive:
            self._add(CommitAnswered(self._name, number, error))

    def _note(self, event: Event) -> None:
        """The reader is told this now."""
        if not self._surroundings.process.alive:
            return
        if isinstance(event, Records):
            self._note_records(event)
        elif isinstance(event, Assigned):
            numbers = {partition: self._inbox.tenures[partition] for partition in event.partitions}
            committed = {
                partition: (-1 if one.offset is None else one.offset, one.metadata)
                for partition, one in event.partitions.items()
            }
            self._add(AssignmentDelivered(self._name, numbers, committed))
        elif isinstance(event, Revoked):
            self._revoking = event
            self._add(RevokeDelivered(self._name, tuple(event.partitions)))
            self._maybe_crash(event)
        elif isinstance(event, Lost):
            self._revoking = None
            self._add(LossDelivered(self._name, tuple(event.partitions)))
        elif isinstance(event, Failed):
            code = event.error.code if isinstance(event.error, ClientError) else type(event.error).__name__
            self._add(ErrorDelivered(self._name, code, event.fatal))

    def _note_records(self, event: Records) -> None:
        offsets: dict[Partition, list[int]] = {}
        found: list[int] = []
        topic, number = "", -1
        for record in event.records:
            if record.partition != number or record.topic != topic:
                topic, number = record.topic, record.partition
                found = offsets.setdefault(Partition(topic, number), [])
            found.append(record.offset)
        for partition in event.positions:
            offsets.setdefault(partition, [])
        for partition, delivered in offsets.items():
            position, end = event.positions.get(partition, -1), event.ends.get(partition, -1)
            self._add(RecordsDelivered(self._name, partition, tuple(delivered), position, end))

    def _maybe_crash(self, event: Revoked) -> None:
        """The fault that the process dies between a revoke and its release."""
        surroundings = self._surroundings
        if surroundings.faults.fires("crash-in-revoke", self._name):
            self._doomed = True
            seconds = surroundings.dice.uniform(0.0, CRASH_SECONDS)
            surroundings.process.after(seconds, self._crash_in, event)

    def _crash_in(self, event: Revoked) -> None:
        if self._revoking is event:
            self._surroundings.crash()
