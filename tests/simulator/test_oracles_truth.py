"""The truth against naive models that look at everything again each time."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st

from simulator.oracles.pending import Pending
from simulator.world import history as h
from trio_consumer import Partition
from trio_consumer.core.offset_map import Ranges, contains

from .story import GROUP, P0, A, B, Story, map_of

OFFSETS = st.integers(0, 30)


def merged(offsets: set[int]) -> Ranges:
    """As ranges."""
    found: list[tuple[int, int]] = []
    for offset in sorted(offsets):
        if found and found[-1][1] == offset:
            found[-1] = found[-1][0], offset + 1
        else:
            found.append((offset, offset + 1))
    return tuple(found)


@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "discard", "drop_below", "drop_from", "head"]), OFFSETS),
        max_size=60,
    ),
    st.sets(OFFSETS),
)
def test_pending_offsets(acts: list[tuple[str, int]], said: set[int]) -> None:
    pending, naive = Pending(), set[int]()
    for act, offset in acts:
        if act == "add":
            naive.add(offset)
        elif act == "discard":
            naive.discard(offset)
        elif act == "drop_below":
            naive = {one for one in naive if one >= offset}
        elif act == "drop_from":
            naive = {one for one in naive if one < offset}
        if act != "head":
            getattr(pending, act)(offset)
        assert list(pending) == sorted(naive)
        assert pending.head == min(naive, default=None)
        assert pending.first_within(merged(said)) == min(naive & said, default=None)


@attrs.define
class NaiveLog:
    """What is pending, told from the list of all that happened."""

    events: list[Any] = attrs.field(factory=list)
    read_committed: bool = True
    latest: bool = False

    def pending(self) -> list[int]:
        return [offset for offset in range(self.end()) if self.demanded(offset)]

    def end(self) -> int:
        end = 0
        for event in self.events:
            if isinstance(event, h.Appended):
                end = event.offset + 1
            elif isinstance(event, h.Truncated):
                end = event.end
        return end

    def demanded(self, offset: int) -> bool:
        appended = [index for index, one in enumerate(self.events) if type(one) is h.Appended and one.offset == offset]
        if len(appended) != 1:  # used again: excused
            return False
        for event in self.events[appended[0] :]:
            match event:
                case h.Truncated() if event.end <= offset:
                    return False
                case h.Compacted() if offset in event.removed:
                    return False
        for event in self.events:
            match event:
                case h.LogStartMoved() if offset < event.start:
                    return False
                case h.PositionReset() if self.latest and offset < event.after:
                    return False
                case h.OffsetsForgotten() if event.before < event.after and offset < event.after:
                    return False
                case h.HandlerEnded() if event.offset == offset and event.outcome == "succeeded":
                    return False
                case h.DeadLettered() if event.offset == offset:
                    return False
        return self.visible(self.events[appended[0]])

    def visible(self, event: h.Appended) -> bool:
        if event.visible:
            return True
        ends = [one for one in self.events if type(one) is h.Decided and event.offset in one.offsets]
        return any(one.committed or not self.read_committed for one in ends)


@st.composite
def logs(draw: st.DrawFn) -> tuple[Story, NaiveLog]:
    """A log's life, and handlers that resolve some of it."""
    naive = NaiveLog(read_committed=draw(st.booleans()), latest=draw(st.booleans()))
    story = Story(read_committed=naive.read_committed, offset_reset="latest" if naive.latest else "earliest")
    end = start = 0
    undecided: list[int] = []

    def add(event: Any) -> None:
        naive.events.append(event)
        story.add(event)

    acts = ("append", "append", "append", "transaction", "decide", "handle", "handle", "fail", "dead", "truncate")
    for act in draw(st.lists(st.sampled_from((*acts, "retain", "compact", "reset", "admin")), max_size=40)):
        if act == "append":
            add(h.Appended(P0, end, b"k", True))
            end += 1
        elif act == "transaction":
            add(h.Appended(P0, end, b"k", False))
            undecided.append(end)
            end += 1
        elif act == "decide" and undecided:
            add(h.Appended(P0, end, None, False))
            end += 1
            add(h.Decided(P0, tuple(undecided), draw(st.booleans())))
            undecided = []
        elif act == "truncate" and end > start:
            end = draw(st.integers(start, end))
            undecided = [one for one in undecided if one < end]
            add(h.Truncated(P0, end))
        elif act == "retain":
            start = draw(st.integers(start, end))
            add(h.LogStartMoved(P0, start))
        elif act == "reset":
            add(h.PositionReset(A, P0, -1, draw(st.integers(start, end))))
        elif act == "admin":
            before = story.truth.log(P0).held[0]
            add(h.OffsetsForgotten(GROUP, P0, before, draw(st.integers(-1, end)), "set by an administrator"))
        elif end > start:
            offset = draw(st.integers(start, end - 1))
            if act == "compact" and offset not in undecided:
                add(h.Compacted(P0, (offset,)))
            elif act == "dead":
                add(h.DeadLettered(A, P0, offset))
            elif act in ("handle", "fail"):
                call = len(naive.events)
                add(h.HandlerStarted(A, call, P0, offset, b"k", 1))
                add(h.HandlerEnded(A, call, P0, offset, "succeeded" if act == "handle" else "failed", ""))
        assert list(story.truth.log(P0).pending) == naive.pending(), naive.events
    return story, naive


@given(logs())
def test_a_log(told: tuple[Story, NaiveLog]) -> None:
    story, naive = told
    log = story.truth.log(P0)
    assert log.end == naive.end()
    assert log.pending.head == min(naive.pending(), default=None)


@attrs.define
class NaiveTenure:
    """What is delivered and not resolved, told from the list of all that happened since the assignment."""

    start: int
    restored: set[int]
    batches: list[list[int]] = attrs.field(factory=list)
    succeeded: set[int] = attrs.field(factory=set)

    def incomplete(self) -> list[int]:
        if not self.batches:
            return []
        restored = self.restored if self.batches[0][0] >= self.start else set()
        return sorted({one for batch in self.batches for one in batch} - self.succeeded - restored)


@given(st.data())
def test_a_tenure(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, 5))
    restored = data.draw(st.sets(st.integers(start, start + 20), max_size=8))
    naive = NaiveTenure(start, restored)
    story = Story("commit", "offset-map")
    story.produce(*range(60))
    story.assign(A, start, map_of(start, *merged(restored)) if restored else "")
    tenure = story.truth.tenure(A, P0)
    assert tenure is not None
    position = data.draw(st.integers(max(0, start - 3), start + 3))
    for _ in range(data.draw(st.integers(1, 6))):
        batch = sorted(data.draw(st.sets(st.integers(position, position + 6), min_size=1)))
        position = batch[-1] + 1 + data.draw(st.integers(0, 2))
        naive.batches.append(batch)
        story.deliver(A, *batch, position=position, end=60)
        for offset in data.draw(
            st.sets(st.sampled_from([one for batch in naive.batches for one in batch]), max_size=4)
        ):
            outcome = data.draw(st.sampled_from(["succeeded", "failed", "cancelled"]))
            story.handle(A, offset, outcome=outcome)
            if outcome == "succeeded":
                naive.succeeded.add(offset)
        assert list(tenure.incomplete) == naive.incomplete()
        assert tenure.position == position
    commit = data.draw(st.integers(0, 60))
    story.ask(A, commit)
    incomplete = naive.incomplete()
    legal = commit <= position and (not incomplete or commit <= incomplete[0])
    assert (not story.found) is legal
    said = data.draw(st.sets(st.integers(start, 50), min_size=1))
    base = min(said)
    before = len(story.found)
    story.ask(A, base, map_of(base, *merged(said)))
    true = not said & set(incomplete) and all(
        one < position or contains(tenure.restored or tenure.doubted, one) for one in said
    )
    assert ("offset-map" not in story.found[before:]) is true


def test_partitions_are_told_apart() -> None:
    story = Story()
    story.produce(0, 1)
    story.produce(0, partition=Partition("orders", 1))
    story.assign(A, 0)
    story.deliver(A, 0, 1)
    story.handle(A, 0)
    assert [list(log.pending) for log in story.truth.logs.values()] == [[1], [0]]
    assert story.truth.tenure(B, P0) is None
