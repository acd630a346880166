"""Oracles of deliveries and repeats. Legal stories near the border, too."""

from __future__ import annotations

import pytest

from simulator.world import history as h

from .story import P0, P1, A, B, Story, map_of, owner

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


def test_what_the_consumer_asks_for_it_may_be_given_again() -> None:
    for sought, legal in ((1, True), (2, False)):
        story = owner("delivery")
        story.add(h.Sought(A, P0, sought))
        story.deliver(A, 1, 2)
        assert (not story.found) is legal


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


def test_nothing_comes_that_was_never_there() -> None:
    story = owner("delivery")
    story.deliver(A, 4)
    assert "never went beyond 4" in story.texts


def test_nothing_comes_between_a_revoke_and_the_next_assignment() -> None:
    story = owner("delivery")
    story.revoke(A)
    story.deliver(A, position=4)
    assert story.found == []
    story.deliver(A, 4)
    assert story.found == ["delivery"]


def test_a_client_may_begin_behind_what_was_committed_meanwhile() -> None:
    story = owner("delivery")
    story.handle(A, 0, 1)
    late = story.ask(A, 2)
    story.lose(A)
    story.assign(B, 0)
    story.apply(late)
    story.deliver(B, 2, 3)
    assert story.found == []


def test_an_offset_that_was_a_marker_may_be_a_record_after_a_truncation() -> None:
    story = Story("delivery")
    story.produce(0)
    story.hidden(1)
    story.add(h.Truncated(P0, 1))
    story.produce(1)
    story.assign(A, 0)
    story.deliver(A, 0, 1)
    assert story.found == []


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


def test_what_failed_to_be_committed_is_part_of_the_next_commit() -> None:
    for partition, legal in ((P0, True), (P1, False)):
        story = owner("repeats")
        story.assign(A, 0, partition=P1)
        story.handle(A, 0)
        failed = story.ask(A, 1)
        story.ask(A, 0, partition=P1)
        assert story.found == []  # nothing is known yet
        story.answer(failed, "_TRANSPORT")
        story.ask(A, 1 if partition == P0 else 0, partition=partition)
        assert (not story.found) is legal, partition


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
