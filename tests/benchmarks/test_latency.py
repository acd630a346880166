"""Latencies: which are taken, and the arithmetic of their distributions. No time is taken here."""

from __future__ import annotations

import math
from importlib.util import find_spec

import pytest

from benchmarks.candidates.beside import Seen
from benchmarks.candidates.latency import compare, late
from benchmarks.candidates.open_loop import NOT_TIMED, VALUE_BYTES, Order, Sent, Stamp, stamp_of, value_of
from benchmarks.candidates.stopwatch import PERCENTILES, REPORTED, Stopwatch, curve_ms, firsts, histogram, reported_ms

MS = 1_000_000

needs_histograms = pytest.mark.skipif(find_spec("hdrh") is None, reason="needs hdrhistogram, of the extra bench")


def test_a_value_carries_its_stamp() -> None:
    value = value_of(2**62, 2**32 - 2, 2**32 - 1)
    assert len(value) == VALUE_BYTES
    assert stamp_of(value) == Stamp(2**62, 2**32 - 2, 2**32 - 1)


def test_the_bare_loop_sees_one_load() -> None:
    seen = Seen()
    seen.take([value_of(NOT_TIMED, 0, 50)], lambda: 1)
    assert not seen.complete
    seen.take([value_of(10, 1, 2)], lambda: 14)
    assert not seen.complete
    seen.take([value_of(5, 0, 2), value_of(NOT_TIMED, 3, 50)], lambda: 20)
    assert seen.complete
    assert list(seen.latencies) == [15, 4]


# What the stopwatch takes


def test_start_is_kept_by_number() -> None:
    watch = Stopwatch(1, records=3)
    watch.begin(0, 0, b"a", 10, 0, 15)
    watch.begin(0, 2, b"b", 14, 2, 20)
    watch.begin(0, 1, b"a", 12, 1, 99)
    assert list(watch.start) == [5, 87, 6]


def test_firsts_of_pairs() -> None:
    assert list(firsts(range(7), 0)) == [0, 2, 4, 6]
    assert list(firsts(range(7), 2)) == [2, 4, 6]
    assert list(firsts(range(7), 3)) == [4, 6]  # the second one of a pair that is left out


def test_nothing_is_taken_without_a_load() -> None:
    watch = Stopwatch(1)
    watch.begin(0, 0, b"a", 0, 7_000, 15)
    watch.end(0, b"a", 16)
    assert (list(watch.start), list(watch.next), watch.handled) == ([], [], 1)


def test_next_is_not_taken_before_the_load_is_steady() -> None:
    watch = Stopwatch(1, records=5, skip=4)
    for offset, key, number in ((0, b"a", 0), (3, b"b", 2)):
        watch.begin(0, offset, key, 0, number, 10)
    watch.end(0, b"a", 20)
    watch.begin(0, 1, b"a", 0, 3, 23)
    watch.end(0, b"a", 30)
    watch.begin(0, 2, b"a", 0, 4, 34)
    assert list(watch.next) == [4]


def test_next_is_taken_where_a_later_record_of_the_partition_had_started() -> None:
    watch = Stopwatch(2, records=9)
    watch.begin(0, 0, b"a", 0, 0, 10)
    watch.begin(0, 2, b"b", 0, 2, 11)  # so offset 1 is here as well
    watch.end(0, b"a", 20)
    watch.begin(0, 1, b"a", 0, 1, 23)
    assert list(watch.next) == [3]


@pytest.mark.parametrize("other", [(1, 9), (0, 0)], ids=["another partition", "an earlier offset"])
def test_next_is_not_taken_where_the_record_may_not_have_come_yet(other: tuple[int, int]) -> None:
    watch = Stopwatch(2, records=9)
    watch.begin(0, 1, b"a", 0, 0, 10)
    watch.begin(*other, b"b", 0, 2, 11)
    watch.end(0, b"a", 20)
    watch.begin(0, 3, b"c", 0, 4, 22)  # it started after the end: too late to tell
    watch.begin(0, 2, b"a", 0, 1, 23)
    assert list(watch.next) == []


# Distributions


@needs_histograms
def test_a_histogram_counts_microseconds_to_three_digits() -> None:
    counted = histogram([1_999, 2_000, 5 * MS])
    assert counted.get_total_count() == 3
    assert counted.get_value_at_percentile(0) == 1
    assert math.isclose(counted.get_value_at_percentile(100), 5_000, rel_tol=0.001)


@needs_histograms
def test_a_histogram_takes_what_is_out_of_its_range() -> None:
    counted = histogram([-5 * MS, 3_600_000 * MS])
    assert counted.get_value_at_percentile(0) == 0
    assert math.isclose(counted.get_value_at_percentile(100), 60_000_000, rel_tol=0.001)


def uniform(first_ms: int) -> list[int]:
    """Nanoseconds, over one millisecond."""
    return [first_ms * MS + step * 1_000 for step in range(1_000)]


@needs_histograms
def test_a_curve_has_its_percentiles() -> None:
    curve = curve_ms(uniform(1))
    assert [percentile for percentile, _ in curve] == list(PERCENTILES)
    assert all(math.isclose(value, 1 + percentile / 100, abs_tol=0.01) for percentile, value in curve)


def test_reported_percentiles() -> None:
    told = reported_ms([[percentile, percentile / 10] for percentile in PERCENTILES], "x")
    assert told == {"x_p50_ms": 5.0, "x_p99_ms": 9.9, "x_p99.9_ms": 9.99}
    assert set(REPORTED.values()) <= set(PERCENTILES)


# Judgement


@needs_histograms
def test_what_we_add_is_told_record_by_record() -> None:
    bare = uniform(0)
    ours = [value + 2 * MS for value in bare]
    ours[:10] = [500 * MS] * 10  # of 1,000: beyond the 99th percentile
    bare[500:510] = [700 * MS] * 10  # the bare loop was late: that is not ours
    found = compare(ours, bare, [])
    assert found.value is not None
    assert math.isclose(found.value, 2.0, rel_tol=0.01)
    assert math.isclose(found.detail["added_p99.9_ms"], 500, rel_tol=0.01)
    assert math.isclose(found.detail["bare_p99.9_ms"], 700, rel_tol=0.01)
    assert not [name for name in found.detail if name.startswith("next")]
    assert [len(point) for point in found.curve] == [3] * len(PERCENTILES)


@needs_histograms
def test_next_is_told_where_there_is_any() -> None:
    assert compare(uniform(1), uniform(0), uniform(3)).detail["next_p50_ms"] == pytest.approx(3.5, abs=0.01)


@needs_histograms
def test_two_consumers_that_saw_different_records_are_not_compared() -> None:
    with pytest.raises(ValueError, match="zip"):
        compare(uniform(1), uniform(0)[1:], [])


def test_a_producer_that_does_not_keep_the_rate_is_a_problem() -> None:
    order = Order(records=1_000, rate=500.0)
    assert late(order, Sent(records=1_000, seconds=2.0, late_ms=1.0)) == []
    (problem,) = late(order, Sent(records=1_000, seconds=2.2, late_ms=100.0))
    assert "2.20 s for 1,000 records instead of 2.00 s" in problem
