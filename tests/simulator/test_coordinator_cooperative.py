"""Cooperative groups and the assignors: what the leader plans, and that a partition changes hands in two rounds."""

from __future__ import annotations

import pytest

from simulator.kafka.coordinator import assign
from simulator.kafka.coordinator.assignors import balanced
from simulator.kafka.requests import JoinGroup
from trio_consumer import Partition

from .coordinator_kit import TOPIC, Classic, Kit, orders


def subscription(
    *topics: str, owned: tuple[Partition, ...] = (), generation: int = -1, instance_id: str | None = None
) -> JoinGroup:
    return JoinGroup("g", "", instance_id, 6, 10, "", topics or (TOPIC,), owned, generation)


def test_what_moves_is_given_back_first() -> None:
    kit = Kit()
    a, b = (Classic(kit, name, protocol="cooperative-sticky") for name in ("a.1", "b.1"))
    kit.form(a)
    assert a.assignment == orders(0, 1, 2, 3)
    kit.form(a, b)
    # The first round takes from A and gives nothing of it to B.
    assert len(a.assignment) == 2
    assert b.assignment == ()
    # A owns less now, so its subscription has changed, and it joins again.
    kit.form(a, b)
    assert sorted(a.assignment + b.assignment) == list(orders(0, 1, 2, 3))
    assert len(b.assignment) == 2


def test_a_follower_that_owns_something_else_starts_a_rebalance() -> None:
    kit = Kit()
    a, b = (Classic(kit, name, protocol="cooperative-sticky") for name in ("a.1", "b.1"))
    kit.form(a, b)
    kit.form(a, b)
    follower = b if a.leads else a
    follower.assignment = ()
    follower.join()
    assert kit.coordinator.state("group") == "PreparingRebalance"


def test_range_gives_each_topic_in_ranges() -> None:
    members = {"b": subscription("t", "u"), "a": subscription("t"), "c": subscription("t")}
    assert assign("range", members, {"t": 4, "u": 1, "v": 1}) == {
        "a": (Partition("t", 0), Partition("t", 1)),
        "b": (Partition("t", 2), Partition("u", 0)),
        "c": (Partition("t", 3),),
    }


def test_range_orders_static_members_by_instance() -> None:
    members = {"x": subscription(instance_id="two"), "y": subscription(instance_id="one")}
    assert assign("range", members, {TOPIC: 2}) == {"y": orders(0), "x": orders(1)}


def test_the_later_generation_owns_what_two_claim() -> None:
    for former, later in (("a", "b"), ("b", "a")):
        claims = {former: 4, later: 5}
        members = {name: subscription(owned=orders(0, 1), generation=claims[name]) for name in ("a", "b")}
        plan = assign("cooperative-sticky", members, {TOPIC: 2})
        assert plan[former] == ()
        assert len(plan[later]) == 1


def test_balanced_moves_no_more_than_it_must() -> None:
    plan = balanced(dict.fromkeys("abc", (TOPIC,)), {"a": orders(0, 1, 2), "b": orders(3, 4, 5)}, {TOPIC: 6})
    assert {member: len(partitions) for member, partitions in plan.items()} == {"a": 2, "b": 2, "c": 2}
    assert set(plan["a"]) < set(orders(0, 1, 2))
    assert set(plan["b"]) < set(orders(3, 4, 5))


def test_balanced_keeps_to_subscriptions_and_existing_partitions() -> None:
    plan = balanced({"a": ("t",), "b": ("t", "u")}, {"a": [Partition("t", 9)]}, {"t": 1, "u": 2})
    assert plan == {"a": (Partition("t", 0),), "b": (Partition("u", 0), Partition("u", 1))}


def test_an_unknown_strategy_is_an_error() -> None:
    with pytest.raises(LookupError, match="roundrobin"):
        assign("roundrobin", {}, {})
