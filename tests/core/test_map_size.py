"""The size of a ledger's offset map: an upper bound that costs little, close enough to stop the intake in time."""

from __future__ import annotations

import random
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from tests.core.support import delivered
from trio_consumer.core.backpressure import MAP_SHARE
from trio_consumer.core.ledger import Ledger, Snapshot
from trio_consumer.core.offset_map import bitmap_characters, bitmap_span_max, characters

LIMIT = 4095


def scattered(count: int, incomplete_count: int) -> Ledger:
    """So many offsets from 0 on were delivered; the first and others at random are incomplete."""
    incomplete = {0, *random.Random(1).sample(range(1, count - 1), incomplete_count - 1)}
    return delivered(list(range(count)), [offset for offset in range(count) if offset not in incomplete])


def exact_size(ledger: Ledger, limit: int) -> int | None:
    """Characters of the map as it would be written now; ``None`` if it would be cut."""
    committable, ranges = ledger.snapshot()
    return 0 if committable is None else characters(committable, ranges, limit)


def test_a_short_span_is_bounded_by_its_bitmap() -> None:
    ledger = delivered(list(range(1_000)), list(range(1, 1_000, 3)))
    assert ledger.map_characters(LIMIT) == bitmap_characters(0, 998 + 1)
    ledger.complete(999)
    assert ledger.map_characters(LIMIT) == bitmap_characters(0, 1_000)


def test_a_long_span_is_measured() -> None:
    ledger = delivered(list(range(50_000)), list(range(1, 50_000)))
    assert ledger.map_characters(LIMIT) == characters(0, ((1, 50_000),), LIMIT)
    ledger = scattered(50_000, 50)
    assert ledger.map_characters(LIMIT) == characters(0, ledger.snapshot().completed, LIMIT)


def test_a_measure_is_taken_again_when_the_map_may_have_changed() -> None:
    ledger = scattered(50_000, 60)
    first = ledger.map_characters(LIMIT)
    for offset in range(1, 30_000):
        if not ledger.is_complete(offset):
            ledger.complete(offset)
            assert ledger.map_characters(LIMIT) == characters(0, ledger.snapshot().completed, LIMIT)
    assert ledger.map_characters(LIMIT) < first
    assert ledger.map_characters(20) == 21  # another limit
    assert ledger.map_characters(LIMIT) < first


def test_a_measure_is_taken_again_when_the_committable_offset_changes() -> None:
    ledger = scattered(50_000, 1_280)
    first = ledger.map_characters(LIMIT)
    ledger.complete(0)
    committable, ranges = ledger.snapshot()
    assert committable is not None
    exact = characters(committable, ranges, LIMIT)
    assert exact != first  # no test otherwise
    assert ledger.map_characters(LIMIT) == exact


def test_without_completed_offsets_ahead_there_is_no_map() -> None:
    assert delivered([10, 11], [10]).map_characters(LIMIT) == 0
    assert delivered([10, 11], [11, 10]).map_characters(LIMIT) == 0
    assert delivered([10, 11], [11]).map_characters(LIMIT) == bitmap_characters(10, 2)


def test_a_measure_may_be_old_by_a_64th_of_what_is_incomplete() -> None:
    ledger = scattered(50_000, 1_280)
    seen = [ledger.map_characters(LIMIT)]
    incomplete = [offset for offset in range(1, 50_000) if not ledger.is_complete(offset)]
    for offset in incomplete[:19]:
        ledger.complete(offset)
        seen.append(ledger.map_characters(LIMIT))
    assert len(set(seen)) == 1
    ledger.complete(incomplete[19])
    assert ledger.map_characters(LIMIT) < seen[0]


def test_what_flows_past_stuck_offsets_needs_no_other_measure() -> None:
    """It lengthens the last range, however much it is, and what is in flight adds a few that go again."""
    ledger = scattered(50_000, 1_280)
    first = ledger.map_characters(LIMIT)
    for start in range(50_000, 90_000, 500):
        ledger.deliver(list(range(start, start + 500)))
        for offset in range(start + 5, start + 500):
            ledger.complete(offset)
        assert ledger.map_characters(LIMIT) == first
        for offset in range(start, start + 5):
            ledger.complete(offset)
    exact = exact_size(ledger, LIMIT)
    assert exact is not None
    assert first < exact < first * 1.01  # no test otherwise


def test_offsets_that_get_stuck_are_measured() -> None:
    ledger = scattered(50_000, 1_280)
    first = ledger.map_characters(LIMIT)
    start = 50_000
    for stuck in (10, 9, 1):  # each of them and the longer range before them count: 21 in all
        ledger.deliver(list(range(start, start + 100)))
        for offset in range(start, start + 100):
            if offset % 2 or offset >= start + 2 * stuck:
                ledger.complete(offset)
        assert (ledger.map_characters(LIMIT) == first) is (stuck > 1)
        start += 100
    assert ledger.map_characters(LIMIT) == exact_size(ledger, LIMIT)


def test_a_lane_that_is_stuck_in_a_row_adds_one_range() -> None:
    ledger = scattered(50_000, 1_280)
    first = ledger.map_characters(LIMIT)
    ledger.deliver(list(range(50_000, 60_000)))
    for offset in range(52_000, 60_000):
        ledger.complete(offset)
    assert ledger.map_characters(LIMIT) == first


def test_a_map_that_outgrows_its_bitmap_is_measured() -> None:
    """Neighbours at random take much less as a bitmap, and that is not written where the map reaches too far."""
    limit, span = 180, bitmap_span_max(0, 180)
    ledger = delivered(list(range(800)), [offset for offset in range(1, 800) if random.Random(offset).random() < 0.5])
    first = ledger.map_characters(limit)
    assert first <= limit
    for start in range(800, span + 800, 800):
        ledger.deliver(list(range(start, start + 800)))
        for offset in range(start, start + 800):
            ledger.complete(offset)
        size = ledger.map_characters(limit)
        assert size == limit + 1 if start + 800 > span else size <= limit
    assert exact_size(ledger, limit) is None


def test_what_is_restored_and_passed_needs_another_measure() -> None:
    restored = tuple((50_010 + 3 * number, 50_012 + 3 * number) for number in range(4_000))
    ledger = delivered(list(range(50_000)), range(100, 50_000), restored=restored, start=0)
    ledger.deliver([50_005])
    ledger.complete(50_005)
    assert ledger.map_characters(100) == 101
    ledger.advance(restored[-1][1] - 1)
    assert ledger.map_characters(100) == exact_size(ledger, 100)
    ledger.advance(restored[-1][1])
    assert ledger.map_characters(100) == characters(0, ((100, 50_006),), 100)


def test_a_map_that_does_not_fit_is_above_the_limit() -> None:
    ledger = scattered(50_000, 20_000)
    assert ledger.map_characters(LIMIT) == LIMIT + 1
    assert ledger.map_characters(LIMIT * 3) < LIMIT * 3


def test_memory_is_bounded_by_what_is_incomplete() -> None:
    """One offset is stuck and 300,000 above it are completed: half of 20 MB, were each of them remembered."""
    ledger = Ledger(start=0)
    ledger.deliver([0])
    tracemalloc.start()
    try:
        for first in range(1, 300_000, 1_000):
            ledger.deliver(batch := list(range(first, first + 1_000)))
            for offset in batch:
                ledger.complete(offset)
        # Other threads of the test run may allocate meanwhile.
        ours = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/trio_consumer/core/*")])
        kept = sum(trace.size for trace in ours.traces)
    finally:
        tracemalloc.stop()
    assert ledger.snapshot() == Snapshot(0, ((1, 300_001),))
    assert ledger.completed_count == 300_000
    assert kept < 500_000


@given(st.data())
def test_a_map_is_not_cut_before_the_intake_stops(data: st.DataObject) -> None:
    """Whatever is delivered, gets stuck, comes loose or is restored, in whatever steps: as long as the size that is
    told lets the intake go on, all of the map fits, and the size is never far below the truth."""
    limit = data.draw(st.sampled_from([200, 1_000, LIMIT]), label="limit")
    dice = random.Random(data.draw(st.integers(0, 2**32), label="dice"))
    restored = tuple((7_000 + 40 * number, 7_000 + 40 * number + 9) for number in range(data.draw(st.integers(0, 40))))
    ledger, position = Ledger(restored, start=0), 0
    stuck: list[int] = []
    kinds = st.sampled_from(["random", "in order", "every other", "loose", "head", "distrust"])
    for _ in range(data.draw(st.integers(1, 12), label="rounds")):
        kind = data.draw(kinds, label="kind")
        if kind == "distrust":
            ledger.distrust()
        for _ in range(data.draw(st.integers(1, 12), label="steps")):
            count = data.draw(st.sampled_from([20, 100, 1_000]), label="count")
            share = {"random": dice.random(), "in order": 0.02, "every other": 0.5}.get(kind)
            if share is None:
                stuck.sort() if kind == "head" else dice.shuffle(stuck)
                done, stuck = stuck[:count], stuck[count:]
            else:
                gap = data.draw(st.sampled_from([1, 1, 1, 2, 5]), label="gap")
                batch = list(range(position, position + gap * count, gap))
                position = batch[-1] + 1
                fresh = set(batch).difference(ledger.deliver(batch))
                late = {offset for offset in sorted(fresh) if dice.random() < share}
                stuck += sorted(late)
                done = sorted(fresh - late)
            for offset in done:
                ledger.complete(offset)
            size, exact = ledger.map_characters(limit), exact_size(ledger, limit)
            if size <= limit * MAP_SHARE:
                assert exact is not None
                assert exact <= size + limit / 8


def test_distrust_shortens_a_map_that_was_measured() -> None:
    ledger = delivered([0, 40_000], [40_000], restored=((40_002, 40_003), (50_000, 60_000)), start=0)
    assert ledger.map_characters(LIMIT) == characters(0, ledger.snapshot().completed, LIMIT)
    ledger.distrust()
    assert ledger.map_characters(LIMIT) == characters(0, ((40_000, 40_001),), LIMIT)
