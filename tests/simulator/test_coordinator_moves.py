"""A coordinator that moves, loads or is gone: what it says meanwhile, and what of a group survives."""

from __future__ import annotations

import pytest

from simulator.kafka import requests
from trio_consumer.client.port import Commit

from .coordinator_kit import GROUP, REBALANCE, SESSION, TOPIC, Classic, Consumer848, Kit, orders, settle


def test_the_node_changes_at_once() -> None:
    kit = Kit()
    for node in (1, 2, 3):
        kit.coordinator.move(GROUP, node, 1)
        assert kit.coordinator.node_of(GROUP) == node


def test_nobody_coordinates_a_group_that_is_down() -> None:
    kit = Kit()
    node = kit.coordinator.node_of(GROUP)
    kit.coordinator.down(GROUP, 3)
    assert kit.coordinator.node_of(GROUP) is None
    assert kit.commit() == "NOT_COORDINATOR"
    kit.clock.advance(3)
    assert kit.coordinator.node_of(GROUP) == node
    assert kit.commit() == "COORDINATOR_LOAD_IN_PROGRESS"
    kit.clock.advance(1)
    assert kit.commit() == ""


def test_the_last_lever_counts() -> None:
    kit = Kit()
    kit.coordinator.down(GROUP, 9)
    kit.coordinator.load(GROUP, 1)
    kit.clock.advance(1)
    assert kit.commit() == ""
    kit.coordinator.load(GROUP, 1)
    kit.coordinator.move(GROUP, 2, 5)
    kit.coordinator.down(GROUP, 1)
    kit.coordinator.down(GROUP, 5)
    kit.coordinator.move(GROUP, 1, 2)
    kit.coordinator.load(GROUP, 4)
    kit.clock.advance(3)
    assert kit.commit() == "COORDINATOR_LOAD_IN_PROGRESS"
    kit.clock.advance(1)
    assert kit.commit() == ""


def test_what_a_loading_coordinator_answers() -> None:
    kit = Kit()
    a = Classic(kit, "a.1")
    kit.form(a)
    a.commit(7)
    kit.coordinator.load(GROUP, 2)
    loading = "COORDINATOR_LOAD_IN_PROGRESS"
    assert a.heartbeat() == ""
    assert a.sync()[0].error == loading
    assert a.ask_to_join()[0].error == loading
    assert a.leave() == loading
    assert a.commit() == loading
    assert kit.fetch().error == loading
    assert Consumer848(kit, "b.1").join() == loading
    assert kit.coordinator.set_offset(GROUP, orders(0)[0], Commit(1)) == loading
    assert kit.coordinator.delete_group(GROUP) == loading
    assert kit.coordinator.members(GROUP) == {}
    kit.coordinator.expel(GROUP, a.id)
    kit.clock.advance(2)
    assert kit.fetch().offsets[orders(0)[0]].offset == 7
    assert list(kit.coordinator.members(GROUP)) == [a.id]


def test_a_stable_group_goes_on() -> None:
    kit = Kit()
    a, b = Classic(kit, "a.1"), Classic(kit, "b.1", instance_id="b")
    kit.form(a, b)
    kit.coordinator.move(GROUP, 2, SESSION * 2)
    kit.clock.advance(SESSION * 2)
    # Sessions start anew: nobody could send a heartbeat meanwhile.
    kit.clock.advance(SESSION - 1)
    assert a.heartbeat() == b.heartbeat() == ""
    assert a.commit() == ""
    assert a.sync()[0].assignment == a.assignment
    assert b.sync()[0].assignment == b.assignment


def test_a_join_in_progress_is_forgotten() -> None:
    kit = Kit()
    a, b = Classic(kit, "a.1"), Classic(kit, "b.1")
    kit.form(a)
    waiting = b.join()
    kit.coordinator.load(GROUP, 1)
    assert waiting[0].error == "NOT_COORDINATOR"
    kit.clock.advance(1)
    assert kit.coordinator.state(GROUP) == "Stable"
    assert a.heartbeat() == ""
    assert b.ask_to_join()[0].error == "UNKNOWN_MEMBER_ID"


def test_a_generation_that_was_not_synced_is_forgotten() -> None:
    kit = Kit()
    a, b = Classic(kit, "a.1"), Classic(kit, "b.1")
    kit.form(a, b)
    generation = a.generation
    leader, follower = (a, b) if a.leads else (b, a)
    leader.join()
    follower.join()
    leader.learn()
    waiting = follower.sync()
    kit.coordinator.load(GROUP, 1)
    assert waiting[0].error == "NOT_COORDINATOR"
    kit.clock.advance(1)
    assert follower.generation == generation + 1
    assert follower.heartbeat() == "ILLEGAL_GENERATION"
    assert follower.commit() == "ILLEGAL_GENERATION"
    # The same number again, now for another generation.
    kit.form(leader, follower)
    assert follower.generation == generation + 1


def test_members_that_were_lost_with_their_coordinator_rebalance_by_timeout() -> None:
    kit = Kit()
    a, b = Classic(kit, "a.1"), Classic(kit, "b.1")
    kit.form(a, b)
    kit.coordinator.move(GROUP, 2, 1)
    kit.clock.advance(1)
    for _ in range(int(SESSION)):
        kit.clock.advance(1)
        a.heartbeat()
    assert a.heartbeat() == "REBALANCE_IN_PROGRESS"
    a.join()
    assert a.sync()[0].assignment == orders(0, 1, 2, 3)


@pytest.mark.parametrize("joining", [False, True])
def test_an_empty_group_stays_empty(joining: bool) -> None:
    kit = Kit()
    a = Classic(kit, "a.1")
    a.ask_to_join()
    if joining:
        kit.coordinator.settings.initial_delay = REBALANCE
        a.join()
    kit.coordinator.load(GROUP, 1)
    kit.clock.advance(1)
    assert kit.coordinator.state(GROUP) == "Empty"
    assert a.ask_to_join()[0].error == ("UNKNOWN_MEMBER_ID" if joining else "MEMBER_ID_REQUIRED")


def test_all_of_a_group_of_the_consumer_protocol_survives() -> None:
    kit = Kit()
    a, b = Consumer848(kit, "a.1"), Consumer848(kit, "b.1")
    a.join()
    b.join()
    a.beat()
    kit.coordinator.move(GROUP, 3, 60)
    kit.clock.advance(60)
    assert kit.coordinator.state(GROUP) == "Reconciling"
    kit.clock.advance(REBALANCE - 1)
    settle(a, b)
    assert sorted(a.owned + b.owned) == list(orders(0, 1, 2, 3))
    kit.coordinator.load(GROUP, 1)
    kit.clock.advance(1)
    assert a.commit() == ""
    assert a.beat(full=False).error == ""


def test_the_time_to_give_back_starts_anew() -> None:
    kit = Kit()
    a, b = Consumer848(kit, "a.1"), Consumer848(kit, "b.1")
    a.join()
    b.join()
    a.beat()
    kit.coordinator.load(GROUP, 1)
    kit.clock.advance(1 + REBALANCE)
    assert a.beat().error == "UNKNOWN_MEMBER_ID"


def test_an_expelled_member_is_unknown() -> None:
    kit = Kit()
    a = Classic(kit, "a.1")
    kit.form(a)
    kit.coordinator.expel(GROUP, a.id)
    kit.coordinator.expel(GROUP, a.id)
    kit.coordinator.expel("nobody's", a.id)
    assert a.heartbeat() == "UNKNOWN_MEMBER_ID"
    kit = Kit()
    c = Consumer848(kit, "c.1")
    c.join()
    kit.coordinator.expel(GROUP, c.id)
    kit.coordinator.expel(GROUP, c.id)
    assert c.follow() == "UNKNOWN_MEMBER_ID"


def test_an_expelled_member_that_waits_is_told() -> None:
    kit = Kit()
    a, b = Classic(kit, "a.1"), Classic(kit, "b.1")
    kit.form(a)
    waiting = b.join()
    kit.coordinator.expel(GROUP, b.id)
    assert waiting[0].error == "UNKNOWN_MEMBER_ID"
    (answer,) = b.kit.send("b.1", requests.JoinGroup(GROUP, "", None, 6, 10, "range", (TOPIC,)))
    kit.coordinator.expel(GROUP, answer.member_id)
    a.join()
    assert a.joins


def test_one_protocol_at_a_time() -> None:
    kit = Kit()
    a, b = Classic(kit, "a.1"), Consumer848(kit, "b.1")
    kit.form(a)
    assert b.join() == "GROUP_ID_NOT_FOUND"
    a.leave()
    assert b.join() == ""
    assert a.join()[0].error == "INCONSISTENT_GROUP_PROTOCOL"
    assert a.heartbeat() == a.sync()[0].error == a.leave() == "UNKNOWN_MEMBER_ID"
    b.leave()
    a.id = ""
    kit.form(a)
    assert a.assignment == orders(0, 1, 2, 3)


def test_other_requests_are_not_for_the_coordinator() -> None:
    with pytest.raises(TypeError, match="Metadata"):
        Kit().ask("a.1", requests.Metadata(None))
