"""Oracles of progress: what must happen in time, and what must not go on. Legal stories near the border, too."""

from __future__ import annotations

import pytest

from simulator.oracles.hot_loop import IDLE_COMMANDS_MAX
from simulator.world import history as h

from .story import P0, P1, A, B, Story, owner

# progress


def done(heal_seconds: float = 90.0) -> Story:
    story = owner("progress", heal_seconds=heal_seconds)
    story.handle(A, 0, 1, 2, 3)
    story.heal()
    return story


def test_everything_is_committed_in_time() -> None:
    story = done(heal_seconds=10)
    story.wait(10)
    story.commit(A, 4)
    assert story.end() == []


def test_it_takes_too_long() -> None:
    story = done(heal_seconds=10)
    story.wait(10.1)
    story.commit(A, 4)
    assert story.end() == ["progress"]


def test_a_record_that_nobody_handles() -> None:
    story = owner("progress")
    story.handle(A, 0, 1, 3)
    story.commit(A, 2)
    assert story.end() == ["progress"]
    assert story.watch.violations[0].anomaly == "unseen"


def test_the_last_commit_is_missing() -> None:
    story = done()
    story.commit(A, 3)
    assert story.end() == ["progress"]


def test_trailing_holes_are_passed() -> None:
    for offset, legal in ((4, False), (5, True)):
        story = done()
        story.hidden(4)
        story.commit(A, offset)
        assert (not story.end()) is legal


def test_an_older_commit_that_lands_at_last_is_no_matter() -> None:
    story = done()
    older, newer = story.ask(A, 3), story.ask(A, 4)
    story.apply(newer)
    story.apply(older)
    assert story.end() == []


def test_what_an_administrator_has_set_back_is_committed_again() -> None:
    story = done()
    story.commit(A, 4)
    story.add(h.OffsetsForgotten("group", P0, 4, 1, "set by an administrator"))
    assert story.end() == ["progress"]


def test_nothing_is_demanded_of_a_topic_that_is_gone_or_was_made_anew() -> None:
    story = done()
    story.add(h.TopicDeleted("orders"))
    story.add(h.TopicCreated("orders", 2, 2))
    story.produce(0, 1)
    assert story.end() == []


def test_an_interrupted_world_is_not_judged() -> None:
    assert owner("progress").finish() == []


# stuck


def test_a_record_that_could_run_does_not_wait() -> None:
    story = owner("stuck", concurrency=3)
    story.start(A, 0, key=b"0")
    story.wait(2)
    story.handle(A, 1)
    assert story.found == []
    story.wait(1)
    story.handle(A, 2)
    assert story.found == ["stuck"]


def test_a_record_may_wait_for_a_worker() -> None:
    story = owner("stuck", concurrency=1)
    call = story.start(A, 0, key=b"0")
    story.wait(9)
    story.stop(call)
    story.handle(A, 1)
    assert story.found == []


def test_a_record_may_wait_for_its_lane() -> None:
    story = owner("stuck")
    call = story.start(A, 0, key=b"k1")
    story.wait(9)
    story.stop(call)
    story.start(A, 1, key=b"k1")
    assert story.found == []


def test_a_frozen_process_may_wait() -> None:
    story = owner("stuck")
    story.add(h.ProcessFrozen(A, False))
    story.add(h.ProcessThawed(A), 9)
    story.handle(A, 0)
    assert story.found == []


def test_a_partition_is_not_paused_for_one_failing_record() -> None:
    for limit, legal in ((4, True), (100, False)):
        story = owner("stuck", queued_records_max_per_partition=limit)
        story.handle(A, 0, outcome="failed")
        story.add(h.FetchPaused(A, (P0,)))
        assert story.found == []  # a consumer that stops pauses too
        story.handle(A, 1)
        assert (not story.found) is legal, limit


# session


def test_a_loss_needs_a_cause() -> None:
    for kind, target, legal in (
        ("handler-slow", "orders[0]@0", False),
        ("stall-past-session", A, True),
        ("stall-past-session", B, False),
        ("coordinator-moves", "group", True),
        ("one of the user's own", "", True),
    ):
        story = owner("session")
        story.fault(kind, target)
        story.lose(A)
        assert (not story.found) is legal, kind


def test_causes_are_over_some_time_after_the_faults() -> None:
    for seconds, legal in ((20, True), (21, False)):
        story = owner("session", settle_seconds=20)
        story.fault("cut", A)
        story.heal()
        story.wait(seconds)
        story.lose(A)
        assert (not story.found) is legal


def test_a_commit_that_met_a_rebalance_may_cost_the_assignment() -> None:
    story = owner("session")
    story.add(h.CommitRefused(A, 1, "group", P0, "ILLEGAL_GENERATION"))
    story.lose(A)
    assert story.found == []


def test_the_client_is_polled_in_time() -> None:
    story = owner("session")
    story.add(h.ErrorDelivered(A, "_TRANSPORT", False))
    assert story.found == []
    story.add(h.ErrorDelivered(A, "_MAX_POLL_EXCEEDED", False))
    assert story.found == ["session"]


# shutdown


def test_a_revoke_ends_by_its_deadline() -> None:
    for seconds, frozen, legal in ((2.2, False, True), (2.3, False, False), (9, True, True)):
        story = owner("shutdown", revoke_seconds=2.0)
        story.revoke(A)
        if frozen:
            story.add(h.ProcessFrozen(A, True))
        story.wait(seconds)
        story.release(A)
        assert (not story.found) is legal, seconds


def test_who_was_asked_to_drain_ends() -> None:
    story = owner("shutdown")
    story.add(h.ProcessEnded(A, ""))
    story.add(h.ProcessKilled(B))
    assert story.end() == []
    other = owner("shutdown")
    other.add(h.ProcessEnded(A, ""))
    assert other.end() == ["shutdown"]


# orphans


def test_no_handler_outlives_its_consumer() -> None:
    story = owner("orphans")
    call = story.start(A, 0)
    story.start(B, 0)
    story.add(h.ProcessKilled(B))
    assert story.found == []
    story.add(h.ProcessEnded(A, ""))
    assert story.found == ["orphans"]
    story.stop(call)
    assert story.found == ["orphans"] * 2


@pytest.mark.parametrize("act", ["start", "ask", "deliver"])
def test_nothing_happens_after_the_end(act: str) -> None:
    story = owner("orphans")
    story.add(h.PhaseBegan("end"))
    getattr(story, act)(A, 0)
    assert story.found == ["orphans"]


# errors


@pytest.mark.parametrize(
    ("error", "before", "legal"),
    [
        ("", [], True),
        ("KeyError: 7", [], False),
        ("InternalError: offset 7 was completed twice", [], False),
        ("ClientError: _TRANSPORT", [h.ErrorDelivered(A, "_TRANSPORT", False)], False),
        ("ClientError: _FATAL", [h.ErrorDelivered(A, "_FATAL", True)], True),
        ("ClientError: ILLEGAL_GENERATION", [h.CommitAnswered(A, 1, "ILLEGAL_GENERATION")], False),
        ("Fenced: FENCED_INSTANCE_ID", [h.CommitAnswered(A, 1, "FENCED_INSTANCE_ID")], True),
    ],
)
def test_a_consumer_ends_with_an_error_for_a_reason(error: str, before: list[object], legal: bool) -> None:
    story = owner("errors")
    for event in before:
        story.add(event)
    story.add(h.ProcessEnded(A, error))
    assert (not story.found) is legal


def test_a_start_may_fail() -> None:
    story = Story("errors")
    story.add(h.ProcessEnded(A, "BrokerUnreachable: no broker answered"))
    assert story.found == []


def test_a_record_that_is_exhausted_halts_the_consumer() -> None:
    for attempts, exhausted, legal in ((1, "halt", True), (2, "halt", False), (1, "skip", False)):
        story = owner("errors", attempts=attempts, exhausted=exhausted)
        story.handle(A, 0, outcome="failed")
        story.add(h.ProcessEnded(A, "HandlerFailed: orders[0]@0"))
        assert (not story.found) is legal, (attempts, exhausted)


# hot-loop


def test_a_consumer_that_makes_no_progress_does_next_to_nothing() -> None:
    story = owner("hot-loop")
    story.heal()
    for position in (5, 6):
        for _ in range(IDLE_COMMANDS_MAX):
            story.add(h.FetchPaused(A, (P1,)), 0.001)
        story.deliver(A, position=position)
    assert story.found == []
    for _ in range(IDLE_COMMANDS_MAX + 1):
        story.add(h.FetchPaused(A, (P1,)), 0.001)
    assert story.found == ["hot-loop"]


def test_a_command_now_and_then_is_no_loop() -> None:
    story = owner("hot-loop")
    story.heal()
    for _ in range(10 * IDLE_COMMANDS_MAX):
        story.ask(A, 0)
        story.wait(0.1)
    assert story.found == []


def test_empty_deliveries_are_no_progress() -> None:
    story = owner("hot-loop")
    story.heal()
    for _ in range(IDLE_COMMANDS_MAX + 2):
        story.deliver(A, position=4)
    assert story.found == ["hot-loop"]


def test_a_busy_consumer_may_do_much() -> None:
    story = owner("hot-loop")
    story.heal()
    for _ in range(10 * IDLE_COMMANDS_MAX):
        story.add(h.FetchPaused(A, (P1,)))
        story.handle(A, 0)
    assert story.found == []
