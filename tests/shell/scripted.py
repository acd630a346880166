"""A client in memory whose group is played by the test: it assigns, revokes, loses and fails when the test says so.

It keeps the rules of the port (`trio_consumer.client.port`), and raises where the consumer breaks one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio

from trio_consumer import ClientError, Partition, Record
from trio_consumer.client.port import (
    Assigned,
    Client,
    Commit,
    Committed,
    Event,
    Failed,
    Lost,
    Records,
    Revoked,
)


class ScriptedClient:
    """One member. `log` is the topic, `committed` what the broker holds."""

    def __init__(self) -> None:
        self.log: dict[Partition, list[Record]] = {}
        self.committed: dict[Partition, Commit] = {}
        self.commits: list[dict[Partition, Commit]] = []
        self.answers: deque[Exception | trio.Event | None] = deque()
        self.owned: set[Partition] = set()
        self.paused: set[Partition] = set()
        self.releasing: Revoked | None = None
        self.settings: Mapping[str, Any] = {}
        self.on_commit: Callable[[Mapping[Partition, Commit]], None] = lambda offsets: None
        self._positions: dict[Partition, int] = {}
        self._events: deque[Event] = deque()
        self._news = trio.Event()

    @asynccontextmanager
    async def connect(self, settings: Mapping[str, Any], topics: Sequence[str]) -> AsyncGenerator[Client, None]:
        self.settings = settings
        yield self

    # What the test does

    def produce(self, partition: Partition, *keys: bytes | None, at: int | None = None, value: bytes = b"v") -> None:
        """Append one record for each key, the first one at this offset."""
        log = self.log.setdefault(partition, [])
        offset = (log[-1].offset + 1 if log else 0) if at is None else at
        for key in keys:
            log.append(Record(*partition, offset, key, value))
            offset += 1
        self._wake()

    def end(self, partition: Partition) -> int:
        log = self.log.get(partition)
        return log[-1].offset + 1 if log else 0

    def assign(self, *partitions: Partition, error: str | None = None) -> None:
        committed = {}
        for partition in partitions:
            commit = self.committed.get(partition)
            self._positions[partition] = 0 if commit is None else commit.offset
            held = Committed() if commit is None else Committed(commit.offset, commit.metadata)
            committed[partition] = held if error is None else Committed(error=error)
        self.owned.update(partitions)
        self.emit(Assigned(committed))

    def revoke(self, *partitions: Partition) -> None:
        self.emit(Revoked(partitions))

    def lose(self, *partitions: Partition) -> None:
        self.owned.difference_update(partitions)
        self.emit(Lost(partitions))

    def fail(self, error: Exception) -> None:
        self.emit(Failed(error))

    def emit(self, event: Event) -> None:
        self._events.append(event)
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = trio.Event()

    # What the consumer does

    async def next(self, records_max: int) -> Event:
        if self.releasing is not None:
            raise AssertionError("next() between Revoked and release()")
        await trio.lowlevel.checkpoint()
        while True:
            if self._events:
                event = self._events.popleft()
                if isinstance(event, Revoked):
                    self.releasing = event
                return event
            records = self._fetch(records_max)
            if records is not None:
                return records
            await self._news.wait()

    def _fetch(self, records_max: int) -> Records | None:
        records: list[Record] = []
        moved: dict[Partition, int] = {}
        for partition in sorted(self.owned - self.paused):
            for record in self.log.get(partition, ()):
                if record.offset >= self._positions[partition] and len(records) < records_max:
                    records.append(record)
                    moved[partition] = self._positions[partition] = record.offset + 1
        return Records(records, moved, {partition: self.end(partition) for partition in moved}) if records else None

    async def commit(self, offsets: Mapping[Partition, Commit]) -> None:
        await trio.lowlevel.checkpoint()
        foreign = set(offsets) - self.owned
        if foreign:
            raise ClientError("_NOT_ASSIGNED", f"{foreign} are not ours")
        answer = self.answers.popleft() if self.answers else None
        if isinstance(answer, trio.Event):
            await answer.wait()
        elif answer is not None:
            raise answer
        self.commits.append(dict(offsets))
        self.committed.update(offsets)
        self.on_commit(offsets)

    def release(self, revoked: Revoked) -> None:
        if self.releasing is not revoked:
            raise AssertionError("release() of something that is not being revoked")
        self.releasing = None
        self.owned.difference_update(revoked.partitions)

    async def pause(self, partitions: Collection[Partition]) -> None:
        await trio.lowlevel.checkpoint()
        self.paused.update(self.owned.intersection(partitions))

    async def resume(self, partitions: Collection[Partition]) -> None:
        await trio.lowlevel.checkpoint()
        self.paused.difference_update(self.owned.intersection(partitions))
        self._wake()

    async def seek(self, offsets: Mapping[Partition, int]) -> None:
        await trio.lowlevel.checkpoint()
        self._positions.update(offsets)
        self._wake()
