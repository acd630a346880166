"""Where a scenario plays: its topics, its group, its members, and the notes of what they see.

What is noted is what a consumer can observe, in order, for each member on its own: events of the port, answers to
commits, offsets of records where a scenario asks for them. Never times, names of topics, or which of several equal
partitions a member got: that hangs on random member ids. Errors of connections are not noted either; how many there are
is chance.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from itertools import groupby
from typing import Any

import attrs
import trio

from trio_consumer import ClientError, Partition, Record
from trio_consumer.client.port import Assigned, Client, Commit, Committed, Event, Failed, Lost, Records, Revoked

from .kafka import GroupProtocol, Identity, Kafka, settings

SECONDS_MAX = 45.0
"""Deadline of each wait: it can only fail a scenario."""
OF_CONNECTIONS = ("_TRANSPORT", "_ALL_BROKERS_DOWN", "_RESOLVE", "_TIMED_OUT", "_TIMED_OUT_QUEUE")
"""Errors that are not noted."""

Offsets = Mapping[Partition, int]
WhenRevoked = Callable[[Revoked], Awaitable[None]]


@attrs.define(eq=False)
class Topic:
    """A topic of the scenario's. Iterates over its partitions.

    Args:
        name: Unique.
        alias: What it is called in notes.
        count: Number of partitions.
    """

    name: str
    alias: str
    count: int

    def __getitem__(self, number: int) -> Partition:
        return Partition(self.name, number)

    @property
    def partitions(self) -> list[Partition]:
        return [Partition(self.name, number) for number in range(self.count)]


class Member:
    """A member of the group. It reads only while `Stage.read` has it among its readers.

    Attributes:
        owned: Partitions that are its own.
        records: All that it was given.
        positions: As last said.
        records_max: Of each call of ``next``.
        when_revoked: What to do between a revoke and its release.
        keeps: True if it does not release by itself.
        pending: Revokes that it has not released.
        seen: Names of the events seen, records excepted.
    """

    def __init__(self, name: str, client: Client, stage: Stage) -> None:
        self.name = name
        self.client = client
        self.owned: set[Partition] = set()
        self.records: list[Record] = []
        self.positions: dict[Partition, int] = {}
        self.ends: dict[Partition, int] = {}
        self.records_max = 100
        self.when_revoked: WhenRevoked | None = None
        self.keeps = False
        self.pending: list[Revoked] = []
        self.seen: list[str] = []
        self._assigned: dict[Partition, Committed] = {}
        self._assignment = ""
        self.leaving = trio.Event()
        self.left = trio.Event()
        self._stage = stage

    def note(self, text: str) -> None:
        self._stage.note(self.name, text)

    # What it sees

    async def take(self, event: Event) -> None:
        """Note an event, and do what is due."""
        if isinstance(event, Records):
            self._take_records(event)
            return
        self.seen.append(type(event).__name__)
        if isinstance(event, Assigned):
            self._take_assigned(event)
        elif isinstance(event, Failed):
            self._take_failed(event)
        elif isinstance(event, Lost):
            self.owned.difference_update(event.partitions)
            self.note(f"lost {self._stage.which(event.partitions)}")
        else:
            self.note(f"revoked {self._stage.which(event.partitions)}")
            self.pending.append(event)
            if self.when_revoked is not None:
                await self.when_revoked(event)
            if not self.keeps:
                self.release()

    def _take_records(self, event: Records) -> None:
        self.records.extend(event.records)
        self.positions.update(event.positions)
        self.ends.update(event.ends)
        foreign = {(one.topic, one.partition) for one in event.records} - self.owned
        if foreign:
            self.note(f"WRONG: records of {len(foreign)} partitions that are not its own")

    def _take_assigned(self, event: Assigned) -> None:
        self.owned |= event.partitions.keys()
        notes = self._stage.notes.get(self.name, [])
        if notes and notes[-1] == self._assignment:
            # In how many steps it comes is chance.
            notes.pop()
        else:
            self._assigned.clear()
        self._assigned.update(event.partitions)
        held = sorted({(one.offset, one.metadata) for one in self._assigned.values() if one.offset is not None})
        at = "".join(f" @{offset}{metadata and ' ' + metadata[:20]}" for offset, metadata in held)
        self._assignment = f"assigned {self._stage.which(self._assigned)}{at}"
        self.note(self._assignment)

    def _take_failed(self, event: Failed) -> None:
        error = event.error
        if not isinstance(error, ClientError):
            raise error
        if error.code not in OF_CONNECTIONS:
            self.note(f"failed {type(error).__name__} {error.code}{' fatal' if error.fatal else ''}")

    @property
    def pending_partitions(self) -> set[Partition]:
        """Revoked, and not released."""
        return {one for event in self.pending for one in event.partitions}

    # What it does

    async def close(self) -> None:
        """Leave the group."""
        self.leaving.set()
        await self.left.wait()

    def release(self) -> None:
        """Give back what was revoked."""
        for event in self.pending:
            self.owned.difference_update(event.partitions)
            self.client.release(event)
        self.pending.clear()

    async def commit(self, offsets: Mapping[Partition, Commit], what: str, *, aside: bool = False) -> str:
        """Commit and note the answer; the error's code, or ``""``.

        Args:
            offsets: What to commit.
            what: What it is called in the notes.
            aside: Note it apart from the events, for a commit that is answered while these go on.
        """
        error = await self.try_commit(offsets)
        self._stage.note(f"{self.name}'s commit" if aside else self.name, f"commit {what}: {error or 'ok'}")
        return error

    async def try_commit(self, offsets: Mapping[Partition, Commit]) -> str:
        """Commit; the error's code, or ``""``."""
        try:
            await self.client.commit(offsets)
        except ClientError as error:
            return f"{error.code}{' fatal' if error.fatal else ''}"
        return ""

    async def seek(self, offsets: Offsets, what: str) -> None:
        try:
            await self.client.seek(offsets)
        except ClientError as error:
            self.note(f"seek {what}: {error.code}")
        else:
            self.note(f"seek {what}: ok")
            self.forget_records()

    def forget_records(self) -> None:
        """Records from here on are a new list."""
        self.records.clear()

    def offsets(self, partition: Partition) -> list[int]:
        return [one.offset for one in self.records if (one.topic, one.partition) == partition]

    def next_offset(self, partition: Partition) -> int:
        """One past the last record that it was given."""
        return self.offsets(partition)[-1] + 1 if self.offsets(partition) else 0

    def note_records(self, *partitions: Partition) -> None:
        """Note the offsets that it was given of each, as stretches."""
        for partition in partitions:
            self.note(f"read {self._stage.name_of(partition)}: {stretches(self.offsets(partition))}")

    def note_positions(self, *partitions: Partition) -> None:
        for partition in partitions:
            self.note(f"position {self._stage.name_of(partition)}: {self.positions.get(partition)}")


class Stage:
    """See the module.

    Args:
        kafka: Real or simulated.
        protocol: Of every member, unless a scenario says otherwise.
        nursery: For the members.

    Attributes:
        notes: By name of the member, or of what was looked at.
        group: The group's id.
    """

    def __init__(self, kafka: Kafka, protocol: GroupProtocol, nursery: trio.Nursery) -> None:
        self.kafka = kafka
        self._nursery = nursery
        self.protocol = protocol
        self.group = kafka.unique("group")
        self._prefix = kafka.unique("topic")
        self.notes: dict[str, list[str]] = {}
        self._topics: dict[str, Topic] = {}
        self._news = trio.lowlevel.ParkingLot()

    def note(self, who: str, text: str) -> None:
        self.notes.setdefault(who, []).append(text)
        self._news.unpark_all()

    @property
    def classic(self) -> bool:
        return self.protocol is not GroupProtocol.CONSUMER

    # Names

    def name_of(self, partition: Partition) -> str:
        return f"{self._topics[partition.topic].alias}{partition.number}"

    def which(self, partitions: Iterable[Partition]) -> str:
        """How many of each topic: which ones is chance, unless it is all."""
        parts = []
        for name, found in groupby(sorted(partitions), key=lambda one: one.topic):
            topic, count = self._topics[name], len(list(found))
            parts.append(f"{topic.alias}: {'all' if count == topic.count else count}")
        return ", ".join(parts) or "nothing"

    # Topics

    async def topic(
        self, partitions: int = 4, records: int = 0, config: Mapping[str, str] | None = None, name: str | None = None
    ) -> Topic:
        """A new topic with so many records in each partition."""
        alias = "tuvwxyz"[len(self._topics)]
        topic = Topic(name or f"{self._prefix}-{alias}", alias, partitions)
        self._topics[topic.name] = topic
        await self.kafka.create_topic(topic.name, partitions, config or {})
        await self.fill(topic, records)
        return topic

    async def fill(self, topic: Topic, records: int) -> None:
        for partition in topic.partitions if records else ():
            await self.produce(partition, records)

    async def produce(self, partition: Partition, count: int) -> None:
        await self.kafka.produce(partition, [(b"k%d" % (n % 10), b"%d" % n) for n in range(count)])

    async def add_partitions(self, topic: Topic, total: int) -> None:
        await self.kafka.add_partitions(topic.name, total)
        topic.count = total

    # Members

    async def open(
        self,
        name: str,
        *topics: Topic | str,
        apart: bool = False,
        protocol: GroupProtocol | None = None,
        **more: Any,
    ) -> Member:
        """Open a member, which lives until it is closed, or the scenario ends; of its settings, underscores are read as
        dots."""
        names = [one if isinstance(one, str) else one.name for one in topics]
        chosen = settings(protocol or self.protocol, self.group, more)
        member: Member = await self._nursery.start(self._live, name, chosen, names, apart)
        return member

    async def _live(
        self,
        name: str,
        chosen: Mapping[str, Any],
        topics: list[str],
        apart: bool,
        *,
        task_status: trio.TaskStatus[Member],
    ) -> None:
        async with self.kafka.connect(name, chosen, topics, apart=apart) as client:
            member = Member(name, client, self)
            task_status.started(member)
            await member.leaving.wait()
        member.left.set()

    @asynccontextmanager
    async def member(self, name: str, *topics: Topic | str, **more: Any) -> AsyncGenerator[Member, None]:
        """As `open`, for the length of a block."""
        member = await self.open(name, *topics, **more)
        yield member
        await member.close()

    @asynccontextmanager
    async def joined(self, name: str, topic: Topic, *with_: Member, **more: Any) -> AsyncGenerator[Member, None]:
        """A member that has its share of a topic, after those that are there have given theirs."""
        async with self.member(name, topic, **more) as member:
            share = topic.count // (len(with_) + 1)
            await self.read(member, *with_, until=lambda: all(len(one.owned) == share for one in (member, *with_)))
            yield member

    async def read(self, *members: Member, until: Callable[[], object], seconds: float = SECONDS_MAX) -> None:
        """Let these read until something holds. Every event that one has taken is dealt with first."""
        with trio.fail_after(seconds):
            await self._read(members, until)

    async def read_for(self, seconds: float, *members: Member) -> None:
        """Let these read for so long."""
        over = False

        async def end() -> None:
            nonlocal over
            await trio.sleep(seconds)
            over = True
            self._news.unpark_all()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(end)
            await self._read(members, lambda: over)

    async def _read(self, members: Collection[Member], until: Callable[[], object]) -> None:
        await trio.lowlevel.checkpoint()
        if until():
            return
        waiting: list[trio.CancelScope] = []
        async with trio.open_nursery() as nursery:
            for member in members:
                nursery.start_soon(self._reader, member, until, waiting)
            while not until():
                await self._news.park()
            for scope in waiting:
                scope.cancel()

    async def _reader(self, member: Member, until: Callable[[], object], waiting: list[trio.CancelScope]) -> None:
        while not until():
            event = None
            with trio.CancelScope() as scope:
                waiting.append(scope)
                event = await member.client.next(member.records_max)
            waiting.remove(scope)
            if event is None:
                return
            await member.take(event)
            self._news.unpark_all()

    async def wait(self, seconds: float) -> None:
        """Let so much time pass, while nobody reads."""
        await trio.sleep(seconds)

    # The group

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        """Wait for something that only the broker knows."""
        with trio.fail_after(SECONDS_MAX):
            while not await holds():  # noqa: ASYNC110  no event tells
                await trio.sleep(0.05)

    async def until_members(self, count: int) -> None:
        async def holds() -> bool:
            return await self.kafka.members(self.group) == count

        await self.until(holds)

    async def note_committed(self, *partitions: Partition, who: str = "committed") -> None:
        """Note what the broker holds, with metadata if there is some."""
        found = []
        for partition in partitions:
            held = await self.kafka.committed(self.group, partition)
            text = f"{len(held.metadata)}×{held.metadata[:1]}" if len(held.metadata) > 20 else held.metadata
            found.append(f"{'-' if held.offset is None else held.offset}{text and ' ' + text}")
        self.note(who, ", ".join(found))

    async def verdict(self, what: str, who: Identity, partition: Partition, offset: int = 5) -> None:
        """Commit by hand, and note what the broker says."""
        error = await self.kafka.commit(self.group, who, partition, Commit(offset))
        self.note("broker", f"{what}: {error or 'ok'}")


def at(partitions: Iterable[Partition], offset: int, metadata: str = "") -> dict[Partition, Commit]:
    """The same commit for each."""
    return {partition: Commit(offset, metadata) for partition in sorted(partitions)}


def stretches(offsets: Iterable[int]) -> str:
    """Offsets as text: ``0–9, 12, 15–20``."""
    found: list[list[int]] = []
    for offset in offsets:
        if found and found[-1][1] == offset - 1:
            found[-1][1] = offset
        else:
            found.append([offset, offset])
    return ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in found) or "nothing"
