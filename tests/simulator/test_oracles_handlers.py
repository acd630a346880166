"""Oracles of handlers: order, the fence, limits, attempts. Legal stories near the border, too."""

from __future__ import annotations

import pytest

from simulator.world import history as h
from trio_consumer import Partition

from .story import P0, P1, A, B, Story, map_of, owner

K = dict.fromkeys(range(9), b"k")
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


def revoked(*, cancellable: bool = True) -> tuple[Story, int]:
    story = owner("cancelled", cancellable=cancellable, grace_seconds=0.5, revoke_seconds=2.0)
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


def test_where_its_event_loop_was_blocked_a_process_gives_back_what_it_can() -> None:
    story, call = revoked()
    story.add(h.ProcessFrozen(A, False), 0.1)
    story.add(h.ProcessThawed(A), 5)
    story.release(A)
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
    """A batch of each partition may have been dropped."""
    story = owner("bounds", queued_records_max=4)
    assert story.found == []
    story.produce(4, 5, 6)
    story.start(A, 0)
    story.deliver(A, 4)
    story.deliver(A, 5)
    assert story.found == []
    story.deliver(A, 6)
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


def test_partitions_print_as_the_faults_name_them() -> None:
    """Targets of faults are compared as text."""
    assert str(Partition("orders", 3)) == "orders[3]"
