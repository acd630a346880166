"""The tables are the coordinator: nothing happens outside of them, and every row can be reached."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from simulator.kafka.coordinator import TABLES
from simulator.kafka.coordinator.tables import MACHINES, Machine, UnknownTransition
from simulator.world.history import Transition

from .coordinator_crowd import ClassicCrowd, ConsumerCrowd, Crowd, Step
from .coordinator_kit import GROUP, REBALANCE, Classic, Consumer848, Kit

SEEDS = 200


def steps(seed: int) -> list[Step]:
    dice = random.Random(seed)
    return [(dice.randrange(120), dice.randrange(4), dice.randrange(60)) for _ in range(150)]


def crowd(seed: int) -> Crowd:
    kinds = (
        lambda: ClassicCrowd("range"),
        lambda: ClassicCrowd("cooperative-sticky"),
        lambda: ClassicCrowd("range", initial_delay=3.0, patient=True),
        lambda: ClassicCrowd("cooperative-sticky", patient=True),
        lambda: ConsumerCrowd("4.3"),
        lambda: ConsumerCrowd("4.1"),
    )
    return kinds[seed % len(kinds)]()


def rare_in_classic_groups() -> list[Kit]:
    """What the sweep meets too seldom."""
    kits = [Kit() for _ in range(4)]

    # An instance that comes back with another strategy.
    a = Classic(kits[0], "a.1", instance_id="a")
    kits[0].form(a)
    Classic(kits[0], "a.2", instance_id="a", protocol="cooperative-sticky").join()

    # A new member whose join takes longer than new members may wait.
    a, b = (Classic(kits[1], name, session=900, rebalance=900) for name in ("a.1", "b.1"))
    kits[1].form(a)
    b.join()
    kits[1].clock.advance(300)

    # A follower that joins and never syncs, though the leader does; an id that is given back.
    a, b = (Classic(kits[2], name, session=60) for name in ("a.1", "b.1"))
    kits[2].form(a)
    b.join()
    a.join()
    a.sync()
    kits[2].clock.advance(REBALANCE)
    b.id = b.ask_to_join()[0].member_id
    c = Classic(kits[2], "c.1")
    c.id = c.ask_to_join()[0].member_id
    c.leave()

    # A static follower that starts again while its former life waits for the leader.
    a, b = (Classic(kits[3], name, instance_id=name[0]) for name in ("a.1", "b.1"))
    kits[3].form(a)
    b.join()
    a.join()
    b.learn()
    b.sync()
    Classic(kits[3], "b.2", instance_id="b").join()
    b.ask_to_join()
    return kits


def rare_in_consumer_groups() -> list[Kit]:
    """The same under KIP-848."""
    kits = [Kit() for _ in range(3)]

    # A group that everybody leaves while it reconciles.
    d, e = (Consumer848(kits[0], name) for name in ("d.1", "e.1"))
    d.join()
    e.join()
    e.leave()
    d.follow()
    e.join()
    d.beat()
    d.leave()
    e.beat()
    kits[0].topics["other"] = 1
    e.leave()
    d, e = (Consumer848(kits[0], name) for name in ("d.2", "e.2"))
    d.join()
    d.leave(for_a_while=True)
    d.leave()

    # Static members that go away at any stage, and one that an administrator removes then.
    d, e = (Consumer848(kits[1], name, instance_id=name[0]) for name in ("d.1", "e.1"))
    d.join()
    e.join()
    d.beat()
    d.leave(for_a_while=True)
    kits[1].coordinator.expel(GROUP, d.id)
    e.follow()
    e.leave(for_a_while=True)
    kits[1].coordinator.expel(GROUP, e.id)

    # One that comes back while the group has no target yet.
    d, e = (Consumer848(kits[2], name, instance_id=name[0]) for name in ("d.1", "e.1"))
    d.join()
    e.join()
    d.leave(for_a_while=True)
    e.leave()
    d.join()
    return kits


@pytest.fixture(scope="module")
def taken() -> Counter[tuple[str, str, str, str]]:
    count: Counter[tuple[str, str, str, str]] = Counter()
    for seed in range(SEEDS):
        group = crowd(seed)
        group.play(steps(seed))
        count.update((row.table, row.state, row.event, row.after) for row in group.kit.events(Transition))
    for kit in (*rare_in_classic_groups(), *rare_in_consumer_groups()):
        count.update((row.table, row.state, row.event, row.after) for row in kit.events(Transition))
    return count


def test_every_row_is_reachable(taken: Counter[tuple[str, str, str, str]]) -> None:
    missing = [(name, *row[:3]) for name, rows in TABLES.items() for row in rows if (name, *row[:3]) not in taken]
    assert missing == []


def test_nothing_happens_outside_of_the_tables(taken: Counter[tuple[str, str, str, str]]) -> None:
    rows = {(name, *row[:3]) for name, rows in TABLES.items() for row in rows}
    assert set(taken) <= rows


@pytest.mark.parametrize("table", ["classic group", "consumer group", "coordinator"])
def test_each_state_follows_from_the_one_before(table: str) -> None:
    for seed in range(12):
        group = crowd(seed)
        group.play(steps(seed))
        state = ""
        for event in group.kit.events(Transition):
            if event.table == table:
                assert state in ("", "Dead", event.state) or event.state == "Empty"
                state = event.after


@pytest.mark.parametrize("table", sorted(MACHINES))
def test_an_event_that_has_no_row_is_an_error(table: str) -> None:
    rows = {(row.state, row.event) for row in MACHINES[table]}
    states = {row.state for row in MACHINES[table]}
    told: list[tuple[str, str, str, str]] = []
    for state in sorted(states):
        for event in sorted({event for _, event in rows}):
            told.clear()
            machine = Machine(table, state, lambda *row: told.append(row))
            if (state, event) in rows:
                machine.take(event)
                assert told == [(table, state, event, machine.state)]
            else:
                with pytest.raises(UnknownTransition, match="has no row"):
                    machine.take(event)
                assert (machine.state, told) == (state, [])


@pytest.mark.parametrize("table", sorted(TABLES))
def test_no_row_is_there_twice(table: str) -> None:
    keys = [(row.state, row.event) for row in TABLES[table]]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("table", sorted(MACHINES))
def test_every_state_but_the_last_can_be_left(table: str) -> None:
    befores = {row.state for row in MACHINES[table]}
    assert {row.after for row in MACHINES[table]} - befores <= {"Dead"}
