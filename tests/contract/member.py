"""A member of a group as the tests drive it: it reads events as a consumer must, and checks the rules of the port.

The rules that hold for every event of every test are checked here, in `_take`, and nowhere else.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from typing import Any

import trio

from tests.support import unique
from trio_consumer import Partition, Record
from trio_consumer.client.port import Assigned, Client, Event, Failed, Lost, Records, Revoked

from .backend import Backend, GroupProtocol


class Member:
    """One client, and what it has said.

    Attributes:
        client: The client.
        events: Everything but records, in order.
        records: Every record, in order.
        owned: Partitions that are this member's.
        positions: As last said.
        ends: As last said.
        errors: Errors that were not expected to end the client.
    """

    def __init__(self, client: Client, group: str) -> None:
        self.client = client
        self.group = group
        self.events: list[Event] = []
        self.records: list[Record] = []
        self.owned: set[Partition] = set()
        self.assigned: list[Assigned] = []
        self.positions: dict[Partition, int] = {}
        self.ends: dict[Partition, int] = {}
        self.records_max = 1000
        self._next_offset: dict[Partition, int] = {}
        self._news = trio.lowlevel.ParkingLot()
        self._revoking: Callable[[Revoked], Awaitable[None]] | None = None

    async def read(self) -> Event:
        """One event, taken in but, if it is a revoke, not released."""
        event = await self.client.next(self.records_max)
        self._take(event)
        self._news.unpark_all()
        return event

    async def read_until(self, reached: Callable[[], object]) -> None:
        """Read in this task; a revoke is released at once."""
        while not reached():
            await self._follow(await self.read())

    async def run(self) -> None:
        """Read for ever."""
        while True:
            await self._follow(await self.read())

    def when_revoked(self, act: Callable[[Revoked], Awaitable[None]] | None) -> None:
        """What to do between a revoke and its release."""
        self._revoking = act

    async def wait(self, reached: Callable[[], object]) -> None:
        """Wait for something that `run` brings about in another task."""
        while not reached():
            await self._news.park()

    def offsets(self, partition: Partition) -> list[int]:
        return [record.offset for record in self.records if (record.topic, record.partition) == partition]

    def has(self, kind: type[Event]) -> bool:
        return any(isinstance(event, kind) for event in self.events)

    def failed(self, kind: type[Exception]) -> list[Failed]:
        return [event for event in self.events if isinstance(event, Failed) and isinstance(event.error, kind)]

    def sought(self, partition: Partition) -> None:
        """The next record of this partition may have any offset."""
        self._next_offset.pop(partition, None)

    async def _follow(self, event: Event) -> None:
        if isinstance(event, Revoked):
            if self._revoking is not None:
                await self._revoking(event)
            self.client.release(event)
            self._news.unpark_all()

    def _take(self, event: Event) -> None:
        if isinstance(event, Records):
            self._take_records(event)
            return
        self.events.append(event)
        if isinstance(event, Assigned):
            assert not self.owned & event.partitions.keys(), "assigned twice"
            assert event.partitions, "an empty assignment is not news"
            self.owned |= event.partitions.keys()
            self.assigned.append(event)
            for partition in event.partitions:
                self.sought(partition)
        elif isinstance(event, Revoked | Lost):
            assert event.partitions, "an empty revoke is not news"
            assert self.owned.issuperset(event.partitions), "not ours"
            self.owned.difference_update(event.partitions)

    def _take_records(self, event: Records) -> None:
        assert len(event.records) <= self.records_max
        assert self.owned.issuperset(event.positions), "positions of partitions that are not ours"
        for record in event.records:
            partition = Partition(record.topic, record.partition)
            assert partition in self.owned, f"{record} after its partition was taken away"
            assert record.offset >= self._next_offset.get(partition, record.offset), f"{record} comes again"
            self._next_offset[partition] = record.offset + 1
        for partition, offset in self._next_offset.items():
            if partition in {(record.topic, record.partition) for record in event.records}:
                assert event.positions[partition] >= offset, "a position before its records"
        self.records.extend(event.records)
        self.positions.update(event.positions)
        self.ends.update(event.ends)


class Group:
    """Opens members of one group, on topics of its own."""

    def __init__(self, backend: Backend, protocol: GroupProtocol, topics: Collection[str]) -> None:
        self.backend = backend
        self.protocol = protocol
        self.topics = tuple(topics)
        self.name = unique("group")

    @asynccontextmanager
    async def member(self, **more: Any) -> AsyncGenerator[Member, None]:
        """A member that reads only when the test says so. Settings have underscores for dots."""
        settings = {name.replace("_", "."): value for name, value in more.items()}
        async with self.backend.connect(self.name, self.topics, self.protocol, settings) as client:
            yield Member(client, self.name)

    async def committed(self, partitions: Iterable[Partition]) -> dict[Partition, int | None]:
        found = await self.backend.committed(self.name, partitions)
        return {partition: one.offset for partition, one in found.items()}


@asynccontextmanager
async def reading(member: Member) -> AsyncGenerator[Member, None]:
    """Let a member read in a task of its own for the length of the block."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(member.run)
        yield member
        nursery.cancel_scope.cancel()


async def until(reached: Callable[[], bool], *members: Member) -> None:
    """Wait until something holds that several members bring about."""
    while not reached():
        async with trio.open_nursery() as nursery:
            for member in members:
                nursery.start_soon(_news, member, len(member.events), len(member.records), nursery.cancel_scope)


async def _news(member: Member, events: int, records: int, then: trio.CancelScope) -> None:
    """Cancel a scope as soon as a member has more than so many events and records."""
    await member.wait(lambda: len(member.events) > events or len(member.records) > records)
    then.cancel()
