"""Cooperative groups, where a partition changes hands in two rounds; and the coordinator's own assignor."""

from __future__ import annotations

from simulator.kafka.coordinator.assignors import balanced
from trio_consumer import Partition

from .coordinator_kit import TOPIC, Classic, Kit, orders


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


def test_balanced_moves_no_more_than_it_must() -> None:
    plan = balanced(dict.fromkeys("abc", (TOPIC,)), {"a": orders(0, 1, 2), "b": orders(3, 4, 5)}, {TOPIC: 6})
    assert {member: len(partitions) for member, partitions in plan.items()} == {"a": 2, "b": 2, "c": 2}
    assert set(plan["a"]) < set(orders(0, 1, 2))
    assert set(plan["b"]) < set(orders(3, 4, 5))


def test_balanced_keeps_to_subscriptions_and_existing_partitions() -> None:
    plan = balanced({"a": ("t",), "b": ("t", "u")}, {"a": [Partition("t", 9)]}, {"t": 1, "u": 2})
    assert plan == {"a": (Partition("t", 0),), "b": (Partition("u", 0), Partition("u", 1))}
