"""Between the client's thread and Trio: an ordered inbox, awaited answers, and the way from one to the other.

The thread never waits for Trio, and Trio never waits for the thread except in a task that can be cancelled. What the
thread sends arrives in the order in which it was sent; what it sends to a Trio run that has ended is dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import trio

from ..record import Partition
from .port import Assigned, Event, Lost, Records


class Answer:
    """The answer to one request. The first word counts."""

    def __init__(self) -> None:
        self._done = trio.Event()
        self._error: BaseException | None = None

    def set(self, error: BaseException | None) -> None:
        if not self._done.is_set():
            self._error = error
            self._done.set()

    async def wait(self) -> None:
        """Returns, or raises what was answered. Cancelling it only stops waiting."""
        await self._done.wait()
        if self._error is not None:
            raise self._error


@attrs.define
class _Item:
    event: Event
    numbers: Mapping[Partition, int]


class Inbox:
    """Events that have left the thread and were not read yet. Lives on the Trio side.

    Records that come while others are unread join them: a reader that is slower than the thread gets fewer and larger
    batches, and so becomes faster.

    Invariant: what is granted to the thread and what is unread are one batch together, so it fetches one batch ahead.

    Attributes:
        granted: How many records the thread may send, or has sent and nobody has read.
        tenures: The number of the tenure of each partition, as far as the reader has been told.
    """

    def __init__(self) -> None:
        self._items: deque[_Item] = deque()
        self._arrival = trio.lowlevel.ParkingLot()
        self._closed = False
        self.granted = 0
        self.tenures: dict[Partition, int] = {}

    def grant(self, records_max: int) -> int:
        """How many records more the thread may send, so that it has a whole batch to go; 0 while half of one is left."""
        more = records_max - self.granted
        if 2 * more < records_max:
            return 0
        self.granted += more
        return more

    def put(self, event: Event, numbers: Mapping[Partition, int]) -> None:
        before = self._items[-1].event if self._items else None
        if isinstance(event, Records) and isinstance(before, Records) and not _goes_back(before, event):
            self._items[-1].event = _joined(before, event)
        else:
            self._items.append(_Item(event, numbers))
        self._arrival.unpark_all()

    def close(self) -> None:
        """Nothing will be put any more."""
        self._closed = True
        self._arrival.unpark_all()

    async def wait(self) -> bool:
        """Wait until there is something to take; false if there never will be."""
        if self._items:
            await trio.lowlevel.checkpoint()
        while not self._items:
            if self._closed:
                await trio.lowlevel.checkpoint()
                return False
            await self._arrival.park()
        return True

    def take(self, records_max: int) -> Event:
        """The oldest event; of a batch that is too large, its first part."""
        item = self._items[0]
        event = item.event
        if isinstance(event, Records):
            if len(event.records) > records_max:
                event, item.event = split(event, records_max)
            else:
                self._items.popleft()
            self.granted -= len(event.records)
            return event
        self._items.popleft()
        if isinstance(event, Assigned):
            self.tenures.update(item.numbers)
        elif isinstance(event, Lost):
            for partition in event.partitions:
                self.tenures.pop(partition, None)
        return event

    def drop(self, partition: Partition) -> None:
        """Forget unread records of a partition: it was sought elsewhere after they had been fetched."""
        for item in self._items:
            if isinstance(item.event, Records):
                kept = _without(item.event, partition)
                self.granted -= len(item.event.records) - len(kept.records)
                item.event = kept


class Bridge:
    """The thread's end. Every method may be called from any thread."""

    def __init__(self, inbox: Inbox, started: Answer) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._inbox = inbox
        self._started = started

    def emit(self, event: Event, numbers: Mapping[Partition, int] | None = None) -> None:
        """Send an event, an `Assigned` with the numbers of its tenures."""
        self._soon(self._inbox.put, event, numbers or {})

    def drop(self, partition: Partition) -> None:
        self._soon(self._inbox.drop, partition)

    def started(self, error: BaseException | None) -> None:
        self._soon(self._started.set, error)

    def answer(self, answer: Answer, error: BaseException | None) -> None:
        self._soon(answer.set, error)

    def ended(self, then: Callable[[], None]) -> None:
        """The thread's last word."""
        self._soon(then)

    def _soon(self, function: Callable[..., object], *arguments: Any) -> None:
        try:
            self._token.run_sync_soon(function, *arguments)
        except trio.RunFinishedError:
            pass  # nobody is left to be told


def split(batch: Records, count: int) -> tuple[Records, Records]:
    """The first so many records with the log ends, and the rest with positions that only the whole batch tells."""
    head = batch.records[:count]
    positions = {Partition(record.topic, record.partition): record.offset + 1 for record in head}
    rest = Records(batch.records[count:], batch.positions, {}, batch.bytes_max)
    return Records(head, positions, batch.ends, batch.bytes_max), rest


def _goes_back(batch: Records, more: Records) -> bool:
    """True if a log went back between the two, so that a position of the first must not be kept for the second."""
    before = batch.positions
    return bool(more.records) and any(before.get(one, 0) > position for one, position in more.positions.items())


def _joined(batch: Records, more: Records) -> Records:
    """One batch of two that follow each other."""
    positions, ends = dict(batch.positions), {**batch.ends, **more.ends}
    for one, position in more.positions.items():
        positions[one] = max(position, positions.get(one, 0))
        if one in ends:  # the second need not tell an end; its records do
            ends[one] = max(position, ends[one])
    return Records([*batch.records, *more.records], positions, ends, max(batch.bytes_max, more.bytes_max))


def _without(batch: Records, partition: Partition) -> Records:
    kept = [record for record in batch.records if (record.topic, record.partition) != partition]
    positions = {one: offset for one, offset in batch.positions.items() if one != partition}
    return Records(kept, positions, batch.ends, batch.bytes_max)
