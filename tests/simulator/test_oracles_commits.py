"""Oracles of commits: what they may say, who makes them, what becomes of them. Legal stories near the border, too."""

from __future__ import annotations

import pytest

from simulator.world import history as h

from .story import P0, P1, A, B, Story, map_of, owner

# commit


def test_a_commit_up_to_the_lowest_unresolved_is_legal() -> None:
    story = owner("commit")
    story.handle(A, 0, 1, 3)
    story.commit(A, 2)
    assert story.found == []


@pytest.mark.parametrize("outcome", ["failed", "cancelled"])
def test_a_commit_past_what_failed_or_was_cancelled(outcome: str) -> None:
    story = owner("commit", "outcomes")
    story.handle(A, 0)
    story.handle(A, 1, outcome=outcome)
    story.ask(A, 1)
    assert story.found == []
    story.ask(A, 2)
    assert story.found == ["commit", "outcomes"]


def test_a_commit_past_what_is_in_flight() -> None:
    story = owner("commit")
    story.start(A, 0)
    story.ask(A, 1)
    assert "0 is in flight" in story.texts


def test_a_commit_past_the_position() -> None:
    story = owner("commit")
    story.handle(A, 0, 1, 2, 3)
    story.ask(A, 4)
    assert story.found == []
    story.ask(A, 5)
    assert story.found == ["commit"]


def test_a_commit_past_trailing_holes_is_legal_once_the_client_has_passed_them() -> None:
    story = owner("commit")
    story.handle(A, 0, 1, 2, 3)
    story.hidden(4)
    story.deliver(A, position=5)
    story.commit(A, 5)
    assert story.found == []


def test_a_commit_that_lands_before_its_record_was_handled_by_anybody() -> None:
    story = Story("commit")
    story.produce(0)
    story.add(h.CommitApplied(A, 9, "group", P0, 1, "", -1))
    assert story.found == ["commit"]


def test_an_exhausted_record_is_resolved_where_it_is_skipped() -> None:
    for exhausted, findings in (("skip", 0), ("halt", 2)):
        story = owner("commit", attempts=2, exhausted=exhausted)
        story.handle(A, 0, outcome="failed")
        story.ask(A, 0)
        story.handle(A, 0, outcome="failed", attempt=2)
        story.commit(A, 1)
        assert len(story.found) == findings, exhausted


def test_a_record_skipped_before_its_last_attempt() -> None:
    story = owner("commit", attempts=3, exhausted="skip")
    story.handle(A, 0, outcome="failed")
    story.handle(A, 0, outcome="failed", attempt=2)
    story.ask(A, 1)
    assert story.found == ["commit"]


def test_a_record_that_a_dead_letter_topic_has_still_needs_its_handler_to_succeed() -> None:
    story = owner("commit")
    call = story.start(A, 0)
    story.add(h.DeadLettered(A, P0, 0))
    assert story.truth.log(P0).pending.head == 1
    story.stop(call, "failed")
    story.ask(A, 1)
    assert story.found == ["commit"]


def test_what_retention_has_taken_is_excused_for_the_log_and_not_for_the_tenure() -> None:
    story = owner("commit")
    story.add(h.LogStartMoved(P0, 2))
    assert story.truth.log(P0).pending.head == 2
    story.ask(A, 2)
    assert story.found == ["commit"]


def test_what_compaction_has_taken_before_it_was_delivered_is_excused() -> None:
    story = Story("commit")
    story.produce(0, 1, 2)
    story.add(h.Compacted(P0, (0, 1)))
    story.assign(A, 0)
    story.deliver(A, 2)
    story.handle(A, 2)
    story.commit(A, 3)
    assert story.found == []


def test_offsets_that_are_used_again_are_excused() -> None:
    story = owner("commit")
    story.handle(A, 0, 1, 2, 3)
    story.add(h.Truncated(P0, 2))
    story.produce(2, 3)
    story.commit(A, 4)
    assert story.found == []
    story.produce(4)
    story.apply(story.ask(A, 5))
    assert len(story.found) == 2


def test_a_tenure_that_starts_over_still_owes_what_it_had_below() -> None:
    story = owner("commit")
    story.handle(A, 0, 2, 3)
    story.add(h.Truncated(P0, 3))
    story.produce(3, 4)
    story.deliver(A, 3, 4)
    story.handle(A, 3, 4)
    story.ask(A, 1)
    assert story.found == []
    story.ask(A, 5)
    assert "1 was not handled" in story.texts


def test_the_outcome_of_a_handler_from_before_it_started_over_does_not_count_for_the_record_of_today() -> None:
    story = owner("commit")
    story.handle(A, 0, 1, 2)
    call = story.start(A, 3)
    story.add(h.Truncated(P0, 3))
    story.produce(3)
    story.deliver(A, 3)
    story.stop(call)
    story.ask(A, 4)
    assert story.found == ["commit"]


def test_a_topic_made_anew_excuses_what_lies_below_the_old_end() -> None:
    story = owner("commit")
    story.handle(A, 0, 1, 2, 3)
    story.add(h.TopicDeleted("orders"))
    story.add(h.TopicCreated("orders", 2, 2))
    story.produce(0, 1, 2, 3, 4)
    story.commit(A, 4)
    assert story.found == []
    assert story.truth.log(P0).pending.head == 4


def test_more_partitions_are_the_same_topic() -> None:
    story = owner("commit")
    story.add(h.TopicCreated("orders", 1, 3))
    assert story.truth.log(P0).pending.head == 0


def test_what_a_reset_to_the_latest_passes_by_is_excused() -> None:
    for policy, findings in (("latest", []), ("earliest", ["commit"])):
        story = Story("commit", offset_reset=policy)
        story.produce(0, 1, 2)
        story.assign(A)
        story.add(h.PositionReset(A, P0, -1, 2))
        story.deliver(A, 2)
        story.handle(A, 2)
        story.commit(A, 3)
        assert story.found == findings


def test_what_an_administrator_passes_by_is_excused() -> None:
    story = Story("commit")
    story.produce(0, 1, 2)
    story.add(h.OffsetsForgotten("group", P0, -1, 2, "set by an administrator"))
    assert story.truth.log(P0).pending.head == 2


def test_what_is_decided_only_after_it_was_passed_by_stays_excused() -> None:
    story = Story("commit", offset_reset="latest")
    story.hidden(0, key=b"k")
    story.add(h.PositionReset(A, P0, -1, 1))
    story.hidden(1)
    story.add(h.Decided(P0, (0,), True))
    assert story.truth.log(P0).pending.head is None


def test_a_transaction_may_not_be_passed_while_it_is_undecided() -> None:
    story = owner("commit")
    story.handle(A, 0, 1, 2, 3)
    story.hidden(4, key=b"k")
    story.produce(5)
    story.deliver(A, 5)
    story.handle(A, 5)
    story.commit(A, 6)
    assert story.found == []  # not to be known yet
    story.hidden(6)
    story.add(h.Decided(P0, (4,), True))
    assert story.found == ["commit"]


def test_an_aborted_transaction_is_passed() -> None:
    story = owner("commit")
    story.handle(A, 0, 1, 2, 3)
    story.hidden(4, key=b"k")
    story.hidden(5)
    story.add(h.Decided(P0, (4,), False))
    story.deliver(A, position=6)
    story.commit(A, 6)
    assert story.found == []


# offset-map


def test_a_map_of_what_is_done_is_legal() -> None:
    story = owner("offset-map")
    story.handle(A, 1, 3)
    story.commit(A, 0, map_of(0, (1, 2), (3, 4)))
    assert story.found == []


@pytest.mark.parametrize("ranges", [((1, 3),), ((2, 3),), ((1, 2), (3, 5))])
def test_a_map_that_says_too_much(ranges: tuple[tuple[int, int], ...]) -> None:
    story = owner("offset-map")
    story.handle(A, 1, 3)
    story.ask(A, 0, map_of(0, *ranges))
    assert story.found == ["offset-map"]


def test_a_map_that_says_too_much_when_it_lands() -> None:
    story = Story("offset-map")
    story.produce(0, 1, 2)
    story.add(h.CommitApplied(A, 9, "group", P0, 0, map_of(0, (1, 2)), -1))
    assert story.found == ["offset-map"]


def test_a_map_that_can_not_be_read_back() -> None:
    story = owner("offset-map")
    story.ask(A, 0, "tc1:b2:0:00000000:AA")
    assert "can't be read back" in story.texts


def test_a_map_says_what_an_earlier_tenure_completed_beyond_the_position() -> None:
    story = Story("offset-map", "repeats")
    story.produce(0, 1, 2, 3)
    for offset in (2, 3):
        story.truth.log(P0).pending.discard(offset)
    story.assign(A, 0, map_of(0, (2, 4)))
    story.deliver(A, 0, end=4)
    story.ask(A, 0, map_of(0, (2, 4)))
    assert story.found == []
    story.ask(A, 0)
    assert story.found == ["repeats"]


def test_a_map_of_another_log_is_not_believed() -> None:
    story = Story("commit", "offset-map")
    story.produce(*range(8))
    story.assign(A, 5, map_of(5, (6, 8)))
    story.deliver(A, 2, 3, 4, 5, 6, 7, end=8)
    story.handle(A, 2, 3, 4, 5)
    story.ask(A, 6)
    assert story.found == []
    story.ask(A, 6, map_of(6, (7, 8)))
    assert story.found == ["offset-map"]


def test_a_map_that_reaches_beyond_the_log_may_be_believed_or_not() -> None:
    for handled in (True, False):
        story = Story("commit", "offset-map", "repeats")
        story.produce(0, 1)
        story.assign(A, 0, map_of(0, (1, 6)))
        story.deliver(A, 0, 1, end=2)
        story.handle(A, 0)
        if handled:
            story.handle(A, 1)
        story.ask(A, 2)
        assert story.found == [], handled


# commits-monotone


def test_commits_of_one_tenure_go_forwards() -> None:
    story = owner("commits-monotone")
    story.handle(A, 0, 1)
    story.ask(A, 1)
    story.ask(A, 1)
    story.ask(A, 2)
    assert story.found == []
    story.ask(A, 1)
    assert story.found == ["commits-monotone"]


def test_an_older_commit_may_land_after_a_newer_one() -> None:
    story = owner("commits-monotone", "acknowledged", "commit")
    story.handle(A, 0, 1)
    older, newer = story.ask(A, 1), story.ask(A, 2)
    story.apply(newer)
    story.answer(newer)
    story.apply(older)
    assert story.found == []


def test_a_commit_below_where_the_tenure_began() -> None:
    story = Story("commits-monotone")
    story.produce(*range(6))
    story.assign(A, 4)
    story.ask(A, 3)
    assert story.found == ["commits-monotone"]


def test_a_commit_below_where_the_tenure_began_is_legal_if_the_client_began_below() -> None:
    story = Story("commits-monotone")
    story.produce(*range(6))
    story.assign(A, 4)
    story.deliver(A, 2, 3)
    story.handle(A, 2)
    story.ask(A, 3)
    assert story.found == []


def test_commits_go_back_when_the_log_does() -> None:
    story = owner("commits-monotone")
    story.handle(A, 0, 1, 2, 3)
    story.ask(A, 4)
    story.add(h.Truncated(P0, 2))
    story.produce(2)
    story.deliver(A, 2)
    story.ask(A, 2)
    assert story.found == []


# commit-owner


def test_commits_between_revoke_and_release_are_the_owners() -> None:
    story = owner("commit-owner")
    story.revoke(A)
    story.commit(A, 0, in_revoke=True)
    story.release(A)
    assert story.found == []
    story.ask(A, 0)
    assert story.found == ["commit-owner"]


def test_nobody_commits_after_a_loss() -> None:
    story = owner("commit-owner")
    story.lose(A)
    story.ask(A, 0)
    assert story.found == ["commit-owner"]


def test_a_commit_on_its_way_may_land_after_the_loss_as_long_as_nobody_else_has_the_partition() -> None:
    story = owner("commit-owner")
    number = story.ask(A, 0)
    story.lose(A)
    story.apply(number)
    assert story.found == []
    story.assign(B, 0)
    story.apply(number)
    assert story.found == ["commit-owner"]


def test_a_commit_that_was_made_anew_may_land_whoever_has_the_partition() -> None:
    story = owner("commit-owner")
    number = story.ask(A, 0)
    story.lose(A)
    story.assign(B, 0)
    story.add(h.CommitMadeAnew(A, number))
    story.apply(number)
    assert story.found == []


def test_an_assignment_that_is_told_too_late_makes_nobody_the_owner() -> None:
    story = owner("commit-owner")
    story.add(h.ProcessFrozen(B, True))
    story.assign(B)
    story.commit(A, 0)
    assert story.found == []
    story.commit(B, 0)  # it is the owner after all
    story.commit(A, 0)
    assert story.found == ["commit-owner"]


# One commit of two partitions


def test_each_partition_of_a_commit_is_judged_by_itself() -> None:
    story = owner("commit", "commit-owner")
    story.add(h.CommitAsked(A, 50, {P0: (0, ""), P1: (0, "")}, False))
    assert story.found == ["commit-owner"]
