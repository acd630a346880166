"""Fetched records into lanes: keys, holes, restored offsets, maps of other logs, rewinds, lane functions that raise."""

from __future__ import annotations

import logging
from collections.abc import Hashable
from typing import Any, cast

import pytest

from tests.core.support import (
    P0,
    P1,
    FakeRun,
    assign,
    commit_all,
    core_with,
    handle_all,
    new_core,
    record,
    records,
    started,
)
from trio_consumer.client.port import Assigned, Committed, Records
from trio_consumer.config import Order
from trio_consumer.core.intake import ARRIVALS_MAX
from trio_consumer.core.lanes import RUN_RECORDS_MAX
from trio_consumer.core.offset_map import encode
from trio_consumer.core.picture import picture
from trio_consumer.core.retries import Decision
from trio_consumer.record import Partition, Record


def lanes_of(keys: list[bytes | None], **options: Any) -> tuple[set[tuple[int, ...]], set[int]]:
    """Offsets that share a lane, and those without order, by the lanes that runs take."""
    core, _ = core_with(keys, **options)
    alone: set[int] = set()
    shared: dict[Hashable, list[int]] = {}
    run = FakeRun(core)
    while run.start() is not None:
        while run.offset is not None:
            if isinstance(run.key, Record):
                alone.add(run.offset)
            else:
                shared.setdefault(run.key, []).append(run.offset)
            run.succeed()
    return {tuple(offsets) for offsets in shared.values()}, alone


def first_letter(one: Record) -> Hashable:
    return one.key[:1] if one.key else None


KEYS = [b"ax", b"b", None, b"ay", b"b", None]


@pytest.mark.parametrize(
    ("options", "serial", "loose"),
    [
        ({}, {(0,), (1, 4), (3,)}, {2, 5}),
        ({"null_key": "partition"}, {(0,), (1, 4), (3,), (2, 5)}, set()),
        ({"order": Order.PARTITION}, {(0, 1, 2, 3, 4, 5)}, set()),
        ({"order": Order.PARTITION, "null_key": "partition"}, {(0, 1, 2, 3, 4, 5)}, set()),
        ({"order": Order.UNORDERED}, set(), {0, 1, 2, 3, 4, 5}),
        ({"order": Order.UNORDERED, "null_key": "partition"}, set(), {0, 1, 2, 3, 4, 5}),
        ({"order": first_letter}, {(0, 3), (1, 4)}, {2, 5}),
        ({"order": first_letter, "null_key": "partition"}, {(0, 3), (1, 4), (2, 5)}, set()),
    ],
)
def test_lanes_by_order(options: dict[str, Any], serial: set[tuple[int, ...]], loose: set[int]) -> None:
    assert lanes_of(KEYS, **options) == (serial, loose)


def test_the_same_key_in_two_partitions_is_two_lanes() -> None:
    core = new_core()
    core.assigned(Assigned({P0: Committed(), P1: Committed()}))
    batch = [record(0), record(0, partition=P1), record(1), record(1, partition=P1)]
    core.records(Records(batch, {P0: 2, P1: 2}, {}), 0.0)
    runs = [started(core), started(core)]
    assert {run.tenure.partition for run in runs} == {P0, P1}
    assert FakeRun(core).start() is None


def test_partitions_of_one_number_in_two_topics_are_told_apart() -> None:
    """Side by side in one batch, and with offsets that would go on from each other."""
    core, other = new_core(), Partition("refunds", P0.number)
    core.assigned(Assigned({P0: Committed(), other: Committed()}))
    batch = [record(0), record(1), record(2, partition=other), record(3, partition=other)]
    core.records(Records(batch, {P0: 2, other: 4}, {}), 0.0)
    assert [core.tenures[one].ledger.position for one in (P0, other)] == [2, 4]
    assert [[one.offset for one in core.tenures[of].fresh] for of in (P0, other)] == [[0, 1], [2, 3]]


@pytest.mark.parametrize("key", [b"a", None])
def test_records_that_come_later_join_their_lane(key: bytes | None) -> None:
    core, _ = core_with([key])
    core.records(records(P0, {1: key}), 0.0)
    assert handle_all(core) == [0, 1]
    core.records(records(P0, {2: key}), 0.0)
    assert handle_all(core) == [2]


def test_holes_and_a_first_offset_above_zero() -> None:
    core = new_core()
    assign(core)
    core.records(records(P0, {700: b"a", 703: b"b", 704: b"a"}, position=710), 0.0)
    run, other = started(core), started(core)
    run.succeed_all()
    assert commit_all(core)[P0][0] == 703
    other.succeed_all()
    handle_all(core)
    assert commit_all(core) == {P0: (710, "")}


def test_positions_alone_move_the_commit() -> None:
    """Markers and aborted records at the end of a partition bring no record."""
    core = new_core()
    assign(core, committed=Committed(5))
    core.records(Records([], {P0: 9}, {P0: 9}), 0.0)
    assert commit_all(core) == {P0: (9, "")}


def test_what_comes_without_a_tenure_is_dropped() -> None:
    core = new_core()
    core.records(records(P0, {0: b"a"}, end=1), 0.0)
    assert core.queued() == 0
    assert not core.tenures


def test_what_comes_while_a_tenure_closes_is_dropped_and_not_committed() -> None:
    core, tenure = core_with([b"a"])
    core.close([P0])
    core.records(records(P0, {1: b"a", 2: b"a"}), 0.0)
    started_before_the_end = core.commits.snapshot([tenure])
    assert started_before_the_end is not None
    assert started_before_the_end.offsets[P0].offset == 0
    assert tenure.ledger.incomplete_count == 1
    tenure.ledger.complete(0)
    plan = core.commits.snapshot([tenure])
    assert plan is not None
    assert plan.offsets[P0].offset == 1


# Offset maps


def test_restored_offsets_are_not_handled_again() -> None:
    core = new_core()
    text = encode(10, ((12, 14), (15, 16)), 4095).text
    tenure = assign(core, committed=Committed(10, text))
    core.records(records(P0, dict.fromkeys(range(10, 17), b"a"), end=17), 0.0)
    assert core.restored == 3
    assert handle_all(core) == [10, 11, 14, 16]
    assert core.handled == 4
    assert commit_all(core) == {P0: (17, "")}
    assert tenure.queued == 0


def test_a_map_that_reaches_beyond_the_log_end_is_not_of_this_log(caplog: pytest.LogCaptureFixture) -> None:
    core = new_core()
    text = encode(10, ((12, 30),), 4095).text
    assign(core, committed=Committed(10, text))
    with caplog.at_level(logging.WARNING, "trio_consumer"):
        core.records(records(P0, dict.fromkeys(range(10, 15), b"a"), end=29), 0.0)
    assert handle_all(core) == [10, 11, 12, 13, 14]
    assert (core.restored, core.maps_refused) == (0, 1)
    assert "orders[0]" in caplog.text
    assert "it ends at 30, the log at 29" in caplog.text


@pytest.mark.parametrize("end", [30, 31, None])
def test_a_map_that_ends_with_the_log_is_believed(end: int | None) -> None:
    core = new_core()
    assign(core, committed=Committed(10, encode(10, ((12, 30),), 4095).text))
    core.records(records(P0, dict.fromkeys(range(10, 15), b"a"), end=end), 0.0)
    assert handle_all(core) == [10, 11]


# A log that goes back


def test_offsets_that_go_back_begin_a_new_tenure(caplog: pytest.LogCaptureFixture) -> None:
    core, tenure = core_with([b"a", b"a", b"b"])
    run = started(core)
    core.begun.clear()
    with caplog.at_level(logging.WARNING, "trio_consumer"):
        core.records(records(P0, {0: b"a", 1: b"b"}, end=2), 1.0)
    fresh = core.tenures[P0]
    assert core.begun == [fresh]
    assert core.ended == [tenure]
    assert run.cancels == 1
    assert core.lost == 1
    assert "its offsets went back" in caplog.text
    assert (fresh.ledger.position, fresh.end) == (2, 2)
    # The lane of the run that has not left yet waits for it.
    assert handle_all(core) == [1]
    assert commit_all(core)[P0][0] == 0
    run.be_cancelled()
    assert handle_all(core) == [0]
    assert commit_all(core) == {P0: (2, "")}


def test_what_was_not_done_below_where_a_log_goes_back_is_fetched_again() -> None:
    """The new tenure would begin at the rewound offset, and its first commit would pass what the old one still had."""
    core, tenure = core_with([b"a", b"b", b"c", b"d", b"e"])
    runs = [started(core) for _ in range(5)]
    for offset in (0, 1, 3):
        runs[offset].succeed()
    assert commit_all(core)[P0][0] == 2
    core.records(records(P0, dict.fromkeys((4, 5), b"new"), end=6), 1.0)
    fresh = core.tenures[P0]
    assert (core.ended, core.seeks) == ([tenure], {P0: 2})
    assert commit_all(core).get(P0, (2, ""))[0] == 2
    runs[2].be_cancelled()
    runs[4].be_cancelled()
    core.records(records(P0, {6: b"new"}), 1.0)  # on its way before the client was told
    assert handle_all(core) == []
    assert fresh.ledger.position is None
    core.seeks.clear()
    core.records(records(P0, {2: b"c", 3: b"d", 4: b"new", 5: b"new"}), 2.0)
    assert handle_all(core) == [2, 3, 4, 5]  # 3 was done, but nobody tells whether the log went back below it
    assert commit_all(core) == {P0: (6, "")}


@pytest.mark.parametrize("fetched", [(2, 3, 0, 1), (2, 9, 0, 5, 20), (2, 100, 0, 7), (2, 10, 1, 5)])
def test_a_log_may_go_back_within_a_batch(fetched: tuple[int, ...]) -> None:
    """Two fetches can be one batch. What the log is now comes last."""
    core, tenure = core_with([b"a", b"b"])
    assert handle_all(core) == [0, 1]
    batch = [record(offset, None) for offset in fetched]
    core.records(Records(batch, {P0: fetched[-1] + 1}, {}), 1.0)
    assert core.ended == [tenure]
    assert tuple(handle_all(core)) == fetched[2:]
    assert commit_all(core) == {P0: (fetched[-1] + 1, "")}


@pytest.mark.parametrize("fetched", [(2, 3, 1, 2), (1, 2, 0), (2, 100, 3, 5), (2, 5, 5, 7)])
def test_a_log_that_goes_back_within_a_batch_above_what_is_to_be_done_is_fetched_again(
    fetched: tuple[int, ...],
) -> None:
    core, _ = core_with([b"a", b"b"])
    batch = [record(offset, None) for offset in fetched]
    core.records(Records(batch, {P0: 3}, {}), 1.0)
    assert core.seeks == {P0: 0}
    assert handle_all(core) == []


def test_a_loss_ends_the_wish_to_fetch_again() -> None:
    core, _ = core_with([b"a", b"b", b"c"])
    core.records(records(P0, {1: b"b"}), 1.0)
    assert core.seeks == {P0: 0}
    core.end(core.tenures[P0], lost=True)
    assert core.seeks == {}


def test_a_log_that_begins_below_the_committed_offset_is_replayed() -> None:
    core = new_core()
    assign(core, committed=Committed(10, encode(10, ((12, 14),), 4095).text))
    core.records(records(P0, dict.fromkeys(range(3, 15), b"a")), 0.0)
    assert handle_all(core) == list(range(3, 15))
    assert commit_all(core) == {P0: (15, "")}


# Lane functions that raise


class Picky:
    """A lane function that has no lane for some keys: it raises, or names one that can't be hashed."""

    def __call__(self, one: Record) -> Hashable:
        if one.key == b"bad":
            raise LookupError(one.offset)
        if one.key == b"unhashable":
            return cast("Hashable", [])
        return cast("Hashable", one.key)


@pytest.mark.parametrize(("key", "error"), [(b"bad", LookupError), (b"unhashable", TypeError)])
def test_a_record_without_a_lane_fails_each_attempt_with_that_error(key: bytes, error: type[Exception]) -> None:
    core, tenure = core_with([b"a", key, b"a", key], order=Picky(), attempts=2, exhausted="skip")
    runs = [started(core) for _ in range(3)]
    assert [run.offset for run in runs] == [0, 1, 3]
    for _ in range(2):
        for run in runs[1:]:
            assert run.record is not None
            with pytest.raises(error) as caught:
                core.raise_if_broken(run.record)
            run.fail(caught.value)
        core.unpark(1.0)
        runs[1:] = [run for run in (FakeRun(core), FakeRun(core)) if run.start() is not None]
    assert core.skipped == 2
    assert not tenure.broken
    core.raise_if_broken(record(0))
    runs[0].succeed_all()
    handle_all(core)
    assert core.handled == 2
    assert commit_all(core) == {P0: (4, "")}


def test_records_without_a_tenure_are_not_broken() -> None:
    new_core(order=Picky()).raise_if_broken(record(0, b"bad"))


def test_a_lane_function_that_raises_halts_when_attempts_are_exhausted() -> None:
    core, _ = core_with([b"bad"], order=Picky(), attempts=1)
    assert started(core).fail(LookupError("x")) is Decision.HALT
    assert [failure.offset for failure in core.failures] == [0]


# What is kept of old batches


def test_the_age_of_the_blocking_record_while_one_lane_is_stuck_for_very_long() -> None:
    core = new_core()
    tenure = assign(core)
    core.records(records(P0, {0: b"stuck"}), 0.0)
    stuck = started(core)
    last = 3 * ARRIVALS_MAX
    for offset in range(1, last + 1):
        core.records(records(P0, {offset: b"other"}), float(offset))
        if offset < last:
            handle_all(core)
        assert len(tenure.arrivals) <= ARRIVALS_MAX

    def age() -> float:
        blocking = picture(core, 5_000.0, client_errors={}, revokes_overrun=0).partitions[P0].blocking
        assert blocking is not None
        return blocking.age

    assert age() == 5_000
    stuck.succeed()
    assert age() == 5_000 - last


def test_arrivals_are_forgotten_with_what_is_committable() -> None:
    core = new_core()
    tenure = assign(core)
    for offset in range(100):
        core.records(records(P0, {offset: b"k"}), float(offset))
        handle_all(core)
    assert len(tenure.arrivals) <= 2


def test_a_long_lane_is_handled_in_several_runs() -> None:
    core, _ = core_with([b"k"] * (2 * RUN_RECORDS_MAX + 1))
    assert handle_all(core) == list(range(2 * RUN_RECORDS_MAX + 1))
