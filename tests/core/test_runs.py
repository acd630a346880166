"""Runs: what a worker claims as it goes on, who is set aside, and when a run ends."""

from __future__ import annotations

import pytest

from tests.core.support import P0, P1, P2, FakeRun, assign, core_with, handle_all, new_core, records, started
from trio_consumer import Order
from trio_consumer.core.lanes import RUN_RECORDS_MAX, RUN_WAITS_MAX

KEYS = [b"%d" % number for number in range(RUN_RECORDS_MAX + 10)]


def lengths(*runs: FakeRun) -> list[int]:
    """How many records each run handles, when their handlers take turns to wait."""
    counts = [1] * len(runs)
    going = list(runs)
    while going:
        for run in tuple(going):
            if run.succeed() is None:
                going.remove(run)
            else:
                counts[runs.index(run)] += 1
    return counts


def test_a_run_is_bounded() -> None:
    core, _ = core_with(KEYS)
    assert lengths(started(core)) == [RUN_RECORDS_MAX]
    assert lengths(started(core)) == [10]


def test_a_record_is_claimed_when_it_is_reached() -> None:
    """So a handler that waits holds nobody back but its own lane."""
    core, _ = core_with([b"a", b"b", b"a", b"c"])
    first, second = started(core), started(core)
    assert (first.offset, second.offset) == (0, 1)
    second.succeed()
    assert second.offset == 3
    second.succeed()
    assert FakeRun(core).start() is None
    first.succeed()
    assert first.offset is None  # others waited in its lane: the oldest head is looked for again
    assert started(core).offset == 2


def test_handlers_that_never_wait_leave_no_mark() -> None:
    core, tenure = core_with([b"a", b"b", b"a"])
    run = started(core)
    while run.offset is not None:
        assert not tenure.lanes
        run.succeed()
    assert tenure.ledger.incomplete_count == 0


def test_a_run_whose_handlers_wait_is_short_where_another_partition_waits() -> None:
    core = new_core()
    for partition in (P0, P1):
        assign(core, partition)
        core.records(records(partition, dict(enumerate(KEYS))), 0.0)
    runs = [started(core), started(core)]
    assert {run.tenure.partition for run in runs} == {P0, P1}
    assert all(count <= RUN_WAITS_MAX + 1 for count in lengths(*runs))


def test_the_same_of_a_run_through_a_lane() -> None:
    core = new_core()
    for partition, keys in ((P0, [b"a"] * len(KEYS)), (P1, KEYS), (P2, KEYS)):
        assign(core, partition)
        core.records(records(partition, dict(enumerate(keys))), 0.0)
    first, other = started(core), started(core)
    assert (first.tenure.partition, other.tenure.partition) == (P0, P1)
    runs = [started(core) for _ in range(2)]  # one of them sets aside what waits behind the first
    first.succeed()
    assert first.offset is None
    lane = next(run for run in (started(core) for _ in range(3)) if run.tenure.partition == P0)
    assert lane.offset == 1
    assert lengths(lane, *runs)[0] <= RUN_WAITS_MAX + 1


def test_a_run_whose_handlers_wait_goes_on_where_nobody_else_does() -> None:
    core, _ = core_with(KEYS)
    assert sum(lengths(started(core), started(core))) == len(KEYS)


@pytest.mark.parametrize("order", [Order.UNORDERED, Order.KEY])
def test_records_without_order_never_wait_for_each_other(order: Order) -> None:
    core, _ = core_with([None] * 5, order=order)
    assert [started(core).offset for _ in range(5)] == [0, 1, 2, 3, 4]


def test_a_cancelled_record_comes_before_those_that_waited_behind_it() -> None:
    core, _ = core_with([b"a", b"a", b"b"])
    first, second = started(core), started(core)
    assert second.offset == 2
    first.be_cancelled()
    assert handle_all(core) == [0, 1]
    second.succeed_all()
    assert core.handled == 3
