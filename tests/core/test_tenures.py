"""A tenure's counts are derived from what they count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.support import P0, FakeRun, core_with, new_core, record, started
from trio_consumer.config import Order
from trio_consumer.core.tenures import size_of
from trio_consumer.record import Record


def test_the_repr_tells_partition_number_and_state() -> None:
    core, tenure = core_with([b"a"])
    assert repr(tenure) == "<Tenure orders[0] #1 active>"
    core.close([P0])
    assert repr(tenure) == "<Tenure orders[0] #1 closing>"
    core.end(tenure)
    assert repr(tenure) == "<Tenure orders[0] #1 ended>"


@pytest.mark.parametrize(
    ("key", "value", "size"), [(b"abc", b"de", 5), (None, b"de", 2), (b"abc", None, 3), (None, None, 0)]
)
def test_size(key: bytes | None, value: bytes | None, size: int) -> None:
    assert size_of(record(0, key, value)) == size


def test_counts_of_a_serial_lane() -> None:
    core, tenure = core_with([b"abc"] * 4)  # 4 bytes each
    assert (tenure.queued, tenure.in_flight, tenure.queued_bytes(), tenure.parked_bytes()) == (4, 0, 16, 0)
    run = started(core)
    assert (tenure.queued, tenure.in_flight, tenure.queued_bytes()) == (3, 1, 12)
    run.succeed()
    assert (tenure.queued, tenure.in_flight, tenure.queued_bytes()) == (2, 1, 8)
    run.fail()
    assert (tenure.queued, tenure.in_flight, len(tenure.retrying)) == (2, 0, 1)
    assert (tenure.queued_bytes(), tenure.parked_bytes()) == (8, 4)
    core.unpark(1.0)
    assert (tenure.queued_bytes(), tenure.parked_bytes()) == (8, 4)
    started(core)
    assert (tenure.queued, tenure.in_flight, len(tenure.retrying)) == (2, 1, 0)
    assert (tenure.queued_bytes(), tenure.parked_bytes()) == (8, 0)


def test_counts_of_loose_records() -> None:
    core, tenure = core_with([None] * 4)  # 1 byte each
    run, other = started(core), started(core)
    assert (tenure.queued, tenure.in_flight, tenure.queued_bytes()) == (2, 2, 2)
    run.fail()
    assert (tenure.queued, tenure.in_flight, tenure.queued_bytes(), tenure.parked_bytes()) == (2, 1, 2, 1)
    other.be_cancelled()
    assert (tenure.queued, tenure.in_flight, tenure.queued_bytes(), tenure.parked_bytes()) == (3, 0, 3, 1)
    core.unpark(1.0)
    retry = started(core)
    assert retry.offset == 0
    retry.be_cancelled()
    assert (tenure.queued, tenure.queued_bytes(), tenure.parked_bytes()) == (4, 4, 0)


def test_records_whose_lane_function_raises_count_as_the_others() -> None:
    def broken(_: Record) -> object:
        raise LookupError

    _, tenure = core_with([b"abc", b"abc"], order=broken)
    assert (tenure.queued, tenure.queued_bytes()) == (2, 8)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=60), st.sampled_from(list(Order)))
def test_bytes_that_wait_are_those_of_the_records_that_wait(steps: list[tuple[int, int]], order: Order) -> None:
    keys = [None if number % 5 == 4 else b"k" * (number % 5) for number in range(30)]
    core, tenure = core_with(keys, order=order, attempts=None)
    runs = [FakeRun(core) for _ in range(4)]
    now = 0.0
    for number, action in steps:
        run = runs[number]
        now += 0.25
        core.unpark(now)
        if run.record is None:
            run.start()
        elif action == 0:
            run.fail(now=now)
        elif action == 1:
            run.be_cancelled()
        else:
            run.succeed()
        running = {one.offset for one in runs if one.record is not None}
        parked = {lane.records[0].offset for lane in tenure.retrying}
        ledger = tenure.ledger
        waiting = [at for at in range(30) if not ledger.is_complete(at) and at not in running | parked]
        sizes = [len(key or b"") + 1 for key in keys]
        assert tenure.queued == len(waiting)
        assert tenure.queued_bytes() == sum(sizes[at] for at in waiting)
        assert tenure.parked_bytes() == sum(sizes[at] for at in parked)


def test_an_empty_tenure_counts_nothing() -> None:
    core = new_core()
    assert core.queued() == 0
    assert core.running == []
