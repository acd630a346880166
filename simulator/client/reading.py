"""From the client's queue to `Records`: what the application has in hand, and how far it could read.

The rules are the adapter's: a partition's log end comes with its first record at the latest, then now and then; a
position comes with its records, or when the end of the partition was reached.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from trio_consumer import Partition, Record
from trio_consumer.client.fetching import ENDS_SECONDS

from ..kafka.log import Entry
from .handle import Handle

InHand = list[tuple[Partition, list[Entry]]]
"""Records that the application took, in stretches of one partition."""


def count(messages: InHand) -> int:
    return sum(len(entries) for _, entries in messages)


def build(messages: InHand, ours: Collection[Partition]) -> tuple[list[Record], dict[Partition, int], int]:
    """Records of the partitions that are ours, the positions behind them, and an upper bound of a record's bytes."""
    records: list[Record] = []
    positions: dict[Partition, int] = {}
    new = Record.__new__
    key_max = value_max = 0
    for partition, entries in messages:
        if partition not in ours:
            continue
        topic, number = partition
        for entry in entries:
            record = new(Record)
            record.topic = topic
            record.partition = number
            record.offset = entry.offset
            record.key = key = entry.key
            record.value = value = entry.value
            record.headers = entry.headers
            record.timestamp = entry.timestamp
            record.attempt = 1
            if key is not None and len(key) > key_max:
                key_max = len(key)
            if value is not None and len(value) > value_max:
                value_max = len(value)
            records.append(record)
        positions[partition] = entries[-1].offset + 1
    return records, positions, key_max + value_max


class Reading:
    """How far the client has read, and how far it could: what changed since it was last said.

    Attributes:
        untold: True while a log end may have changed that was not said, since the last time was too short ago.
    """

    def __init__(self, handle: Handle) -> None:
        self._fetching = handle.fetching
        self._now = handle.time
        self._positions: dict[Partition, int] = {}
        self._ends: dict[Partition, int] = {}
        self._ends_due = 0.0
        self._begun: dict[Partition, None] = {}
        self._reached: dict[Partition, int] = {}
        self.untold = False

    def forget(self, partitions: Iterable[Partition]) -> None:
        for partition in partitions:
            self._reached.pop(partition, None)
            self._positions.pop(partition, None)
            self._ends.pop(partition, None)
            self._begun.pop(partition, None)

    def delivered(self, positions: dict[Partition, int]) -> None:
        """These were said already."""
        self._positions.update(positions)

    def reached(self, partition: Partition, offset: int) -> None:
        """The client has come to the end of this partition."""
        self._reached[partition] = offset

    def moved(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Positions that have changed, of these partitions and of all that came to their end."""
        positions, self._reached = self._reached, {}
        for partition in [*partitions, *positions]:
            found = self._fetching.position(partition)
            if found > positions.get(partition, -1):
                positions[partition] = found
        moved = {one: offset for one, offset in positions.items() if offset != self._positions.get(one)}
        self._positions.update(moved)
        return moved

    def ends(self, partitions: Iterable[Partition], delivered: Collection[Partition] = ()) -> dict[Partition, int]:
        """Log ends that have changed, as the last answers to fetches told them.

        Args:
            partitions: Those that are ours.
            delivered: Those that have records in the batch that this goes with.
        """
        first = [partition for partition in delivered if partition not in self._begun]
        self._begun.update(dict.fromkeys(first))
        now = self._now()
        if now < self._ends_due:
            self.untold = True
            partitions = first
        else:
            self.untold = False
            self._ends_due = now + ENDS_SECONDS
        changed = {}
        for partition in partitions:
            end = self._fetching.end(partition)
            if end >= 0 and end != self._ends.get(partition):
                changed[partition] = end
        self._ends.update(changed)
        return changed
