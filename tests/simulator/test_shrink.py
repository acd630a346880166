"""Shrinking finds what a failure needs, keeps its kind, and stops at its bounds."""

from __future__ import annotations

import attrs
import pytest

from simulator.faults.catalogue import KINDS
from simulator.tools.shrink import Shrink, fewer, lower, shrink
from simulator.world.draw import draw
from simulator.world.history import Moment, Violated
from simulator.world.scenario import Scenario
from tests.simulator.synthetic import ORACLE, Outcome, run, run_picky
from trio_consumer import ConfigurationError

LARGE = draw(
    12,
    faults=frozenset(KINDS),
    scheduler="pct",
    members=4,
    partitions=6,
    records=200,
    protocol="consumer",
    static=True,
    hooks=True,
)


def test_the_smallest_world_has_only_what_the_failure_needs() -> None:
    shrunk = shrink(LARGE, run)
    smallest = shrunk.scenario
    assert shrunk.complete
    assert shrunk.kind == ORACLE
    assert shrunk.found is not None
    assert smallest.faults == {"commit-delayed"}
    assert (smallest.members, smallest.partitions, smallest.records, smallest.keys) == (2, 2, 7, 1)
    assert (smallest.scheduler, smallest.protocol) == ("shuffle", "range")
    assert (smallest.static, smallest.hooks) == (False, False)
    assert [*smallest.options, *smallest.settings, *smallest.scale] == []
    assert smallest.fault_seconds == 0
    assert shrunk.fired == 1


def test_it_still_fails_when_pasted() -> None:
    shrunk = shrink(LARGE, run)
    again: Scenario = eval(shrunk.scenario.pasted(), {"Scenario": Scenario})
    assert run(again).moments == run(shrunk.scenario).moments
    assert any(type(moment.event).__name__ == "Violated" for moment in run(again).moments)


def test_the_same_shrink_gives_the_same_world() -> None:
    first, second = shrink(LARGE, run), shrink(LARGE, run)
    assert first == second


def test_a_world_that_does_not_fail_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="seed 7 does not fail"):
        shrink(Scenario(seed=7), run)


def test_the_bound_on_tries_holds() -> None:
    tried: list[Scenario] = []

    def counted(scenario: Scenario) -> Outcome:
        tried.append(scenario)
        return run(scenario)

    shrunk = shrink(LARGE, counted, tries_max=9)
    assert len(tried) == shrunk.tries == 9
    assert not shrunk.complete


def test_no_time_is_no_shrink() -> None:
    with pytest.raises(ConfigurationError, match="give at least 1"):
        shrink(LARGE, run, tries_max=0)


def test_no_world_is_run_twice_with_the_same_seeds() -> None:
    tried: list[str] = []

    def counted(scenario: Scenario) -> Outcome:
        tried.append(scenario.pasted())
        return run(scenario)

    shrink(LARGE, counted)
    assert max(tried.count(one) for one in set(tried)) <= 2  # once more when other seeds are tried


def test_worlds_that_settings_forbid_are_passed_over() -> None:
    assert shrink(LARGE, run_picky).scenario.partitions == 2


def test_another_failure_is_not_taken_for_the_same() -> None:
    def run_with_another(scenario: Scenario) -> Outcome:
        outcome = run(scenario)
        if scenario.records < 50:
            return attrs.evolve(outcome, moments=(), error="Stuck: elsewhere")
        return outcome

    assert shrink(LARGE, run_with_another).scenario.records == 50


def test_another_anomaly_of_the_oracle_is_not_the_same() -> None:
    def run_with_another(scenario: Scenario) -> Outcome:
        outcome = run(scenario)
        if scenario.records < 50:
            other = Moment(1.0, Violated(ORACLE, "another", ""))
            return attrs.evolve(outcome, moments=(other,))
        return outcome

    assert shrink(LARGE, run_with_another).scenario.records == 50


def test_errors_of_worlds_are_shrunk_by_their_type() -> None:
    def run_stuck(scenario: Scenario) -> Outcome:
        outcome = attrs.evolve(run(scenario), moments=())
        if scenario.members < 2:
            return attrs.evolve(outcome, error="HotLoop: another one")
        return attrs.evolve(outcome, error=f"Stuck: with {scenario.records} records")

    shrunk = shrink(LARGE, run_stuck)
    assert shrunk.kind == "error"
    assert (shrunk.scenario.members, shrunk.scenario.records) == (2, 1)
    assert shrunk.found is None


def test_it_is_shown_every_world() -> None:
    seen: list[tuple[int, int]] = []
    shrunk = Shrink(LARGE, run, look=lambda now: seen.append((now.tries, now.scenario.records))).run()
    assert [tries for tries, _ in seen] == list(range(1, shrunk.tries + 1))
    assert (seen[0][1], seen[-1][1]) == (200, 7)


def test_numbers_get_lower_by_large_steps_first() -> None:
    tried: list[int] = []

    def accepts(number: int) -> bool:
        tried.append(number)
        return number >= 37

    assert lower(1, 200, accepts) == 37
    assert tried[:3] == [1, 101, 2]
    assert len(tried) < 25
    assert lower(3, 3, accepts) == 3


def test_items_get_fewer() -> None:
    tried: list[tuple[int, ...]] = []

    def accepts(items: tuple[int, ...]) -> bool:
        tried.append(items)
        return {3, 17, 18} <= set(items)

    assert fewer(range(40), accepts) == (3, 17, 18)
    assert tried[0] == ()
    assert len(tried) < 50
    assert fewer((), accepts) == ()
