"""The ledger against tables and against a naive set, with holes, restarts, cut maps and rewinds."""

from __future__ import annotations

from itertools import groupby, pairwise, permutations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.core.support import delivered
from trio_consumer.core.ledger import Ledger, OffsetsRewound, Snapshot
from trio_consumer.core.offset_map import Ranges, bitmap_characters, characters, decode, encode
from trio_consumer.errors import InternalError

LIMIT = 4095


def covered(ranges: Ranges) -> set[int]:
    return {offset for start, stop in ranges for offset in range(start, stop)}


# What may be committed


def test_nothing_is_known_at_first() -> None:
    ledger = Ledger()
    assert ledger.committable is None
    assert ledger.head is None
    assert ledger.position is None
    assert ledger.snapshot() == Snapshot(None, ())
    assert not ledger.is_complete(0)
    assert ledger.map_characters(LIMIT) == 0
    assert ledger.deliver([]) == []
    assert ledger.committable is None


def test_before_the_first_delivery_the_start_is_committable_and_the_restored_map_stays() -> None:
    ledger = Ledger(((12, 14), (20, 21)), start=10)
    assert ledger.snapshot() == Snapshot(10, ((12, 14), (20, 21)))
    assert ledger.completed_count == 3
    assert ledger.restored_top == 21
    assert [offset for offset in range(8, 23) if ledger.is_complete(offset)] == [8, 9, 12, 13, 20]


def test_a_partition_that_begins_above_zero() -> None:
    ledger = delivered([700, 701])
    assert ledger.snapshot() == Snapshot(700, ())
    ledger.complete(700)
    ledger.complete(701)
    assert ledger.snapshot() == Snapshot(702, ())


@pytest.mark.parametrize(
    ("offsets", "completed", "committable", "ranges"),
    [
        ([5, 9, 10], [], 5, ()),
        ([5, 9, 10], [5], 9, ()),
        ([5, 9, 10], [9], 5, ((6, 10),)),
        ([5, 9, 10], [10], 5, ((10, 11),)),
        ([5, 9, 10], [10, 9], 5, ((6, 11),)),
        ([5, 9, 10], [5, 9, 10], 11, ()),
        # Markers at 12, 15 and 18: one range, not four; a hole between incomplete offsets costs none.
        ([10, 11, 13, 14, 16, 17], [11, 13, 14, 16, 17], 10, ((11, 18),)),
        ([10, 11, 13, 14, 16, 17], [17], 10, ((17, 18),)),
        ([10, 11, 13, 14, 16, 17], [11, 17], 10, ((11, 13), (17, 18))),
        ([10, 11, 13, 14, 16, 17], [10, 11, 14, 16], 13, ((14, 17),)),
    ],
)
def test_snapshots(offsets: list[int], completed: list[int], committable: int, ranges: Ranges) -> None:
    assert delivered(offsets, completed).snapshot() == Snapshot(committable, ranges)


@pytest.mark.parametrize("offsets", [[0, 1, 2, 3, 4], [5, 6, 9, 10, 11], [3, 5, 7, 9, 11], [2, 3, 4, 90, 91]])
def test_every_order_of_completion(offsets: list[int]) -> None:
    for order in permutations(offsets):
        ledger = delivered(offsets)
        done: set[int] = set()
        for offset in order:
            ledger.complete(offset)
            done.add(offset)
            left = [one for one in offsets if one not in done]
            committable, ranges = ledger.snapshot()
            assert committable == (left[0] if left else offsets[-1] + 1)
            assert ledger.head == (left[0] if left else None)
            assert covered(ranges) & set(offsets) == {one for one in done if committable < one}
            assert ledger.incomplete_count == len(left)
            assert ledger.completed_count == sum(one > committable for one in done)
            assert [one for one in offsets if ledger.is_complete(one)] == sorted(done)


def test_a_snapshot_does_not_change_afterwards() -> None:
    ledger = delivered([1, 2, 3], [2])
    snapshot = ledger.snapshot()
    assert ledger.snapshot() is snapshot
    ledger.complete(1)
    ledger.advance(9)
    assert snapshot == Snapshot(1, ((2, 3),))
    assert ledger.snapshot() == Snapshot(3, ())


def test_trailing_holes_are_passed_with_the_clients_position() -> None:
    ledger = delivered([1, 2], [1, 2])
    assert ledger.committable == 3
    ledger.advance(6)
    assert ledger.committable == ledger.position == 6
    ledger.advance(4)
    assert ledger.committable == 6
    ledger.deliver([8])
    assert ledger.snapshot() == Snapshot(8, ())


def test_an_empty_partition_commits_the_clients_position() -> None:
    ledger = Ledger()
    ledger.advance(40)
    assert ledger.snapshot() == Snapshot(40, ())
    assert ledger.is_complete(39)
    assert not ledger.is_complete(40)


@pytest.mark.parametrize("offset", [0, 2, 5, 99])
def test_completing_what_is_not_incomplete_is_our_bug(offset: int) -> None:
    ledger = delivered([1, 2, 3], [2])
    with pytest.raises(InternalError, match=f"offset {offset} "):
        ledger.complete(offset)
    assert ledger.snapshot() == Snapshot(1, ((2, 3),))
    assert ledger.incomplete_count == 2


@pytest.mark.parametrize(
    ("offsets", "offset", "position"),
    [([11], 11, 12), ([3, 4, 50], 3, 12), ([12, 12], 12, 13), ([20, 30, 12], 12, 22), ([12, 13, 13, 14], 14, 15)],
)
def test_offsets_that_go_back_are_refused_whole(offsets: list[int], offset: int, position: int) -> None:
    ledger = delivered([10, 11], [11], restored=((13, 15),), start=9)
    with pytest.raises(OffsetsRewound, match=f"offset {offset} .* {position} or above") as rewound:
        ledger.deliver(offsets)
    assert (rewound.value.offset, rewound.value.position) == (offset, position)
    assert ledger.snapshot() == Snapshot(10, ((11, 12), (13, 15)))
    assert ledger.incomplete_count == 1
    assert ledger.deliver([12, 13]) == [13]


def test_offsets_below_the_clients_position_are_refused() -> None:
    ledger = delivered([10])
    ledger.advance(15)
    with pytest.raises(OffsetsRewound):
        ledger.deliver([14])
    assert ledger.deliver([15]) == []


# What earlier tenures completed


def test_restored_offsets_are_complete_when_delivered() -> None:
    ledger = Ledger(((12, 14), (16, 19)), start=10)
    assert ledger.deliver([10, 11, 12, 13, 14, 15, 16]) == [12, 13, 16]
    assert ledger.snapshot() == Snapshot(10, ((12, 14), (16, 19)))
    assert (ledger.incomplete_count, ledger.completed_count, ledger.restored_top) == (4, 5, 19)
    assert ledger.deliver([17, 18, 19, 20]) == [17, 18]
    assert ledger.restored_top is None
    assert ledger.snapshot() == Snapshot(10, ((12, 14), (16, 19)))
    with pytest.raises(InternalError):
        ledger.complete(12)
    assert ledger.deliver([21]) == []


def test_a_batch_that_was_restored_entirely() -> None:
    ledger = Ledger(((10, 40),), start=10)
    assert ledger.deliver([11, 12, 15]) == [11, 12, 15]
    assert ledger.snapshot() == Snapshot(16, ((16, 40),))
    assert ledger.map_characters(LIMIT) > 0
    assert ledger.deliver([39, 40]) == [39]
    assert ledger.snapshot() == Snapshot(40, ())


def test_restored_offsets_that_are_not_delivered_yet_stay_in_the_map() -> None:
    ledger = delivered([10, 11], [11], restored=((12, 14), (16, 19)), start=10)
    assert ledger.snapshot() == Snapshot(10, ((11, 14), (16, 19)))
    ledger.complete(10)
    # The position is committable, not what lies above it: the client has not been there.
    assert ledger.snapshot() == Snapshot(12, ((12, 14), (16, 19)))


def test_a_map_that_starts_at_its_base_survives_the_next_restart() -> None:
    ledger = delivered([10], [10], restored=((11, 14),), start=10)
    committable, ranges = ledger.snapshot()
    assert committable == 11
    again = Ledger(decode(encode(committable, ranges, LIMIT).text, committable), start=committable)
    assert again.deliver([11, 12, 13, 14]) == [11, 12, 13]


def test_what_the_position_passed_is_forgotten() -> None:
    ledger = Ledger(((12, 14), (16, 19), (30, 31)), start=10)
    ledger.advance(17)
    assert ledger.snapshot() == Snapshot(17, ((17, 19), (30, 31)))
    assert ledger.deliver([25]) == []
    assert ledger.snapshot() == Snapshot(25, ((30, 31),))
    ledger.advance(50)
    assert ledger.restored_top is None


@pytest.mark.parametrize("first", [0, 9])
def test_a_log_that_begins_below_the_committed_offset_is_another_one(first: int) -> None:
    ledger = Ledger(((12, 14),), start=10)
    assert ledger.deliver([first, 12, 13]) == []
    assert ledger.snapshot() == Snapshot(first, ())
    ledger = Ledger(((12, 14),), start=10)
    ledger.advance(first)
    assert ledger.snapshot() == Snapshot(first, ())


def test_a_refused_first_batch_leaves_the_restored_map() -> None:
    ledger = Ledger(((12, 14),), start=10)
    with pytest.raises(OffsetsRewound):
        ledger.deliver([5, 5])
    assert ledger.snapshot() == Snapshot(10, ((12, 14),))


def test_distrust_forgets_what_was_not_delivered() -> None:
    ledger = Ledger(((11, 12), (13, 10**9)), start=10)
    assert ledger.deliver([10, 11]) == [11]
    assert ledger.map_characters(LIMIT) == characters(10, ((11, 12), (13, 10**9)), LIMIT)
    assert ledger.snapshot() == Snapshot(10, ((11, 12), (13, 10**9)))
    ledger.distrust()
    assert ledger.snapshot() == Snapshot(10, ((11, 12),))
    assert ledger.map_characters(LIMIT) == bitmap_characters(10, 2)
    assert ledger.deliver([12, 13]) == []


# Against a naive model


class LedgerMachine(RuleBasedStateMachine):
    """A log with holes is read, its records are completed in any order, and the consumer restarts at any moment.

    The model keeps plain sets: what was delivered in this tenure, what is complete, and what the last map said.
    """

    @initialize(gaps=st.lists(st.sampled_from([1, 1, 1, 2, 3, 40]), min_size=1, max_size=60), first=st.integers(0, 90))
    def open(self, gaps: list[int], first: int) -> None:
        self.log = [first]
        for gap in gaps:
            self.log.append(self.log[-1] + gap)
        self.ever_completed: set[int] = set()
        self.begin(Ledger(), None, set())

    def begin(self, ledger: Ledger, start: int | None, restored: set[int]) -> None:
        self.ledger, self.start, self.restored = ledger, start, restored
        self.position: int | None = None
        self.delivered: list[int] = []
        self.completed: set[int] = set()

    @property
    def ahead(self) -> list[int]:
        known = self.start if self.position is None else self.position
        return [offset for offset in self.log if known is None or offset >= known]

    @property
    def incomplete(self) -> list[int]:
        return [offset for offset in self.delivered if offset not in self.completed]

    @rule(count=st.integers(1, 20))
    def deliver(self, count: int) -> None:
        batch = self.ahead[:count]
        known = [offset for offset in batch if offset in self.restored]
        assert self.ledger.deliver(batch) == known
        if batch:
            self.delivered += batch
            self.completed.update(known)
            self.position = batch[-1] + 1
            self.restored = {offset for offset in self.restored if offset >= self.position}

    @precondition(lambda self: self.incomplete)
    @rule(pick=st.integers(0, 10**6))
    def complete(self, pick: int) -> None:
        offset = self.incomplete[pick % len(self.incomplete)]
        self.ledger.complete(offset)
        self.completed.add(offset)
        self.ever_completed.add(offset)

    @precondition(lambda self: self.incomplete)
    @rule(pick=st.integers(0, 10**6), count=st.integers(1, 20))
    def complete_some(self, pick: int, count: int) -> None:
        for one in range(min(count, len(self.incomplete))):
            self.complete(pick * (one + 1))

    @rule(back=st.integers(0, 5))
    def advance(self, back: int) -> None:
        position = max(0, (self.ahead[0] if self.ahead else self.log[-1] + 7) - back)
        if self.position is None and self.start is not None and position < self.start:
            position = self.start
        self.ledger.advance(position)
        self.position = max(position, self.position or 0)
        self.restored = {offset for offset in self.restored if offset >= self.position}

    @precondition(lambda self: self.delivered)
    @rule(pick=st.integers(0, 10**6), count=st.integers(1, 5))
    def rewind(self, pick: int, count: int) -> None:
        index = pick % len(self.delivered)
        before = self.ledger.snapshot()
        with pytest.raises(OffsetsRewound):
            self.ledger.deliver(self.delivered[index : index + count] + self.ahead[:count])
        assert self.ledger.snapshot() == before

    @rule(offset=st.integers(0, 200))
    def complete_what_is_not_incomplete(self, offset: int) -> None:
        if offset not in self.incomplete:
            with pytest.raises(InternalError):
                self.ledger.complete(offset)

    @rule()
    def distrust(self) -> None:
        self.ledger.distrust()
        self.restored = set()

    @rule(limit=st.sampled_from([LIMIT, LIMIT, 32, 26, 0]))
    def restart(self, limit: int) -> None:
        committable, ranges = self.ledger.snapshot()
        if committable is None:
            return
        encoded = encode(committable, ranges, limit)
        restored = decode(encoded.text, committable)
        # Nothing that no handler completed is covered, and nothing that is in the map is lost.
        kept = covered(restored) & set(self.log)
        assert kept <= self.ever_completed
        assert {offset for offset in self.log if offset < committable} <= self.ever_completed
        self.begin(Ledger(restored, start=committable), committable, covered(restored))

    @invariant()
    def counts_and_offsets_agree(self) -> None:
        ledger, incomplete = self.ledger, self.incomplete
        known = self.start if self.position is None else self.position
        committable = incomplete[0] if incomplete else known
        assert ledger.head == (incomplete[0] if incomplete else None)
        assert ledger.committable == committable
        assert ledger.position == self.position
        assert ledger.incomplete_count == len(incomplete)
        ahead = sum(offset > incomplete[0] for offset in self.completed) if incomplete else 0
        assert ledger.completed_count == ahead + len(self.restored)
        assert ledger.restored_top == (max(self.restored) + 1 if self.restored else None)
        for offset in self.log:
            done = offset in self.completed or offset in self.restored
            passed = known is not None and offset < known and offset not in incomplete
            assert ledger.is_complete(offset) == (done or passed)

    @invariant()
    def the_snapshot_is_right(self) -> None:
        committable, ranges = self.ledger.snapshot()
        if committable is None:
            assert not self.delivered
            return
        assert committable == self.ledger.committable
        edges = [edge for one in ranges for edge in one]
        assert all(low < high for low, high in pairwise([committable - 1, *edges]))
        said, incomplete = covered(ranges), set(self.incomplete)
        complete_ahead = {offset for offset in self.completed if offset > committable}
        assert said >= complete_ahead | self.restored
        assert not said & incomplete
        # What else it says lies between delivered offsets, and no record is there.
        others = said - complete_ahead - self.restored
        assert not others & set(self.log)
        assert all(committable < offset < max(complete_ahead) for offset in others)
        # One range for each stretch of completed offsets, however many holes it has.
        ahead = [offset for offset in self.delivered if offset > committable]
        stretches = sum(done for done, _ in groupby(offset in self.completed for offset in ahead))
        rest = {offset for offset in self.restored if offset - 1 not in said}
        assert len(ranges) == stretches + len(rest)

    @invariant()
    def the_size_is_an_upper_bound(self) -> None:
        committable, ranges = self.ledger.snapshot()
        if committable is None:
            assert self.ledger.map_characters(LIMIT) == 0
            return
        for limit in (LIMIT, 30):
            exact = characters(committable, ranges, limit)
            size = self.ledger.map_characters(limit)
            assert size > limit if exact is None else exact <= size
            assert size <= limit // 2 or size == exact or exact is None


LedgerMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestLedgerMachine = LedgerMachine.TestCase
