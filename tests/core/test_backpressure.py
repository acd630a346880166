"""The limits of the intake: never above them in the worst case, and hysteresis on the way back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.support import P0, P1, FakeRun, assign, core_with, handle_all, new_core, record, started
from trio_consumer.client.port import Committed, Records
from trio_consumer.core import backpressure
from trio_consumer.core.backpressure import (
    BATCH_RECORDS_MAX,
    MAP_SHARE,
    RESUME,
    Limits,
    bytes_waiting,
    fullness_of,
    fullness_total,
)
from trio_consumer.core.engine import Core
from trio_consumer.core.offset_map import encode
from trio_consumer.core.tenures import Tenure
from trio_consumer.record import Partition


def limits(**changed: int) -> Limits:
    return Limits(
        **{"records": 1_000, "records_per_partition": 100, "bytes": 10_000, "bytes_per_partition": 1_000, **changed}
    )


def give(core: Core, partition: Partition, first: int, values: list[bytes], key: bytes | None = None) -> None:
    """A batch of records that wait for nobody."""
    batch = [record(first + index, key, value, partition=partition) for index, value in enumerate(values)]
    core.records(Records(batch, {partition: first + len(batch)}, {}), 0.0)


@pytest.mark.parametrize(
    ("records", "per_partition", "batch", "reserved"),
    [
        (50_000, 5_000, BATCH_RECORDS_MAX, 41_501),
        (50_000, 300, 300, 49_364),
        (800, 5_000, 100, 589),
        (8, 8, 1, 7),
        (2, 1, 1, 1),
    ],
)
def test_batches_and_what_is_reserved_for_them(records: int, per_partition: int, batch: int, reserved: int) -> None:
    found = limits(records=records, records_per_partition=per_partition)
    assert (found.batch, found.records_reserved) == (batch, reserved)


@given(st.integers(2, 10**6), st.integers(1, 10**6))
def test_two_batches_always_fit_on_top_of_what_does_not_stop_the_intake(records: int, per_partition: int) -> None:
    found = limits(records=records, records_per_partition=per_partition)
    assert found.batch >= 1
    assert (found.records_reserved - 1) + found.unchecked + 2 * found.batch <= records


# Fullness


@pytest.mark.parametrize(
    ("count", "size", "map_max", "fullness"),
    [
        (0, 0, 4095, 0),
        (50, 0, 4095, 0.5),
        (100, 0, 4095, 1),
        (10, 50, 4095, 0.5),
        (10, 100, 4095, 1),
        (10, 130, 4095, 1.3),
    ],
)
def test_a_partition_is_as_full_as_its_fullest_limit(count: int, size: int, map_max: int, fullness: float) -> None:
    core = new_core()
    tenure = assign(core)
    if count:
        give(core, P0, 0, [b"x" * size] * count)
    assert fullness_of(tenure, limits(), map_max) == pytest.approx(fullness)


def test_parked_records_have_limits_of_their_own() -> None:
    core = new_core()
    tenure = assign(core)
    give(core, P0, 0, [b"x" * 30] * 20)
    for _ in range(15):
        started(core).fail()
    assert (tenure.queued, len(tenure.retrying)) == (5, 15)
    assert fullness_of(tenure, limits(bytes_per_partition=10**9), 0) == 0.15
    assert fullness_of(tenure, limits(), 0) == 0.45
    assert fullness_total([tenure], limits(records=25, bytes=10**9)) == pytest.approx(15 / 20)
    assert fullness_total([tenure], limits(bytes=900)) == pytest.approx(0.5)
    assert fullness_total([tenure], limits(bytes=400)) == pytest.approx(450 / 400)


def test_an_offset_map_fills_its_partition_at_three_quarters_of_its_limit() -> None:
    core, tenure = core_with([bytes([number]) for number in range(200)])
    runs = [FakeRun(core) for _ in range(200)]
    for run in runs:
        run.start()
    for run in runs[1::2]:
        run.succeed()
    characters = tenure.ledger.map_characters(100)
    assert 0 < characters <= 100
    assert fullness_of(tenure, limits(records_per_partition=10**6), 100) == characters / (100 * MAP_SHARE)
    assert fullness_of(tenure, limits(records_per_partition=10**6), 0) < 0.1


def test_a_full_map_does_not_stop_a_partition_that_waits_for_nothing() -> None:
    """What an earlier tenure completed lies ahead, and only fetching gets there."""
    text = encode(9, tuple((12 + 3 * number, 13 + 3 * number) for number in range(40)), 40).text
    core = new_core(offset_map_characters_max=len(text))
    tenure = assign(core, committed=Committed(9, text))
    give(core, P0, 9, [b"the one that held it back"])
    assert fullness_of(tenure, core.limits, len(text)) > RESUME
    core.flow()
    assert tenure.throttled
    assert handle_all(core) == [9]
    assert core.flow() == ([], [P0])


def test_what_passes_the_total_is_dropped_and_fetched_again() -> None:
    """Each partition that is assigned while all is full may bring a batch before its pause takes effect."""
    core = new_core(queued_records_max=8)
    assign(core)
    give(core, P0, 0, [b""] * 8)
    for partition in (P1, Partition("t", 2)):
        assign(core, partition)
        give(core, partition, 5, [b"too", b"many"])
    assert core.queued() == 8
    assert core.seeks == {P1: 5, Partition("t", 2): 5}
    give(core, P1, 7, [b"more"])
    assert core.queued() == 8
    handle_all(core)
    core.seeks.clear()
    give(core, P1, 5, [b"too", b"many", b"more"])
    assert handle_all(core) == [5, 6, 7]


def test_bytes_are_exact_where_their_bound_passes_the_limit() -> None:
    core = new_core()
    tenure = assign(core)
    give(core, P0, 0, [b"x" * 200, *[b""] * 9])
    assert bytes_waiting([tenure], 2_001) == 2_000
    assert bytes_waiting([tenure], 2_000) == 200
    assert fullness_of(tenure, limits(bytes_per_partition=400), 0) == 0.5


def test_one_large_record_of_each_partition_does_not_fill_the_total() -> None:
    """Each partition's bound is below its own limit, and the sum of the bounds far above the truth."""
    core = new_core()
    tenures = []
    for number in range(20):
        partition = Partition("orders", number)
        tenures.append(assign(core, partition))
        give(core, partition, 0, [b"x" * 90, *[b""] * 9])
    total = fullness_total(tenures, limits())
    assert total == pytest.approx(max(200 / limits().records_reserved, 1_800 / 10_000))


# Hysteresis


def throttle(tenures: Mapping[Partition, Tenure], found: Limits, *, full: bool = False) -> bool:
    return backpressure.throttle(tenures, found, 4095, full=full)


def test_a_partition_stops_at_its_limit_and_resumes_at_seventy_percent() -> None:
    core = new_core()
    tenure, other = assign(core), assign(core, P1)
    give(core, P0, 0, [b""] * 99)
    seen: list[tuple[int, bool]] = []
    for queued in (99, 100, 99, 71, 70, 99, 100):
        while tenure.queued > queued:
            started(core).succeed_all()
        if tenure.queued < queued:
            give(core, P0, tenure.ledger.position or 0, [b""] * (queued - tenure.queued))
        assert throttle(core.tenures, limits()) is False
        seen.append((tenure.queued, tenure.throttled))
    assert seen == [
        (99, False), (100, True), (99, True), (71, True), (70, False), (99, False), (100, True),
    ]  # fmt: skip
    assert not other.throttled


def test_a_full_total_stops_all_and_resumes_at_seventy_percent() -> None:
    core = new_core()
    tenures = [assign(core), assign(core, P1)]
    found = limits(records=117, records_per_partition=10**6)  # 14 at a time, 89 before two more batches and 1 unchecked
    assert found.records_reserved == 89
    full = False
    seen: list[tuple[int, bool]] = []
    for queued in (88, 89, 88, 63, 62, 88, 89):
        tenure = tenures[0]
        while core.queued() > queued:
            started(core).succeed_all()
        if core.queued() < queued:
            give(core, P0, tenure.ledger.position or 0, [b""] * (queued - core.queued()))
        full = throttle(core.tenures, found, full=full)
        assert all(one.throttled is full for one in tenures)
        seen.append((core.queued(), full))
    assert seen == [(88, False), (89, True), (88, True), (63, True), (62, False), (88, False), (89, True)]


# The worst case that the port allows


@given(st.data())
def test_totals_hold_while_two_batches_are_on_their_way(data: st.DataObject) -> None:
    """The client has one batch fetched and one in hand when the intake stops; both still come, as large as allowed."""
    options: dict[str, Any] = {
        "queued_records_max": data.draw(st.integers(2, 60), label="queued_records_max"),
        "queued_records_max_per_partition": data.draw(st.integers(1, 60), label="per_partition"),
        "queued_bytes_max": 400,
        "queued_bytes_max_per_partition": 200,
        "attempts": None,
    }
    core = new_core(**options)
    for partition in (P0, P1):
        assign(core, partition)
    size = core.limits.batch
    ahead: list[Partition] = []
    for step in range(40):
        core.flow()
        fetching = [partition for partition in (P0, P1) if partition not in core.fetch_paused]
        # What the client fetched ahead comes before it fetches, for which it has been told by now whom to pause.
        arriving, ahead = ahead, []
        if fetching and not arriving:
            arriving = [data.draw(st.sampled_from(fetching), label="fetched")]
        if fetching:
            ahead = [data.draw(st.sampled_from(fetching), label="fetched ahead")]
        for partition in arriving:
            tenure = core.tenures[partition]
            before, waiting = tenure.queued, core.queued()
            values = [b"x" * data.draw(st.integers(0, 9), label="bytes")] * size
            give(core, partition, tenure.ledger.position or 0, values, key=data.draw(st.sampled_from([None, b"k"])))
            assert core.queued() == waiting + size
            if partition in core.fetch_paused:
                assert before < options["queued_records_max_per_partition"] + 2 * size
        assert core.queued() <= options["queued_records_max"]
        for _ in range(data.draw(st.integers(0, 6), label="runs")):
            run = FakeRun(core)
            if run.start() is None:
                break
            if data.draw(st.booleans(), label="fails"):
                run.fail(now=float(step))
            else:
                run.succeed_all()
    core.unpark(float("inf"))
    handle_all(core)
    core.flow()
    assert not core.fetch_paused
    assert core.queued() == 0


def test_a_stuck_lane_stops_its_partition_only_at_its_own_limit() -> None:
    core = new_core(queued_records_max=1_000, queued_records_max_per_partition=50)
    stuck, other = assign(core), assign(core, P1)
    give(core, P0, 0, [b""] * 40, key=b"stuck")
    run = started(core)
    give(core, P1, 0, [b""] * 49)
    core.flow()
    assert core.fetch_paused == set()
    give(core, P0, 40, [b""] * 11, key=b"stuck")
    core.flow()
    assert core.fetch_paused == {P0}
    assert (stuck.throttled, other.throttled) == (True, False)
    handle_all(core)
    assert core.flow() == ([], [])
    run.succeed_all()
    handle_all(core)
    assert core.flow() == ([], [P0])


def test_failures_do_not_hold_back_fresh_records_before_their_own_limit() -> None:
    core = new_core(queued_records_max=1_000, queued_records_max_per_partition=20, attempts=None)
    tenure = assign(core)
    position = 0
    while not tenure.throttled:
        give(core, P0, position, [b""])
        position += 1
        started(core).fail()
        core.flow()
    assert (tenure.queued, len(tenure.retrying)) == (0, 20)
