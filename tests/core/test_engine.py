"""The core's decisions one by one: tenures and their fence, retries, what the user paused, the flow of fetching."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Collection
from typing import Any

import pytest

from tests.core.support import (
    BOOM,
    P0,
    P1,
    P2,
    FakeRun,
    assign,
    commit_all,
    core_with,
    handle_all,
    new_core,
    records,
    started,
)
from trio_consumer.client.port import Assigned, Commit, Committed
from trio_consumer.config import Order
from trio_consumer.core.engine import Core, UserPause
from trio_consumer.core.lanes import RUN_RECORDS_MAX
from trio_consumer.core.offset_map import encode
from trio_consumer.core.retries import Backoff, Decision
from trio_consumer.core.tenures import TenureState
from trio_consumer.record import Partition, Record


def refetch(core: Core, *keys: bytes | None) -> None:
    """A new tenure of the partition, which fetches from the start again."""
    assign(core)
    core.records(records(P0, dict(enumerate(keys))), 0.0)


# Tenures


def test_each_tenure_has_a_number_of_its_own() -> None:
    core = new_core()
    core.assigned(Assigned({P0: Committed(), P1: Committed(7)}))
    assert [(tenure.number, tenure.committed) for tenure in core.begun] == [(1, None), (2, 7)]
    assert core.tenures_begun == 2
    core.end(core.tenures[P0])
    assert assign(core).number == 3
    assert core.lost == 0


@pytest.mark.parametrize(
    ("committed", "reason"),
    [
        (Committed(5, "somebody else's"), "foreign"),
        (Committed(5, encode(6, ((8, 9),), 4095).text), "moved"),
        (Committed(None, "", "UNKNOWN"), "UNKNOWN"),
    ],
)
def test_a_map_that_cannot_be_used_means_replay(
    committed: Committed, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    core = new_core()
    with caplog.at_level(logging.WARNING, "trio_consumer"):
        assign(core, committed=committed)
    assert core.maps_refused == 1
    assert len(caplog.records) == 1
    assert reason in caplog.text
    core.records(records(P0, dict.fromkeys(range(5, 10), b"a")), 0.0)
    assert handle_all(core) == [5, 6, 7, 8, 9]


@pytest.mark.parametrize("committed", [Committed(), Committed(5), Committed(None, "text without an offset")])
def test_no_map_is_no_reason_to_complain(committed: Committed, caplog: pytest.LogCaptureFixture) -> None:
    core = new_core()
    assign(core, committed=committed)
    assert core.maps_refused == 0
    assert not caplog.records


def test_a_second_assignment_ends_the_first_tenure(caplog: pytest.LogCaptureFixture) -> None:
    core, tenure = core_with([b"a"])
    run = started(core)
    with caplog.at_level(logging.WARNING, "trio_consumer"):
        assert assign(core) is not tenure
    assert tenure.state is TenureState.ENDED
    assert run.cancels == 1
    assert core.lost == 1
    assert "assigned twice" in caplog.text


def test_nothing_starts_once_a_revoke_has_begun() -> None:
    core, tenure = core_with([b"a", b"a", b"b"])
    run = started(core)
    assert core.close([P0, P1]) == [tenure]
    assert tenure.state is TenureState.CLOSING
    assert FakeRun(core).start() is None
    assert run.succeed() is None
    assert FakeRun(core).start() is None
    core.reopen(tenure)
    assert FakeRun(core).start() is None


def test_what_ends_while_a_tenure_closes_counts_until_it_ends() -> None:
    core, tenure = core_with([b"a", b"b", b"c"])
    first, second, third = (started(core) for _ in range(3))
    core.close([P0])
    first.succeed()
    plan = core.commits.snapshot([tenure])
    assert plan is not None
    assert plan.offsets == {P0: Commit(1)}
    second.fail(now=5.0)
    core.end(tenure)
    third.succeed()
    assert core.handled == 1
    assert not core.commits.pending
    assert core.running == []
    assert core.retry_due_at() is None


def test_the_end_of_a_tenure_cancels_its_runs_once_and_forgets_all() -> None:
    core, tenure = core_with([b"a", b"b"])
    runs = [started(core), started(core)]
    core.end(tenure, lost=True)
    core.end(tenure, lost=True)
    assert [run.cancels for run in runs] == [1, 1]
    assert (core.lost, core.ended, core.tenures) == (1, [tenure], {})
    assert core.running == runs
    assert core.commits.plan(0.0) is None
    runs[0].be_cancelled()
    runs[1].fail()
    assert core.running == []
    assert not core.failures
    assert (core.cancelled_attempts, core.failed_attempts) == (1, 1)


def test_a_stale_outcome_neither_completes_nor_blocks_a_fresh_record() -> None:
    core, tenure = core_with([b"a"], attempts=1)
    stale = started(core)
    core.end(tenure, lost=True)
    refetch(core, b"a")
    assert stale.fail() is None
    assert not core.failures
    assert commit_all(core) == {P0: (0, "")}
    assert handle_all(core) == [0]


def test_the_end_of_an_old_tenure_leaves_the_new_one_alone() -> None:
    core, tenure = core_with([b"a"])
    core.close([P0])
    fresh = assign(core)
    core.end(tenure)
    assert core.tenures == {P0: fresh}


@pytest.mark.parametrize("hooked", [False, True])
def test_a_tenure_is_held_until_its_start_hook_has_returned(hooked: bool) -> None:
    async def hook(partition: Partition) -> None: ...

    core, tenure = core_with([b"a"], **({"tenure_start": hook} if hooked else {}))
    assert tenure.held is hooked
    assert (FakeRun(core).start() is None) is hooked
    if hooked:
        tenure.held = False
        core.reopen(tenure)
        assert handle_all(core) == [0]


def test_nothing_starts_once_the_consumer_stops() -> None:
    core, _ = core_with([b"a", b"b"])
    run = started(core)
    core.stop()
    assert FakeRun(core).start() is None
    run.succeed_all()
    assert core.handled == 1
    refetch(core, b"a")
    assert FakeRun(core).start() is None
    assert core.flow() == ([P0], [])


# Lanes across tenures


@pytest.mark.parametrize("leave", [FakeRun.succeed, FakeRun.fail, FakeRun.be_cancelled])
@pytest.mark.parametrize(
    ("options", "key", "blocked"),
    [
        ({}, b"a", True),
        ({}, None, False),
        ({"null_key": "partition"}, None, True),
        ({"order": Order.PARTITION}, b"a", True),
        ({"order": Order.UNORDERED}, b"a", False),
    ],
)
def test_a_lane_outlives_its_tenure_until_its_handler_has_left(
    leave: Any, options: dict[str, Any], key: bytes | None, blocked: bool
) -> None:
    core, tenure = core_with([key, key], **options)
    stuck = started(core)
    core.end(tenure, lost=True)
    refetch(core, key, key)
    assert core.blocked(P0, key if options.get("order") is None else None) is blocked
    assert (handle_all(core) == []) is blocked
    leave(stuck)
    assert handle_all(core) == ([0, 1] if blocked else [])


def test_other_lanes_and_partitions_do_not_wait_for_a_stuck_one() -> None:
    core, tenure = core_with([b"a"])
    started(core)
    core.end(tenure, lost=True)
    assign(core, P1)
    core.records(records(P1, {0: b"a"}), 0.0)
    refetch(core, b"b", b"a", b"b")
    assert handle_all(core) == [0, 0, 2]


def test_a_stuck_handler_blocks_its_lane_over_several_tenures() -> None:
    core, tenure = core_with([b"a"])
    stuck = started(core)
    for _ in range(3):
        core.end(core.tenures[P0], lost=True)
        refetch(core, b"a")
        assert FakeRun(core).start() is None
    stuck.be_cancelled()
    assert handle_all(core) == [0]
    assert tenure.runs == {}


def test_a_run_that_leaves_while_its_partition_is_away_blocks_nobody_later() -> None:
    core, tenure = core_with([b"a"])
    stuck = started(core)
    core.end(tenure)
    stuck.succeed()
    refetch(core, b"a")
    assert handle_all(core) == [0]


def test_records_without_a_lane_do_not_block_the_lane_of_null_keys() -> None:
    """They have no key either, and their runs are no reason to free it."""

    def order(one: Record) -> object:
        if one.key == b"bad":
            raise LookupError
        return one.key

    core, tenure = core_with([None, b"bad"], order=order, null_key="partition")
    stuck, broken = started(core), started(core)
    core.end(tenure, lost=True)
    refetch(core, None, b"x")
    broken.fail()
    assert handle_all(core) == [1]
    stuck.be_cancelled()
    assert handle_all(core) == [0]


# Failed attempts


@pytest.mark.parametrize("key", [b"k", None])
def test_a_failed_record_is_tried_again_after_its_pause_and_before_its_lane(key: bytes | None) -> None:
    core, _ = core_with([key] * 3, attempts=3)
    run = started(core)
    run.succeed()
    assert run.fail(now=10.0) is Decision.RETRY
    if key is None:
        assert handle_all(core) == [2]
    assert FakeRun(core).start() is None
    assert core.retry_due_at() == 11.0
    core.unpark(10.9)
    assert FakeRun(core).start() is None
    core.unpark(11.0)
    assert core.retry_due_at() is None
    run = started(core)
    assert run.record is not None
    assert (run.offset, run.record.attempt) == (1, 2)
    run.succeed_all()
    handle_all(core)
    assert (core.handled, core.failed_attempts) == (3, 1)
    assert commit_all(core) == {P0: (3, "")}


def test_a_retry_is_the_same_record_with_another_attempt() -> None:
    core = new_core()
    assign(core)
    event = records(P0, {0: b"k"})
    event.records[0].headers, event.records[0].timestamp = [("name", b"x")], 123
    core.records(event, 0.0)
    run = started(core)
    run.fail()
    core.unpark(1.0)
    again = started(core).record
    assert again is not None
    names = ("topic", "partition", "offset", "key", "value", "headers", "timestamp")
    assert [getattr(again, name) for name in names] == [getattr(event.records[0], name) for name in names]
    assert (event.records[0].attempt, again.attempt) == (1, 2)


@pytest.mark.parametrize("key", [b"k", None])
def test_attempts_are_counted_in_the_tenure_and_the_last_one_halts(key: bytes | None) -> None:
    core, _ = core_with([key], attempts=3)
    for attempt in (1, 2, 3):
        core.unpark(float("1e9"))
        run = started(core)
        assert run.record is not None
        assert run.record.attempt == attempt
        assert run.fail(BOOM, now=0.0) is (Decision.HALT if attempt == 3 else Decision.RETRY)
    [failure] = core.failures
    assert (failure.partition, failure.offset, failure.attempts, failure.__cause__) == (P0, 0, 3, BOOM)
    assert commit_all(core) == {P0: (0, "")}


@pytest.mark.parametrize("key", [b"k", None])
def test_an_exhausted_record_is_not_tried_again_while_the_consumer_is_halting(key: bytes | None) -> None:
    """Zero retries means one attempt, also without a pause between attempts."""
    core, _ = core_with([key, key], attempts=1, backoff=Backoff(first=0))
    assert started(core).fail() is Decision.HALT
    core.unpark(1e9)
    assert handle_all(core) == ([1] if key is None else [])
    assert len(core.failures) == 1


@pytest.mark.parametrize("key", [b"k", None])
def test_an_exhausted_record_is_skipped_with_a_log_line(key: bytes | None, caplog: pytest.LogCaptureFixture) -> None:
    core, _ = core_with([key, key], attempts=1, exhausted="skip")
    with caplog.at_level(logging.WARNING, "trio_consumer"):
        assert started(core).fail(BOOM) is Decision.SKIP
    [line] = caplog.records
    assert line.getMessage() == "orders[0]@0 skipped after 1 attempts"
    assert line.exc_info is not None
    assert line.exc_info[1] is BOOM
    assert commit_all(core) == {P0: (1, "")}
    assert handle_all(core) == [1]
    assert (core.skipped, core.handled) == (1, 1)
    assert not core.failures


def test_what_a_run_resolved_before_it_failed_counts() -> None:
    core, tenure = core_with([b"k"] * 5)
    run = started(core)
    run.succeed()
    run.succeed()
    run.fail()
    assert (core.handled, tenure.ledger.head) == (2, 2)
    core.unpark(1.0)
    assert handle_all(core) == [2, 3, 4]


def test_cancellation_is_neither_success_nor_failure() -> None:
    core, _ = core_with([b"k"] * 3)
    run = started(core)
    run.succeed()
    run.be_cancelled()
    assert (core.handled, core.cancelled_attempts, core.failed_attempts) == (1, 1, 0)
    assert commit_all(core) == {P0: (1, "")}
    run = started(core)
    assert run.record is not None
    assert (run.offset, run.record.attempt) == (1, 1)


def test_a_cancelled_record_without_order_is_the_first_to_run_again() -> None:
    core, _ = core_with([None] * 3)
    started(core).be_cancelled()
    assert handle_all(core) == [0, 1, 2]


def test_parked_lanes_become_ready_in_the_order_of_their_times() -> None:
    core, _ = core_with([b"a", b"b", b"c"], backoff=Backoff(first=1, factor=3, jitter=0))
    runs = [started(core) for _ in range(3)]
    runs[2].fail(now=0.0)
    runs[0].fail(now=2.0)
    runs[1].fail(now=1.0)
    due = []
    while (at := core.retry_due_at()) is not None:
        core.unpark(at)
        due.append((at, started(core).offset))
    assert due == [(1.0, 2), (2.0, 1), (3.0, 0)]


def test_lanes_parked_in_a_tenure_that_ended_are_forgotten() -> None:
    core, tenure = core_with([b"a", b"b"])
    started(core).fail(now=0.0)
    assign(core, P1)
    core.records(records(P1, {0: b"a"}), 0.0)
    handle_all(core)
    core.records(records(P1, {1: b"a"}), 0.0)
    started(core).fail(now=5.0)
    core.end(tenure)
    assert core.retry_due_at() == 6.0
    core.unpark(1e9)
    assert handle_all(core) == [1]


def test_a_parked_lane_of_an_ended_tenure_does_not_wake_at_its_time() -> None:
    core, tenure = core_with([b"a"])
    started(core).fail(now=0.0)
    core.end(tenure)
    core.unpark(1e9)
    assert FakeRun(core).start() is None


def test_a_run_takes_a_bounded_part_of_a_lane() -> None:
    core, _ = core_with([b"k"] * (RUN_RECORDS_MAX + 1))
    run = started(core)
    for _ in range(RUN_RECORDS_MAX - 1):
        assert run.succeed() is not None
    assert run.succeed() is None
    assert handle_all(core) == [RUN_RECORDS_MAX]


# What the user paused


def naive(calls: Collection[tuple[bool, tuple[Partition, ...] | None]]) -> dict[Partition, bool]:
    state = dict.fromkeys((P0, P1, P2), False)
    for paused, partitions in calls:
        for partition in state if partitions is None else partitions:
            state[partition] = paused
    return state


CALLS = [(paused, named) for paused in (True, False) for named in (None, (P0,), (P1,), (P0, P1), ())]


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4])
def test_every_sequence_of_pauses(length: int) -> None:
    for calls in itertools.product(CALLS, repeat=length):
        pause = UserPause()
        for paused, partitions in calls:
            (pause.pause if paused else pause.resume)(partitions)
        assert {partition: pause.covers(partition) for partition in (P0, P1, P2)} == naive(calls), calls


def test_a_paused_partition_starts_nothing_and_fetches_nothing() -> None:
    core, _ = core_with([b"a", b"a", b"b"])
    run = started(core)
    core.user_pause.pause([P0])
    core.reopen_all()
    assert core.flow() == ([P0], [])
    assert core.flow() == ([], [])
    assert run.succeed() is None
    assert FakeRun(core).start() is None
    core.user_pause.resume(None)
    core.reopen_all()
    assert core.flow() == ([], [P0])
    assert handle_all(core) == [1, 2]


def test_a_pause_holds_across_tenures_and_the_client_is_told_in_each() -> None:
    """Clients remember it across assignments, and no call reads it back; one just after a loss was ignored."""
    core, tenure = core_with([b"a"])
    core.user_pause.pause(None)
    core.reopen_all()
    assert core.flow() == ([P0], [])
    core.end(tenure)
    assert core.flow() == ([], [])
    refetch(core, b"a")
    assert FakeRun(core).start() is None
    assert core.flow() == ([P0], [])
    assert core.flow() == ([], [])
    core.end(core.tenures[P0])
    core.user_pause.resume(None)
    core.reopen_all()
    assert core.flow() == ([], [])
    refetch(core, b"a")
    assert core.flow() == ([], [P0])
    assert handle_all(core) == [0]


def test_a_parked_lane_stays_parked_while_its_partition_is_paused() -> None:
    core, _ = core_with([b"a"])
    started(core).fail(now=0.0)
    core.user_pause.pause(None)
    core.reopen_all()
    core.unpark(1.0)
    assert core.retry_due_at() is None
    assert FakeRun(core).start() is None
    core.user_pause.resume(None)
    core.reopen_all()
    assert started(core).offset == 0
