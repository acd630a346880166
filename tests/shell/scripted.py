"""A client in memory whose group is played by the test: it assigns, revokes, loses and fails when the test says so.

It keeps the rules of the port (`trio_consumer.client.port`), and raises where the consumer breaks one. Several
consumers may use it, one after the other: what it holds is the broker's.
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
    """One member.

    Attributes:
        log: The topic.
        ends: Log ends that differ from what `log` says.
        committed: What the broker holds.
        requests: Each commit that was asked for.
        commits: Each commit that was acknowledged.
        answers: What becomes of the next commits: an error, an event to wait for first, or ``None``.
        owned: Partitions that are this member's.
        paused: Partitions that are not fetched.
        calls: Each `pause` and `resume` with its partitions.
        releasing: The revoke that has not been released.
        released: Each revoke that has been released.
        settings: As the consumer passed them.
        topics: As the consumer passed them.
        closed: How often the context was left.
        seeks_refused: So many seeks are refused.
        on_commit: Called with each acknowledged commit.
    """

    def __init__(self) -> None:
        self.log: dict[Partition, list[Record]] = {}
        self.ends: dict[Partition, int] = {}
        self.committed: dict[Partition, Commit] = {}
        self.requests: list[dict[Partition, Commit]] = []
        self.commits: list[dict[Partition, Commit]] = []
        self.answers: deque[Exception | trio.Event | None] = deque()
        self.owned: set[Partition] = set()
        self.paused: set[Partition] = set()
        self.calls: list[tuple[str, frozenset[Partition]]] = []
        self.releasing: Revoked | None = None
        self.released: list[Revoked] = []
        self.settings: Mapping[str, Any] = {}
        self.topics: Sequence[str] = ()
        self.closed = 0
        self.seeks_refused = 0
        self.on_commit: Callable[[Mapping[Partition, Commit]], None] = lambda offsets: None
        self._positions: dict[Partition, int] = {}
        self._events: deque[Callable[[], Event]] = deque()
        self._news = trio.Event()
        self._reading = False
        self._unanswered: trio.CancelScope | None = None

    @asynccontextmanager
    async def connect(self, settings: Mapping[str, Any], topics: Sequence[str]) -> AsyncGenerator[Client, None]:
        self.settings, self.topics = settings, topics
        try:
            yield self
        finally:
            self.closed += 1
            self.owned.clear()
            self.paused.clear()
            self.releasing = None
            self._events.clear()

    # What the test does

    def produce(
        self, partition: Partition, *keys: bytes | None, at: int | None = None, value: bytes | None = b"v"
    ) -> None:
        """Append one record for each key, the first one at this offset."""
        log = self.log.setdefault(partition, [])
        offset = (log[-1].offset + 1 if log else 0) if at is None else at
        for key in keys:
            log.append(Record(*partition, offset, key, value))
            offset += 1
        self._wake()

    def end(self, partition: Partition) -> int:
        log = self.log.get(partition)
        return self.ends.get(partition, log[-1].offset + 1 if log else 0)

    def assign(self, *partitions: Partition, error: str | None = None) -> None:
        """What is committed is read when the consumer gets to the event, as after a revoke that comes before it."""
        self._events.append(lambda: self._assigned(partitions, error))
        self._wake()

    def _assigned(self, partitions: Sequence[Partition], error: str | None) -> Assigned:
        committed = {}
        for partition in partitions:
            commit = self.committed.get(partition)
            self._positions[partition] = 0 if commit is None else commit.offset
            held = Committed() if commit is None else Committed(commit.offset, commit.metadata)
            committed[partition] = held if error is None else Committed(error=error)
        self.owned.update(partitions)
        return Assigned(committed)

    def revoke(self, *partitions: Partition) -> None:
        self.emit(Revoked(partitions))

    def lose(self, *partitions: Partition) -> None:
        self.owned.difference_update(partitions)
        self.emit(Lost(partitions))

    def fail(self, error: Exception) -> None:
        self.emit(Failed(error))

    def rewind(self, partition: Partition, offset: int) -> None:
        """Fetch from there again, as after the log was truncated."""
        self._positions[partition] = offset
        self._wake()

    def emit(self, event: Event) -> None:
        self._events.append(lambda: event)
        self._wake()

    @property
    def polled(self) -> bool:
        """True while the consumer waits for an event, and has read all that there are."""
        return self._reading and not self._events

    def _wake(self) -> None:
        self._news.set()
        self._news = trio.Event()

    # What the consumer does

    async def next(self, records_max: int) -> Event:
        if self.releasing is not None:
            raise AssertionError("next() between Revoked and release()")
        if self._reading:
            raise AssertionError("two readers of the events")
        if records_max < 1:
            raise AssertionError(f"next({records_max})")
        self._reading = True
        try:
            await trio.lowlevel.checkpoint()
            while True:
                event = self._events.popleft()() if self._events else self._fetch(records_max)
                if isinstance(event, Revoked):
                    self.releasing = event
                if event is not None:
                    return event
                await self._news.wait()
        finally:
            self._reading = False

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
        if not offsets:
            raise AssertionError("commit() of nothing")
        self.requests.append(dict(offsets))
        foreign = sorted(set(offsets) - self.owned)
        if foreign:
            raise ClientError("_NOT_ASSIGNED", f"not ours: {', '.join(map(str, foreign))}")
        if self._unanswered is not None:
            if self.releasing is None:
                raise AssertionError("two commits in flight")
            self._unanswered.cancel()
        answer = self.answers.popleft() if self.answers else None
        await self._answer(answer)
        self.commits.append(dict(offsets))
        self.committed.update(offsets)
        self.on_commit(offsets)

    async def _answer(self, answer: Exception | trio.Event | None) -> None:
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            return
        with trio.CancelScope() as unanswered:
            self._unanswered = unanswered
            try:
                await answer.wait()
            finally:
                if self._unanswered is unanswered:
                    self._unanswered = None
        if unanswered.cancelled_caught:
            raise ClientError("_SUPERSEDED", "a commit inside of a revoke overtook this one")

    def release(self, revoked: Revoked) -> None:
        if self.releasing is not revoked:
            raise AssertionError("release() of something that is not being revoked")
        self.releasing = None
        self.released.append(revoked)
        self.owned.difference_update(revoked.partitions)

    async def pause(self, partitions: Collection[Partition]) -> None:
        await trio.lowlevel.checkpoint()
        self.calls.append(("pause", frozenset(partitions)))
        self.paused.update(self.owned.intersection(partitions))

    async def resume(self, partitions: Collection[Partition]) -> None:
        await trio.lowlevel.checkpoint()
        self.calls.append(("resume", frozenset(partitions)))
        self.paused.difference_update(self.owned.intersection(partitions))
        self._wake()

    async def seek(self, offsets: Mapping[Partition, int]) -> None:
        await trio.lowlevel.checkpoint()
        if self.seeks_refused > 0:
            self.seeks_refused -= 1
            raise ClientError("_STATE", "seek refused")
        self._positions.update(offsets)
        self._wake()
