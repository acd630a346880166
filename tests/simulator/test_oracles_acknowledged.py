"""Oracles of what comes back from the broker, and of effects. Legal stories near the border, too."""

from __future__ import annotations

from simulator.world import history as h

from .story import P0, A, B, map_of, owner

# acknowledged


def test_an_acknowledged_commit_was_applied() -> None:
    story = owner("acknowledged")
    refused = story.ask(A, 0)
    story.answer(refused, "_TRANSPORT")
    story.commit(A, 0)
    assert story.found == []
    story.answer(story.ask(A, 0))
    assert story.found == ["acknowledged"]


def test_a_commit_is_applied_as_it_was_asked_for() -> None:
    story = owner("acknowledged")
    story.apply(story.ask(A, 2), offset=3)
    assert story.found == ["acknowledged"]


def test_a_broker_does_not_forget_what_it_held() -> None:
    story = owner("acknowledged")
    story.commit(A, 1)
    story.add(h.OffsetsForgotten("group", P0, 1, -1, "expired"))
    story.add(h.CommitApplied(A, story.ask(A, 2), "group", P0, 2, "", -1))
    assert story.found == []
    story.add(h.CommitApplied(A, story.ask(A, 3), "group", P0, 3, "", 1))
    assert story.found == ["acknowledged"]


def test_a_new_owner_is_told_what_is_held() -> None:
    for offset, metadata, findings in (
        (2, map_of(2, (3, 4)), []),
        (2, "", ["acknowledged"]),
        (2, map_of(2, (4, 5)), ["acknowledged"]),
        (1, "", ["acknowledged"]),
        (3, "", ["acknowledged"]),
        (-1, "", []),  # it could not be read, perhaps
        (2, map_of(2, (3, 4)) + "bytes from beyond", []),
    ):
        story = owner("acknowledged")
        story.commit(A, 1)
        story.commit(A, 2, map_of(2, (3, 4)))
        story.revoke(A)
        story.release(A)
        story.assign(B, offset, metadata)
        assert story.found == findings, (offset, metadata)


def test_what_another_tool_wrote_is_no_lie() -> None:
    story = owner("acknowledged")
    story.commit(A, 2, map_of(2, (3, 4)))
    story.fault("foreign-metadata", P0)
    story.lose(A)
    story.assign(B, 2, "checkpoint-17")
    assert story.found == []


def test_a_new_owner_may_have_read_before_a_commit_landed() -> None:
    story = owner("acknowledged")
    story.commit(A, 1)
    late = story.ask(A, 2)
    story.lose(A)
    story.apply(late)
    story.assign(B, 1)
    assert story.found == []


def test_who_may_have_been_put_out_gives_nothing_back_in_order() -> None:
    for target, findings in ((A, []), ("x.1", ["acknowledged"])):
        story = owner("acknowledged")
        story.commit(A, 1)
        story.fault("stall", target)
        story.add(h.OffsetsForgotten("group", P0, 1, -1, "expired"))
        story.revoke(A)
        story.release(A)
        story.assign(B, 1)  # read before it expired: could A have been put out by then?
        assert story.found == findings


def test_a_process_that_was_frozen_may_be_told_late_of_what_was_read_before() -> None:
    for frozen, findings in ((True, []), (False, ["acknowledged"])):
        story = owner("acknowledged")
        if frozen:
            story.add(h.ProcessFrozen(A, False))
        for offset in (1, 2):
            story.add(h.OffsetsForgotten("group", P0, offset - 1, offset, "set by an administrator"))
        story.lose(A)
        story.assign(A, 2)
        story.lose(A)
        story.assign(A, 1)
        assert story.found == findings


def test_a_client_finds_no_offset_only_where_there_is_none() -> None:
    story = owner("acknowledged")
    story.commit(A, 1)
    story.revoke(A)
    story.release(A)
    story.add(h.OffsetsForgotten("group", P0, 1, -1, "expired"))
    story.assign(B)
    story.add(h.PositionReset(B, P0, -1, 0))
    assert story.found == []
    story.commit(B, 0)
    story.revoke(B)
    story.release(B)
    story.assign(A)
    story.add(h.PositionReset(A, P0, -1, 0))
    assert len(story.found) == 2  # and `before` was another


# effects


def test_success_needs_an_effect_before_the_commit() -> None:
    story = owner("effects", effects=True)
    story.add(h.EffectApplied(A, "stock", P0, 0))
    story.add(h.DeadLettered(A, P0, 1))
    story.handle(A, 0, 1, 2)
    story.commit(A, 2)
    assert story.found == []
    story.commit(A, 3)
    story.commit(A, 1)
    story.commit(A, 3)
    assert story.found == ["effects"]


def test_an_effect_that_comes_before_the_commit_is_in_time() -> None:
    story = owner("effects", effects=True)
    story.handle(A, 0)
    story.add(h.EffectApplied(A, "stock", P0, 0))
    story.commit(A, 1)
    assert story.found == []
