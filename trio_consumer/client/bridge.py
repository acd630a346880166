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
    last: bool


class Inbox:
    """Events that have left the thread and were not read yet. Lives on the Trio side.

    Invariant: at most one batch is granted to the thread or unread, so it fetches exactly one batch ahead.

    Attributes:
        tenures: The number of the tenure of each partition, as far as the reader has been told.
    """

    def __init__(self) -> None:
        self._items: deque[_Item] = deque()
        self._arrival = trio.lowlevel.ParkingLot()
        self._closed = False
        self.granted = False
        self.tenures: dict[Partition, int] = {}

    def put(self, event: Event, numbers: Mapping[Partition, int], last: bool) -> None:
        self._items.append(_Item(event, numbers, last))
        self._arrival.unpark_all()

    def close(self) -> None:
        """Nothing will be put any more."""
        self._closed = True
        self._arrival.unpark_all()

    async def wait(self) -> bool:
        """Wait until there is something to take; false if there never will be."""
        while not self._items:
            if self._closed:
                return False
            await self._arrival.park()
        return True

    def take(self, records_max: int) -> Event:
        """The oldest event; of a batch that is too large, its first part."""
        item = self._items[0]
        if isinstance(item.event, Records) and len(item.event.records) > records_max:
            head, item.event = split(item.event, records_max)
            return head
        self._items.popleft()
        if item.last:
            self.granted = False
        if isinstance(item.event, Assigned):
            self.tenures.update(item.numbers)
        elif isinstance(item.event, Lost):
            for partition in item.event.partitions:
                self.tenures.pop(partition, None)
        return item.event

    def drop(self, partition: Partition) -> None:
        """Forget unread records of a partition: it was sought elsewhere after they had been fetched."""
        for item in self._items:
            if isinstance(item.event, Records):
                item.event = _without(item.event, partition)


class Bridge:
    """The thread's end. Every method may be called from any thread."""

    def __init__(self, inbox: Inbox, started: Answer) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._inbox = inbox
        self._started = started

    def emit(self, event: Event, numbers: Mapping[Partition, int] | None = None, *, last: bool = False) -> None:
        """Send an event.

        Args:
            event: The event.
            numbers: Of an `Assigned`, the numbers of its tenures.
            last: True if the granted batch is used up.
        """
        self._soon(self._inbox.put, event, numbers or {}, last)

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


def _without(batch: Records, partition: Partition) -> Records:
    kept = [record for record in batch.records if (record.topic, record.partition) != partition]
    positions = {one: offset for one, offset in batch.positions.items() if one != partition}
    return Records(kept, positions, batch.ends, batch.bytes_max)
