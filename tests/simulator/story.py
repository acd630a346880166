"""A history told by hand, and what the oracles say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from simulator.oracles import Expectations, watch
from simulator.runtime.clock import VirtualClock
from simulator.world import history as h
from trio_consumer import Partition
from trio_consumer.core.offset_map import Ranges, encode

P0, P1 = Partition("orders", 0), Partition("orders", 1)
A, B = "a.1", "b.1"
GROUP = "group"


def map_of(offset: int, *ranges: tuple[int, int]) -> str:
    """The offset map that says that these ranges are complete."""
    completed: Ranges = tuple(ranges)
    return encode(offset, completed, 4095).text


class Story:
    """Tells events, with the numbers that a world would give them. Two partitions, and processes as they are named."""

    def __init__(self, *oracles: str, **expectations: Any) -> None:
        self.clock = VirtualClock()
        self.history = h.History(self.clock)
        self.watch = watch(self.history, Expectations(**expectations), oracles or None)
        self.truth = self.watch.truth
        self._calls = self._commits = self._tenures = self._faults = 0
        self._asked: dict[int, h.CommitAsked] = {}
        self._running: dict[int, h.HandlerStarted] = {}
        self._held: dict[Partition, int] = {}
        self.add(h.PhaseBegan("faults"))
        self.add(h.TopicCreated("orders", 1, 2))

    def add(self, event: Any, after: float = 0.0) -> None:
        self.clock.advance(after)
        self.history.add(event)

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @property
    def found(self) -> list[str]:
        """Names of the oracles that found something, once for each finding."""
        return [one.oracle for one in self.watch.violations]

    @property
    def texts(self) -> str:
        return "\n".join(f"{one.oracle}: {one.text}" for one in self.watch.violations)

    def finish(self) -> list[str]:
        self.watch.finish()
        return self.found

    # Logs

    def produce(self, *offsets: int, keys: Mapping[int, bytes | None] | None = None, partition: Partition = P0) -> None:
        for offset in offsets:
            self.add(h.Appended(partition, offset, (keys or {}).get(offset, b"k%d" % offset), True))

    def hidden(self, *offsets: int, key: bytes | None = None, partition: Partition = P0) -> None:
        for offset in offsets:
            self.add(h.Appended(partition, offset, key, False))

    def fault(self, kind: str, target: object = "") -> None:
        self.add(h.FaultFired(kind, self._faults, str(target)))
        self._faults += 1

    def heal(self) -> None:
        self.add(h.PhaseBegan("heal"))

    def end(self) -> list[str]:
        self.add(h.PhaseBegan("end"))
        return self.finish()

    # Clients

    def assign(self, process: str, offset: int = -1, metadata: str = "", *, partition: Partition = P0) -> int:
        self._tenures += 1
        self.add(h.AssignmentDelivered(process, {partition: self._tenures}, {partition: (offset, metadata)}))
        return self._tenures

    def deliver(
        self, process: str, *offsets: int, position: int = -1, end: int = -1, partition: Partition = P0
    ) -> None:
        if offsets and position < 0:
            position = offsets[-1] + 1
        self.add(h.RecordsDelivered(process, partition, offsets, position, end))

    def revoke(self, process: str, *partitions: Partition) -> None:
        self.add(h.RevokeDelivered(process, partitions or (P0,)))

    def release(self, process: str, *partitions: Partition) -> None:
        self.add(h.Released(process, partitions or (P0,)))

    def lose(self, process: str, *partitions: Partition) -> None:
        self.add(h.LossDelivered(process, partitions or (P0,)))

    # Commits

    def ask(
        self,
        process: str,
        offset: int,
        metadata: str = "",
        *,
        partition: Partition = P0,
        in_revoke: bool = False,
    ) -> int:
        self._commits += 1
        event = h.CommitAsked(process, self._commits, {partition: (offset, metadata)}, in_revoke)
        self._asked[self._commits] = event
        self.add(event)
        return self._commits

    def apply(self, number: int, *, offset: int | None = None) -> None:
        event = self._asked[number]
        for partition, (asked, metadata) in event.offsets.items():
            taken = asked if offset is None else offset
            before = self._held.get(partition, -1)
            self.add(h.CommitApplied(event.process, number, GROUP, partition, taken, metadata, before))
            self._held[partition] = taken

    def answer(self, number: int, error: str = "") -> None:
        self.add(h.CommitAnswered(self._asked[number].process, number, error))

    def commit(self, process: str, offset: int, metadata: str = "", **rest: Any) -> None:
        """Asked for, applied and acknowledged."""
        number = self.ask(process, offset, metadata, **rest)
        self.apply(number)
        self.answer(number)

    # Handlers

    def start(
        self, process: str, offset: int, *, key: bytes | None = b"k", attempt: int = 1, partition: Partition = P0
    ) -> int:
        self._calls += 1
        event = h.HandlerStarted(process, self._calls, partition, offset, key, attempt)
        self._running[self._calls] = event
        self.add(event)
        return self._calls

    def stop(self, call: int, outcome: str = "succeeded") -> None:
        event = self._running.pop(call)
        self.add(h.HandlerEnded(event.process, call, event.partition, event.offset, outcome, ""))

    def handle(self, process: str, *offsets: int, outcome: str = "succeeded", **rest: Any) -> None:
        """Each record by its own key, one after the other."""
        for offset in offsets:
            self.stop(self.start(process, offset, **{"key": b"k%d" % offset, **rest}), outcome)


def owner(*oracles: str, records: int = 4, **expectations: Any) -> Story:
    """A story in which ``a.1`` owns the first partition, from its beginning, and has been given its records."""
    story = Story(*oracles, **expectations)
    story.produce(*range(records))
    story.add(h.ProcessStarted(A))
    story.add(h.ProcessStarted(B))
    story.assign(A)
    story.add(h.PositionReset(A, P0, -1, 0))
    story.deliver(A, *range(records), end=records)
    return story


def names(violations: Sequence[h.Violated]) -> set[str]:
    return {one.oracle for one in violations}
