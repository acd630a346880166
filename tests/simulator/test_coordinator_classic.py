"""The classic protocol: who waits for whom, and what ends a membership."""

from __future__ import annotations

import pytest

from simulator.kafka import requests
from simulator.world.history import CommitApplied, CommitRefused
from trio_consumer.client.port import Commit, Committed

from .coordinator_kit import GROUP, REBALANCE, SESSION, TOPIC, Classic, Kit, orders


def pair(protocol: str = "range", **options: object) -> tuple[Kit, Classic, Classic]:
    kit = Kit()
    a, b = Classic(kit, "a.1", protocol=protocol), Classic(kit, "b.1", protocol=protocol)
    kit.form(a, b)
    return kit, a, b


def test_a_member_gets_an_id_before_it_may_join() -> None:
    kit = Kit()
    a = Classic(kit, "a.1")
    (answer,) = a.ask_to_join()
    assert answer.error == "MEMBER_ID_REQUIRED"
    assert answer.member_id
    assert kit.coordinator.state(GROUP) == "Empty"
    a.id = answer.member_id
    (answer,) = a.ask_to_join()
    assert (answer.error, answer.member_id, answer.generation) == ("", a.id, 1)
    assert answer.leader == a.id
    assert list(answer.members) == [a.id]


def test_an_id_that_nobody_joins_with_is_forgotten_with_its_session() -> None:
    kit = Kit()
    a, b = Classic(kit, "a.1"), Classic(kit, "b.1")
    kit.form(a)
    (answer,) = b.ask_to_join()
    b.id = answer.member_id
    a.join()
    # The id may still be joined with, so the rebalance waits for it.
    assert a.joins == []
    kit.clock.advance(SESSION)
    a.learn()
    assert a.generation == 2
    assert b.ask_to_join()[0].error == "UNKNOWN_MEMBER_ID"


def test_two_members_share_the_topic() -> None:
    kit, a, b = pair()
    assert a.generation == b.generation
    assert (a.assignment, b.assignment) == (orders(0, 1), orders(2, 3))
    assert kit.coordinator.state(GROUP) == "Stable"
    views = kit.coordinator.members(GROUP)
    assert [(view.process, view.owned) for view in views.values()] == [("a.1", orders(0, 1)), ("b.1", orders(2, 3))]


def test_a_join_waits_for_those_who_have_not_joined_again() -> None:
    kit, a, b = pair()
    c = Classic(kit, "c.1")
    assert c.join() == []
    assert a.heartbeat() == "REBALANCE_IN_PROGRESS"
    assert a.join() == []
    b.join()
    a.learn()
    c.learn()
    assert a.generation == b.generation == c.generation
    assert c.joined is not None
    assert c.joined.members == {}


def test_who_does_not_join_in_time_is_out() -> None:
    kit, a, b = pair()
    a.join()
    # Heartbeats keep the session alive, and do not replace the join.
    for _ in range(int(REBALANCE) - 1):
        kit.clock.advance(1)
        assert b.heartbeat() == "REBALANCE_IN_PROGRESS"
    kit.clock.advance(1)
    a.learn()
    assert list(kit.coordinator.members(GROUP)) == [a.id]
    assert b.heartbeat() == "UNKNOWN_MEMBER_ID"
    assert a.leads


def test_who_does_not_sync_in_time_is_out() -> None:
    kit = Kit()
    a, b = Classic(kit, "a.1", session=60), Classic(kit, "b.1", session=60)
    kit.form(a)
    b.join()
    a.join()
    b.learn()
    waiting = b.sync()
    assert waiting == []
    kit.clock.advance(REBALANCE)
    assert waiting[0].error == "REBALANCE_IN_PROGRESS"
    assert list(kit.coordinator.members(GROUP)) == [b.id]
    b.join()
    assert b.leads


def test_a_session_ends_without_heartbeats() -> None:
    kit, a, b = pair()
    for _ in range(int(SESSION)):
        kit.clock.advance(1)
        a.heartbeat()
    assert list(kit.coordinator.members(GROUP)) == [a.id]
    assert kit.coordinator.state(GROUP) == "PreparingRebalance"
    assert b.heartbeat() == "UNKNOWN_MEMBER_ID"
    assert b.commit() == "UNKNOWN_MEMBER_ID"


def test_who_waits_for_the_join_does_not_lose_its_session() -> None:
    kit = Kit()
    a, b = Classic(kit, "a.1", rebalance=60), Classic(kit, "b.1", rebalance=60)
    kit.form(a, b)
    a.join()
    for _ in range(20):
        kit.clock.advance(1)
        b.heartbeat()
    assert a.id in kit.coordinator.members(GROUP)
    b.join()
    a.learn()
    assert a.generation == b.generation


def test_the_last_member_leaves_an_empty_group() -> None:
    kit = Kit()
    a = Classic(kit, "a.1")
    kit.form(a)
    assert a.leave() == ""
    assert kit.coordinator.state(GROUP) == "Empty"
    assert a.leave() == "UNKNOWN_MEMBER_ID"
    assert a.heartbeat() == "UNKNOWN_MEMBER_ID"
    assert a.sync()[0].error == "UNKNOWN_MEMBER_ID"


def test_who_leaves_makes_the_others_join_again() -> None:
    _, a, b = pair()
    b.leave()
    assert a.heartbeat() == "REBALANCE_IN_PROGRESS"
    a.join()
    a.assignment = a.sync()[0].assignment
    assert a.assignment == orders(0, 1, 2, 3)


def test_a_sync_of_another_generation_is_refused() -> None:
    _, a, _b = pair()
    a.generation -= 1
    assert a.sync()[0].error == "ILLEGAL_GENERATION"
    assert a.heartbeat() == "ILLEGAL_GENERATION"
    a.id = "nobody"
    assert a.sync()[0].error == "UNKNOWN_MEMBER_ID"


def test_a_sync_while_others_rebalance_is_told_to_join_again() -> None:
    kit, a, _b = pair()
    Classic(kit, "c.1").join()
    assert a.sync()[0].error == "REBALANCE_IN_PROGRESS"


def test_a_join_whose_answer_was_lost_may_be_repeated() -> None:
    kit, a, b = pair()
    Classic(kit, "c.1").join()
    a.join()
    b.join()
    generation = kit.coordinator.members(GROUP)[a.id].epoch
    (again,) = a.ask_to_join()
    assert again.generation == generation
    assert (again.members != {}) == (again.leader == a.id)


def test_a_follower_that_joins_again_for_no_reason_changes_nothing() -> None:
    kit, a, b = pair()
    follower = b if a.leads else a
    follower.join()
    assert kit.coordinator.state(GROUP) == "Stable"
    assert follower.sync()[0].assignment == follower.assignment


def test_a_leader_that_joins_again_starts_a_rebalance() -> None:
    kit, a, b = pair()
    leader = a if a.leads else b
    leader.join()
    assert kit.coordinator.state(GROUP) == "PreparingRebalance"


def test_another_protocol_does_not_join() -> None:
    kit, _a, _b = pair()
    c = Classic(kit, "c.1", protocol="cooperative-sticky")
    assert c.join()[0].error == "INCONSISTENT_GROUP_PROTOCOL"


def test_the_first_join_may_wait_for_others() -> None:
    kit = Kit()
    kit.coordinator.settings.initial_delay = 3.0
    a, b = Classic(kit, "a.1"), Classic(kit, "b.1")
    a.join()
    kit.clock.advance(2)
    b.join()
    kit.clock.advance(2)
    assert a.joins == []
    kit.clock.advance(2)
    a.learn()
    b.learn()
    assert a.generation == b.generation == 1


# Commits


def test_a_commit_is_applied_and_told() -> None:
    kit, a, _b = pair()
    request = requests.OffsetCommit(GROUP, a.id, None, a.generation, {orders(1)[0]: Commit(9, "map")}, number=3)
    assert kit.ask("a.1", request).errors == {orders(1)[0]: ""}
    assert kit.events(CommitApplied) == [CommitApplied("a.1", 3, GROUP, orders(1)[0], 9, "map", -1)]
    assert kit.fetch(*orders(1, 2)).offsets == {
        orders(1)[0]: Committed(9, "map"),
        orders(2)[0]: Committed(),
    }


def test_a_member_may_commit_what_it_does_not_own() -> None:
    kit, a, b = pair()
    assert orders(0)[0] in a.assignment
    assert b.commit(3, orders(0)[0]) == ""
    assert kit.committed().offset == 3


def test_a_commit_goes_backwards_and_beyond_the_log_if_asked_to() -> None:
    kit, a, _b = pair()
    for offset in (7, 2, -5, 2**62):
        assert a.commit(offset) == ""
        assert kit.committed().offset == offset


def test_a_commit_counts_until_its_generation_ends() -> None:
    kit, a, b = pair()
    c = Classic(kit, "c.1")
    c.join()
    assert a.commit(1) == ""
    a.join()
    assert a.commit(2) == ""
    b.join()
    # The old generation first, then the new one that is not synced yet.
    assert a.commit(3) == "ILLEGAL_GENERATION"
    a.learn()
    assert a.commit(4) == "REBALANCE_IN_PROGRESS"
    assert kit.committed().offset == 2
    assert [refused.error for refused in kit.events(CommitRefused)] == ["ILLEGAL_GENERATION", "REBALANCE_IN_PROGRESS"]


def test_a_commit_keeps_the_session_alive() -> None:
    kit, a, b = pair()
    for _ in range(10):
        kit.clock.advance(SESSION / 2)
        assert a.commit() == ""
        b.heartbeat()
    assert a.id in kit.coordinator.members(GROUP)


@pytest.mark.parametrize("generation", [0, 3])
def test_a_generation_of_an_unknown_group(generation: int) -> None:
    assert Kit().commit(generation=generation, member_id="x") == "GROUP_ID_NOT_FOUND"


def test_anybody_commits_for_an_empty_group_without_a_generation() -> None:
    kit = Kit()
    assert kit.commit(4) == ""
    assert kit.commit(5, member_id="x") == ""
    assert kit.commit(6, generation=3, member_id="x") == "UNKNOWN_MEMBER_ID"
    assert kit.committed().offset == 5


def test_outsiders_do_not_commit_for_a_living_group() -> None:
    kit, a, _b = pair()
    assert kit.commit() == "UNKNOWN_MEMBER_ID"
    assert kit.commit(member_id="x", generation=a.generation) == "UNKNOWN_MEMBER_ID"
    assert kit.commit(member_id=a.id) == "ILLEGAL_GENERATION"
    assert kit.commit(member_id=a.id, generation=a.generation + 1) == "ILLEGAL_GENERATION"
    assert kit.commit(member_id=a.id, generation=a.generation, instance_id="two") == "UNKNOWN_MEMBER_ID"


def test_a_leaver_commits_no_more() -> None:
    kit = Kit()
    a = Classic(kit, "a.1")
    kit.form(a)
    a.leave()
    assert a.commit() == "UNKNOWN_MEMBER_ID"
    assert kit.commit() == ""


def test_a_topic_that_does_not_exist() -> None:
    kit, a, _b = pair()
    assert a.commit(partition=orders(4)[0]) == "UNKNOWN_TOPIC_OR_PART"
    kit.topics[TOPIC] = 5
    assert a.commit(partition=orders(4)[0]) == ""
