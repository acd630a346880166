"""Static members under the classic protocol: one id, one life at a time."""

from __future__ import annotations

from .coordinator_kit import GROUP, REBALANCE, SESSION, Classic, Kit, orders


def pair(session: float = SESSION) -> tuple[Kit, Classic, Classic]:
    kit = Kit()
    a, b = (
        Classic(kit, f"{name}.1", instance_id=f"instance-{name}", session=session, rebalance=REBALANCE)
        for name in ("a", "b")
    )
    kit.form(a, b)
    return kit, a, b


def restart(member: Classic) -> Classic:
    """The same instance id, and nothing else."""
    name = member.process.partition(".")[0]
    return Classic(member.kit, f"{name}.2", instance_id=member.instance_id, session=member.session)


def test_a_static_member_needs_no_id_first() -> None:
    kit = Kit()
    a = Classic(kit, "a.1", instance_id="one")
    (answer,) = a.ask_to_join()
    assert answer.error == ""
    assert answer.member_id


def test_a_restart_within_the_session_keeps_the_assignment() -> None:
    kit, a, b = pair()
    for old in (a, b):
        new = restart(old)
        (answer,) = new.join()
        assert answer.generation == old.generation
        assert not new.leads
        assert new.sync()[0].assignment == old.assignment
        assert kit.coordinator.state(GROUP) == "Stable"
        assert old.heartbeat() == "FENCED_INSTANCE_ID"
        assert old.commit() == "FENCED_INSTANCE_ID"
        assert old.join()[0].error == "FENCED_INSTANCE_ID"
        assert old.leave() == "FENCED_INSTANCE_ID"
        assert new.commit() == ""


def test_a_restarted_leader_leads_the_next_rebalance() -> None:
    kit, a, b = pair()
    assert a.leads
    new = restart(a)
    new.join()
    kit.form(new, b)
    assert new.leads or b.leads
    assert sorted(new.assignment + b.assignment) == list(orders(0, 1, 2, 3))


def test_a_member_that_closed_may_still_commit() -> None:
    # Closing does not leave: the coordinator can't know of it.
    _, a, _b = pair()
    assert a.commit() == ""


def test_the_instance_id_may_be_left_out_of_a_commit() -> None:
    kit, a, _b = pair()
    assert kit.commit(member_id=a.id, generation=a.generation) == ""
    assert kit.commit(member_id="x", generation=a.generation, instance_id=a.instance_id) == "FENCED_INSTANCE_ID"


def test_the_session_ends_the_membership() -> None:
    kit, a, b = pair()
    for _ in range(int(SESSION)):
        kit.clock.advance(1)
        b.heartbeat()
    assert a.heartbeat() == "UNKNOWN_MEMBER_ID"
    new = restart(a)
    new.join()
    assert kit.coordinator.state(GROUP) == "PreparingRebalance"


def test_an_absent_static_member_keeps_its_place_in_a_rebalance() -> None:
    kit, a, b = pair(session=2 * REBALANCE)
    c = Classic(kit, "c.1", instance_id="instance-c", session=2 * REBALANCE)
    c.join()
    b.join()
    kit.clock.advance(REBALANCE)
    c.learn()
    b.learn()
    assert a.id in kit.coordinator.members(GROUP)
    assert b.generation == c.generation == 3
    assert a.heartbeat() == "ILLEGAL_GENERATION"
    leader = b if b.leads else c
    assert len(leader.joined.members if leader.joined else {}) == 3


def test_a_rebalance_waits_while_only_absent_static_members_are_left() -> None:
    kit, a, b = pair(session=3 * REBALANCE)
    c = Classic(kit, "c.1", rebalance=REBALANCE)
    c.join()
    c.leave()
    kit.clock.advance(REBALANCE + 1)
    assert kit.coordinator.state(GROUP) == "PreparingRebalance"
    assert list(kit.coordinator.members(GROUP)) == [a.id, b.id]
    kit.form(a, b)
    assert kit.coordinator.state(GROUP) == "Stable"


def test_a_twin_fences_the_one_that_waits_for_a_join() -> None:
    kit, a, _b = pair()
    Classic(kit, "c.1").join()
    waiting = a.ask_to_join()
    restart(a).join()
    assert waiting[0].error == "FENCED_INSTANCE_ID"


def test_a_twin_fences_the_one_that_waits_for_a_sync() -> None:
    kit, a, b = pair()
    c = Classic(kit, "c.1")
    c.join()
    a.join()
    b.join()
    a.learn()
    c.learn()
    follower = b if a.leads else a
    waiting = follower.sync()
    assert waiting == []
    restart(follower).join()
    assert waiting[0].error == "FENCED_INSTANCE_ID"
    assert kit.coordinator.state(GROUP) == "PreparingRebalance"


def test_an_administrator_removes_by_instance_id() -> None:
    kit, a, b = pair()
    other = Classic(kit, "admin", instance_id=a.instance_id)
    assert other.leave() == ""
    assert list(kit.coordinator.members(GROUP)) == [b.id]
    assert other.leave() == "UNKNOWN_MEMBER_ID"
