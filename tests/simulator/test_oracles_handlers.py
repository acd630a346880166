"""Oracles of handlers and deliveries: order, the fence, limits, repeats. Legal stories near the border, too."""

from __future__ import annotations

import pytest

from simulator.world import history as h
from trio_consumer import Partition

from .story import A, B, P0, P1, Story, map_of, owner

K = {offset: b"k" for offset in range(9)}
"""All records have one key."""


def lane(*oracles: str, records: int = 4, **expectations: object) -> Story:
    """As `owner`, with one key for all records."""
    story = Story(*oracles, **expectations)
    story.produce(*range(records), keys=K)
    story.assign(A)
    story.deliver(A, *range(records), end=records)
    return story


# order


def test_a_lane_runs_one_record_after_the_other() -> None:
    story = lane("order")
    story.handle(A, 0, 1, key=b"k")
    story.handle(A, 2, key=b"k", outcome="failed")
    story.handle(A, 2, 3, key=b"k")
    assert story.found == []


def test_a_lane_does_not_overlap() -> None:
    story = lane("order")
    story.start(A, 0)
    story.start(A, 0)
    assert "while orders[0]@0 of its lane runs" in story.texts


@pytest.mark.parametrize(
    ("key", "expectations", "legal"),
    [
        (b"k", {}, False),
        (b"other", {}, True),
        (None, {}, True),
        (b"other", {"order": "partition"}, False),
        (b"k", {"order": "unordered"}, True),
    ],
)
def test_which_records_share_a_lane(key: bytes | None, expectations: dict[str, str], legal: bool) -> None:
    story = Story("order", **expectations)
    story.produce(0, 1, keys={0: b"k", 1: key})
    story.assign(A)
    story.deliver(A, 0, 1)
    story.start(A, 0)
    story.start(A, 1, key=key)
    assert (not story.found) is legal


def test_records_without_a_key_share_a_lane_if_they_are_to() -> None:
    for null_key, legal in (("unordered", True), ("partition", False)):
        story = Story("order", null_key=null_key)
        story.produce(0, 1, keys={0: None, 1: None})
        story.assign(A)
        story.deliver(A, 0, 1)
        story.handle(A, 1, key=None)
        assert (not story.found) is legal, null_key


def test_a_lane_does_not_go_back() -> None:
    story = lane("order")
    story.handle(A, 0, 1, key=b"k")
    story.handle(A, 0, key=b"k")
    assert story.found == ["order"]


@pytest.mark.parametrize("outcome", ["failed", "cancelled"])
def test_a_lane_does_not_run_ahead_of_what_is_not_resolved(outcome: str) -> None:
    story = lane("order")
    story.handle(A, 0, key=b"k", outcome=outcome)
    story.handle(A, 1, key=b"k")
    assert story.found == ["order", "order"]  # in the tenure, and in the log


def test_a_lane_goes_on_after_what_was_skipped() -> None:
    story = lane("order", attempts=1, exhausted="skip")
    story.handle(A, 0, key=b"k", outcome="failed")
    story.handle(A, 1, key=b"k")
    assert story.found == []


def test_across_a_rebalance_a_lane_may_replay_and_not_run_ahead() -> None:
    story = lane("order")
    story.handle(A, 0, 1, key=b"k")
    story.lose(A)
    story.assign(B, 0)
    story.deliver(B, 0, 1, 2, 3)
    story.handle(B, 0, 1, 2, key=b"k")
    assert story.found == []
    story.lose(B)
    story.assign(A, 0)
    story.deliver(A, 0, 1, 2, 3)
    story.handle(A, 2, 3, key=b"k")
    assert story.found == []  # replaying may begin anywhere in what was handled
    story.handle(A, 0, key=b"k")
    assert story.found == ["order"]


def test_a_lane_of_an_earlier_tenure_still_runs_in_this_process() -> None:
    story = lane("order")
    old = story.start(A, 0)
    story.revoke(A)
    story.release(A)
    story.assign(A, 0)
    story.deliver(A, 0, 1)
    story.start(A, 0)
    assert story.found == ["order"]
    story.stop(old)


def test_two_processes_may_handle_a_record_at_once_if_one_does_not_know_that_it_lost_it() -> None:
    story = lane("order", "owner", "fence")
    story.fault("stall-past-session", A)
    old = story.start(A, 0)
    story.assign(B, 0)
    story.deliver(B, 0, 1)
    story.handle(B, 0, 1, key=b"k")
    story.stop(old)
    story.start(A, 1)
    assert story.found == []


def test_a_record_of_an_undecided_transaction_has_its_place_in_the_lane() -> None:
    story = Story("order")
    story.produce(0, keys=K)
    story.hidden(1, key=b"k")
    story.hidden(2)
    story.add(h.Decided(P0, (1,), True))
    story.produce(3, keys=K)
    story.assign(A)
    story.deliver(A, 0, 1, 3)
    story.handle(A, 0, key=b"k")
    story.start(A, 3)
    assert story.found == ["order"]


def test_what_is_gone_from_the_log_holds_no_lane_back() -> None:
    story = Story("order")
    story.produce(0, 1, 2, 3, keys=K)
    story.add(h.Compacted(P0, (0,)))
    story.add(h.LogStartMoved(P0, 2))
    story.assign(A)
    story.deliver(A, 2, 3)
    story.handle(A, 2, 3, key=b"k")
    assert story.found == []


# fence


def test_nothing_starts_once_the_revoke_was_delivered() -> None:
    story = owner("fence")
    running = story.start(A, 0)
    story.revoke(A)
    story.stop(running)
    assert story.found == []
    story.start(A, 1)
    assert story.found == ["fence"]


@pytest.mark.parametrize("end", ["release", "lose"])
def test_nothing_starts_after_the_end_until_the_next_assignment(end: str) -> None:
    story = owner("fence")
    story.revoke(A)
    getattr(story, end)(A)
    story.start(A, 1)
    assert story.found == ["fence"]
    story.assign(A)
    story.start(A, 1)
    assert story.found == ["fence"]


def test_other_partitions_go_on_while_one_is_revoked() -> None:
    story = owner("fence")
    story.produce(0, partition=P1)
    story.assign(A, partition=P1)
    story.deliver(A, 0, partition=P1)
    story.revoke(A, P0)
    story.start(A, 0, partition=P1)
    assert story.found == []


def test_a_late_outcome_moves_no_commit() -> None:
    story = owner("fence", "commit")
    old = story.start(A, 0)
    story.revoke(A)
    story.release(A)
    story.assign(A, 0)
    story.deliver(A, 0, 1)
    story.stop(old)
    story.ask(A, 0)
    assert story.found == []
    story.ask(A, 1)
    assert sorted(story.found) == ["commit", "fence"]


# cancelled


def revoked(**expectations: float | bool) -> tuple[Story, int]:
    given = {"cancellable": True, "grace_seconds": 0.5, "revoke_seconds": 2.0, **expectations}
    story = owner("cancelled", **given)
    call = story.start(A, 0)
    story.revoke(A)
    return story, call


def test_a_handler_may_finish_within_the_grace() -> None:
    story, call = revoked()
    story.wait(0.5)
    story.stop(call)
    story.release(A)
    assert story.found == []


def test_a_handler_does_not_run_on_after_the_grace() -> None:
    story, call = revoked()
    story.wait(0.6)
    story.stop(call)
    assert "0.1 s after orders[0] (tenure 1) was to be given back, and the grace was over" in story.texts


def test_a_partition_is_not_given_back_while_its_handlers_run() -> None:
    for seconds, cancellable, legal in (
        (0.1, False, False),
        (1.4, False, False),
        (1.5, False, True),
        (1.5, True, False),
    ):
        story, _ = revoked(cancellable=cancellable)
        story.wait(seconds)
        story.release(A)
        assert (not story.found) is legal, (seconds, cancellable)


def test_a_handler_that_ignores_its_cancellation_is_not_the_consumers_fault() -> None:
    story, call = revoked()
    story.fault("handler-ignores-cancellation", "orders[0]@0")
    story.wait(1.5)
    story.release(A)
    story.wait(0.5)
    story.stop(call)
    assert story.found == []


def test_handlers_of_a_lost_partition_are_cancelled_at_once() -> None:
    for seconds, outcome, legal in ((0, "succeeded", True), (0.1, "cancelled", True), (0.1, "succeeded", False)):
        story = owner("cancelled", cancellable=True)
        call = story.start(A, 0)
        story.lose(A)
        story.wait(seconds)
        story.stop(call, outcome)
        assert (not story.found) is legal, (seconds, outcome)


def test_a_frozen_process_cancels_when_it_can() -> None:
    story, call = revoked()
    story.add(h.ProcessFrozen(A, False), 0.1)
    story.add(h.ProcessThawed(A), 3)
    story.stop(call)
    assert story.found == []


# owner


def test_a_partition_has_one_owner() -> None:
    for kind, target, legal in (("crash", "x.1", False), ("cut", B, True), ("cut", "x.1", False), ("new", "", True)):
        story = owner("owner")
        story.fault(kind, target)
        story.assign(B)
        story.start(A, 0)
        assert (not story.found) is legal, (kind, target)


def test_an_owner_that_is_gone_owns_nothing() -> None:
    story = owner("owner")
    story.assign(B)
    story.add(h.ProcessKilled(B))
    story.start(A, 0)
    assert story.found == []


# bounds


def test_handlers_in_flight() -> None:
    story = owner("bounds", concurrency=2)
    first = story.start(A, 0, key=b"0")
    story.start(A, 1, key=b"1")
    story.stop(first)
    story.start(A, 2, key=b"2")
    assert story.found == []
    story.start(A, 3, key=b"3")
    assert story.found == ["bounds"]


def test_handlers_of_ended_tenures_count() -> None:
    story = owner("bounds", concurrency=1)
    story.start(A, 0)
    story.lose(A)
    story.assign(A)
    story.deliver(A, 0)
    story.start(A, 0)
    assert story.found == ["bounds"]


def test_records_that_wait() -> None:
    story = owner("bounds", queued_records_max=4)
    assert story.found == []
    story.produce(4, 5)
    story.start(A, 0)
    story.deliver(A, 4)
    assert story.found == []
    story.deliver(A, 5)
    assert story.found == ["bounds"]


def test_records_that_wait_in_one_partition_may_exceed_their_limit_by_what_is_on_its_way() -> None:
    story = owner("bounds", queued_records_max_per_partition=2)
    story.produce(4, 5, 6)
    story.deliver(A, 4, 5)
    assert story.found == []
    story.deliver(A, 6)
    assert story.found == ["bounds"]


def test_what_was_cancelled_waits_again() -> None:
    story = owner("bounds", records=3, queued_records_max=3)
    call = story.start(A, 0)
    story.produce(3)
    story.stop(call, "cancelled")
    story.deliver(A, 3)
    assert story.found == []


def test_an_offset_map_has_a_limit() -> None:
    text = map_of(0, (1, 2))
    story = owner("bounds", offset_map_characters_max=len(text))
    story.ask(A, 0, text)
    assert story.found == []
    story.ask(A, 0, text + "=")
    assert story.found == ["bounds"]


@pytest.mark.parametrize("field", ["in_flight", "queued_records", "queued_bytes", "map_characters", "parked_records"])
def test_what_a_consumer_says_about_its_bounds(field: str) -> None:
    limits = {"concurrency": 3, "queued_records_max": 8, "offset_map_characters_max": 60, "queued_bytes_max": 100}
    story = owner("bounds", record_bytes_max=10, **limits)
    most = {"in_flight": 3, "queued_records": 8, "queued_bytes": 120, "map_characters": 60, "parked_records": 16}
    story.add(h.Sampled(A, **most))
    assert story.found == []
    story.add(h.Sampled(A, **{**most, field: most[field] + 1}))
    assert story.found == ["bounds"]


def test_a_pause_stops_deliveries_but_for_what_is_on_its_way() -> None:
    story = owner("bounds", records=2, queued_records_max=100_000, queued_records_max_per_partition=1)
    story.handle(A, 0, 1)
    story.produce(2, 3, 4, 5)
    story.add(h.FetchPaused(A, (P0,)))
    story.deliver(A, 2, 3)
    story.handle(A, 2, 3)
    assert story.found == []
    story.deliver(A, 4)
    assert story.found == ["bounds"]
    story.add(h.FetchResumed(A, (P0,)))
    story.deliver(A, 5)
    assert story.found == ["bounds"]


def test_a_pause_ends_with_its_tenure() -> None:
    story = owner("bounds", records=3, queued_records_max_per_partition=1)
    story.add(h.FetchPaused(A, (P0,)))
    story.lose(A)
    story.assign(A)
    story.deliver(A, 0, 1, 2)
    assert story.found == []


# attempts


def test_attempts_are_counted_within_a_tenure() -> None:
    story = owner("attempts", attempts=3)
    story.handle(A, 0, outcome="failed")
    story.handle(A, 0, attempt=2, outcome="cancelled")
    story.handle(A, 0, attempt=2, outcome="failed")
    story.handle(A, 0, attempt=3, outcome="failed")
    story.lose(A)
    story.assign(A)
    story.deliver(A, 0)
    story.handle(A, 0, outcome="failed")
    assert story.found == []


@pytest.mark.parametrize("attempt", [1, 3])
def test_a_wrong_number(attempt: int) -> None:
    story = owner("attempts")
    story.handle(A, 0, outcome="failed")
    story.start(A, 0, attempt=attempt)
    assert story.found == ["attempts"]


def test_one_attempt_too_many() -> None:
    for attempts, legal in ((1, False), (2, True), (None, True)):
        story = owner("attempts", attempts=attempts)
        story.handle(A, 0, outcome="failed")
        story.start(A, 0, attempt=2)
        assert (not story.found) is legal, attempts


# delivery


def test_holes_are_no_gap() -> None:
    story = Story("delivery")
    story.produce(0, 1, 2)
    story.hidden(3)
    story.produce(4)
    story.add(h.Compacted(P0, (1,)))
    story.assign(A, 0)
    story.deliver(A, 0, 2, 4, end=5)
    assert story.found == []


def test_a_record_that_is_left_out() -> None:
    story = Story("delivery")
    story.produce(0, 1, 2, 3)
    story.assign(A, 1)
    story.deliver(A, 1, 3, end=4)
    assert "without 2" in story.texts
    assert story.watch.violations[0].anomaly == "poll-skip"


def test_a_record_that_is_left_out_between_two_batches() -> None:
    story = owner("delivery")
    story.produce(4, 5)
    story.deliver(A, 5)
    assert "without 4" in story.texts


def test_a_client_without_an_offset_begins_where_it_was_reset_to() -> None:
    for after, legal in ((0, False), (2, True)):
        story = Story("delivery", offset_reset="latest")
        story.produce(0, 1, 2)
        story.assign(A)
        story.add(h.PositionReset(A, P0, -1, after))
        story.deliver(A, 2)
        assert (not story.found) is legal, after


@pytest.mark.parametrize("offsets", [(0, 0), (1, 0), (0, 2, 1)])
def test_a_batch_that_is_not_in_order(offsets: tuple[int, ...]) -> None:
    story = Story("delivery")
    story.produce(0, 1, 2)
    story.assign(A, 0)
    story.deliver(A, *offsets)
    assert "nonmonotonic-poll" in {one.anomaly for one in story.watch.violations}


def test_nothing_comes_twice_within_a_tenure() -> None:
    story = owner("delivery")
    story.deliver(A, 3)
    assert story.found == ["delivery"]


def test_a_client_that_resets_its_position_may_deliver_again() -> None:
    story = owner("delivery")
    story.add(h.PositionReset(A, P0, 4, 0))
    story.deliver(A, 0, 1)
    assert story.found == []


@pytest.mark.parametrize("read_committed", [True, False])
def test_aborted_records_and_markers(read_committed: bool) -> None:
    story = Story("delivery", read_committed=read_committed)
    story.hidden(0, key=b"k")
    story.hidden(1)
    story.add(h.Decided(P0, (0,), False))
    story.assign(A, 0)
    story.deliver(A, 0)
    assert bool(story.found) is read_committed
    story.deliver(A, 1)
    assert story.watch.violations[-1].text.startswith("a.1 was given orders[0]@1–1, and 1 is a marker")


def test_undecided_records_are_for_those_who_read_uncommitted() -> None:
    for read_committed in (True, False):
        story = Story("delivery", read_committed=read_committed)
        story.hidden(0, key=b"k")
        story.assign(A, 0)
        story.deliver(A, 0)
        assert bool(story.found) is read_committed


def test_nothing_comes_from_beyond_the_end() -> None:
    for kind, legal in (("leader-moves", True), ("compaction", False)):
        story = Story("delivery")
        story.fault(kind, P0)
        story.produce(0, 1)
        story.assign(A, 0)
        story.deliver(A, 0, 1, end=1)
        assert (not story.found) is legal, kind
    story.deliver(A, 2)
    assert "never went beyond 2" in story.texts


def test_nothing_comes_between_a_revoke_and_the_next_assignment() -> None:
    story = owner("delivery")
    story.revoke(A)
    story.deliver(A, position=4)
    assert story.found == []
    story.deliver(A, 4)
    assert story.found == ["delivery"]


def test_what_was_fetched_before_a_truncation_may_still_come() -> None:
    story = Story("delivery")
    story.produce(0, 1, 2, 3)
    story.assign(A, 0)
    story.add(h.Truncated(P0, 2))
    story.deliver(A, 0, 1, 2, 3, end=2)
    story.produce(2)
    story.add(h.PositionReset(A, P0, 4, 2))
    story.deliver(A, 2)
    assert story.found == []


# repeats


def test_what_no_commit_covered_runs_again() -> None:
    story = owner("repeats")
    story.handle(A, 0, 1, 3)
    story.commit(A, 2, map_of(2, (3, 4)))
    story.handle(A, 2)
    story.add(h.ProcessKilled(A))
    story.assign(B, 2, map_of(2, (3, 4)))
    story.deliver(B, 2, 3, end=4)
    story.handle(B, 2)
    assert story.found == []
    story.handle(B, 3)
    assert "is complete in orders[0]" in story.texts


def test_nothing_runs_twice_within_a_tenure() -> None:
    story = owner("repeats")
    story.start(A, 0)
    story.start(A, 0)
    story.handle(A, 1, 1)
    assert story.found == ["repeats", "repeats"]


def test_nothing_runs_that_was_not_delivered() -> None:
    story = owner("repeats")
    story.handle(A, 4)
    assert story.found == ["repeats"]


def test_a_commit_tells_all_that_is_complete() -> None:
    story = owner("repeats")
    story.handle(A, 0, 2)
    story.ask(A, 1, map_of(1, (2, 3)))
    assert story.found == []
    story.ask(A, 1)
    assert "does not tell that 2 is complete" in story.texts


def test_a_small_map_may_leave_out_some_but_not_all() -> None:
    for limit, metadata, legal in ((60, map_of(1, (2, 3)), True), (60, "", False), (20, "", True), (0, "", True)):
        story = owner("repeats", offset_map_characters_max=limit, records=8)
        story.handle(A, 0, 2, 4, 6)
        story.ask(A, 1, metadata)
        assert (not story.found) is legal, (limit, metadata)


def test_a_map_may_be_shorter_once_the_broker_refused_one() -> None:
    story = owner("repeats")
    story.add(h.CommitRefused(A, 1, "group", P0, "OFFSET_METADATA_TOO_LARGE"))
    story.handle(A, 0, 2)
    story.ask(A, 1)
    assert story.found == []


def given_back(seconds: float, *, error: str | None = "", at: int | None = 2) -> Story:
    """Two records are complete when the partition is given back, after a commit that says so, or another one."""
    story = owner("repeats", revoke_seconds=2.0)
    story.handle(A, 0, 1)
    story.revoke(A)
    story.wait(seconds)
    if at is not None:
        number = story.ask(A, at, in_revoke=True)
        if error is not None:
            story.answer(number, error)
    story.release(A)
    return story


@pytest.mark.parametrize(
    ("seconds", "error", "at", "legal"),
    [
        (0.1, "", 2, True),
        (0.1, "", None, False),
        (0.1, "ILLEGAL_GENERATION", 2, True),
        (0.1, None, 2, True),
        (1.5, "", None, True),
    ],
)
def test_what_is_complete_is_committed_before_it_is_given_back(
    seconds: float, error: str | None, at: int | None, legal: bool
) -> None:
    story = given_back(seconds, error=error, at=at)
    assert story.found == []  # the consumer may be on its way out, and owe nothing
    story.assign(A, partition=P1)
    assert (not story.found) is legal


def test_a_consumer_that_is_on_its_way_out_owes_nothing() -> None:
    story = given_back(0.1, at=None)
    story.add(h.ProcessEnded(A, "ClientError: dead"))
    assert story.found == []


@pytest.mark.parametrize(
    ("error", "legal"),
    [("", False), ("HandlerFailed: orders[0]@2", False), ("ClientError: dead", True)],
)
def test_a_consumer_that_ends_in_order_has_committed_all(error: str, legal: bool) -> None:
    story = owner("repeats")
    story.handle(A, 0)
    story.commit(A, 1)
    story.handle(A, 1)
    story.add(h.ProcessEnded(A, error))
    assert (not story.found) is legal


def test_the_last_commit_may_fail() -> None:
    story = owner("repeats")
    story.handle(A, 0, 1)
    story.answer(story.ask(A, 2), "_TIMED_OUT")
    story.add(h.ProcessEnded(A, ""))
    assert story.found == []


def test_nothing_repeats_where_there_are_no_faults() -> None:
    for faults in (True, False):
        story = owner("repeats", faults=faults)
        story.handle(A, 0)
        story.lose(A)
        story.assign(B, 0)
        story.deliver(B, 0)
        story.handle(B, 0)
        assert bool(story.found) is not faults


def test_partitions_print_as_the_faults_name_them() -> None:
    """Targets of faults are compared as text."""
    assert str(Partition("orders", 3)) == "orders[3]"
