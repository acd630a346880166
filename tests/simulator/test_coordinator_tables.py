"""The tables are the coordinator: nothing happens outside of them, and every row can be reached."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from simulator.kafka.coordinator import TABLES
from simulator.kafka.coordinator.tables import MACHINES, Machine, UnknownTransition
from simulator.world.history import Transition

from .coordinator_crowd import ClassicCrowd, ConsumerCrowd, Crowd, Step

SEEDS = 120


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


@pytest.fixture(scope="module")
def taken() -> Counter[tuple[str, str, str, str]]:
    count: Counter[tuple[str, str, str, str]] = Counter()
    for seed in range(SEEDS):
        group = crowd(seed)
        group.play(steps(seed))
        count.update((row.table, row.state, row.event, row.after) for row in group.kit.events(Transition))
    return count


def test_every_row_is_reachable(taken: Counter[tuple[str, str, str, str]]) -> None:
    missing = [
        (name, *row[:3]) for name, rows in TABLES.items() for row in rows if (name, *row[:3]) not in taken
    ]
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
    for state in sorted(states):
        for event in sorted({event for _, event in rows}):
            told: list[tuple[str, str, str, str]] = []
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
