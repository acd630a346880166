"""A client without a broker: it hands out prepared batches, so that only the consumer behind it is measured.

It keeps to the port as a client in steady state does: all partitions are assigned at once and never revoked, batches
are full as long as there are records, and a commit is acknowledged at once. A batch has stretches of each partition in
turn, as records lie in a real client's queue. They are built as they are handed out, with keys and values of their own,
as the confluent-kafka client builds them: objects that existed beforehand would burden the garbage collector with what
no consumer has.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from trio_consumer import Partition, Record
from trio_consumer.client.port import Assigned, Client, Commit, Committed, Event, Records, Revoked

from ..model import Workload

TOPIC = "prepared"
HELD_KEY = b"key-is-held"
"""Of records whose lane is stuck; as long as every key."""
KEY_BYTES = len(HELD_KEY)
STRETCH_RECORDS = 500
"""Records of one partition in a row."""
TIMESTAMP = 1_700_000_000_000


@attrs.frozen(kw_only=True)
class Supply:
    """What there is to hand out.

    Args:
        keys: For each partition the keys of its records, one after the other without a gap.
        counts: Records of each partition.
        value: Of each record.
        held: Offsets of the records that have `HELD_KEY`, by partition.
    """

    keys: Sequence[bytes]
    counts: Sequence[int]
    value: bytes
    held: Sequence[Collection[int]]

    @classmethod
    def of(cls, workload: Workload, *, held: int = 0, scattered: bool = False) -> Supply:
        """The records of a workload.

        Args:
            workload: Its keys and values.
            held: So many of the first ones get `HELD_KEY`, which makes one lane of them in each partition.
            scattered: They lie at random among the first ``2 * held`` records, not all in a row.
        """
        flags = [True] * held + [False] * held
        if scattered:
            random.Random(workload.seed).shuffle(flags)
        keys = [bytearray() for _ in range(workload.partitions)]
        held_at: list[set[int]] = [set() for _ in range(workload.partitions)]
        for number, (partition, key, _) in enumerate(workload):
            if number < len(flags) and flags[number]:
                held_at[partition].add(len(keys[partition]) // KEY_BYTES)
                key = HELD_KEY
            keys[partition] += key
        return cls(
            keys=[bytes(one) for one in keys],
            counts=workload.counts,
            value=b"x" * workload.value_bytes,
            held=held_at,
        )

    def build(self, partition: int, begin: int, end: int) -> list[Record]:
        """The records of a stretch."""
        records: list[Record] = []
        append, new, keys, padded = records.append, Record.__new__, self.keys[partition], self.value + b"x"
        for offset in range(begin, end):
            record = new(Record)
            record.topic = TOPIC
            record.partition = partition
            record.offset = offset
            record.key = keys[offset * KEY_BYTES : (offset + 1) * KEY_BYTES]
            record.value = padded[1:]  # bytes of its own
            record.headers = None
            record.timestamp = TIMESTAMP
            record.attempt = 1
            append(record)
        return records


class PreparedClient(Client):
    """See the module.

    Args:
        supply: What to hand out.
        batch_records_max: No batch is larger, whatever the consumer asks for; 0 for no such limit.
        room: Awaited before each batch, with the number of records handed out so far; it may wait, and returns how many
            the batch may have.

    Attributes:
        handed: Records handed out.
        commits: How many were acknowledged.
        committed: The latest of each partition.
    """

    def __init__(
        self,
        supply: Supply,
        *,
        batch_records_max: int = 0,
        room: Callable[[int], Awaitable[int]] | None = None,
    ) -> None:
        self._supply = supply
        self._batch_records_max = batch_records_max
        self._room = room
        self._partitions = [Partition(TOPIC, number) for number in range(len(supply.counts))]
        self._next = [0] * len(supply.counts)
        self._turn = 0
        self._assigned = False
        self._paused: set[Partition] = set()
        self._changed = trio.Event()
        self.handed = 0
        self.commits = 0
        self.committed: dict[Partition, Commit] = {}

    @asynccontextmanager
    async def connect(self, settings: Mapping[str, Any], topics: Sequence[str]) -> AsyncGenerator[Client, None]:
        """For ``open_consumer(..., connect=)``."""
        await trio.lowlevel.checkpoint()
        yield self

    async def next(self, records_max: int) -> Event:
        await trio.lowlevel.checkpoint()
        if not self._assigned:
            self._assigned = True
            return Assigned({partition: Committed() for partition in self._partitions})
        if self._room is not None:
            records_max = min(records_max, await self._room(self.handed))
        if self._batch_records_max:
            records_max = min(records_max, self._batch_records_max)
        while not (batch := self._batch(records_max)).records:
            self._changed = trio.Event()
            await self._changed.wait()
        self.handed += len(batch.records)
        return batch

    def _batch(self, records_max: int) -> Records:
        """Stretches of the partitions whose turn it is; without records if none has any."""
        supply, records, positions, ends = self._supply, list[Record](), dict[Partition, int](), dict[Partition, int]()
        idle = 0
        while len(records) < records_max and idle < len(self._partitions):
            number, partition = self._turn, self._partitions[self._turn]
            self._turn = (number + 1) % len(self._partitions)
            begin, count = self._next[number], supply.counts[number]
            end = min(begin + STRETCH_RECORDS, count, begin + records_max - len(records))
            if begin == end or partition in self._paused:
                idle += 1
                continue
            idle = 0
            records += supply.build(number, begin, end)
            if not begin:
                ends[partition] = count  # it does not change
            self._next[number] = positions[partition] = end
        return Records(records, positions, ends, KEY_BYTES + len(supply.value))

    async def commit(self, offsets: Mapping[Partition, Commit]) -> None:
        await trio.lowlevel.checkpoint()
        self.commits += 1
        self.committed.update(offsets)

    def release(self, revoked: Revoked) -> None:
        raise NotImplementedError("nothing is ever revoked here")

    async def pause(self, partitions: Collection[Partition]) -> None:
        await trio.lowlevel.checkpoint()
        self._paused.update(partitions)

    async def resume(self, partitions: Collection[Partition]) -> None:
        await trio.lowlevel.checkpoint()
        self._paused.difference_update(partitions)
        self._changed.set()

    async def seek(self, offsets: Mapping[Partition, int]) -> None:
        await trio.lowlevel.checkpoint()
        for partition, offset in offsets.items():
            self._next[partition.number] = offset
        self._changed.set()
