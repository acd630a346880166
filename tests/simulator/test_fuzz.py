"""Many seeds: the same ones whatever the number of jobs, and no failure is lost, not even that of a whole process."""

from __future__ import annotations

import traceback

import pytest

from simulator.faults.catalogue import KINDS
from simulator.tools.fuzz import fuzz, judge, load
from simulator.tools.tally import Plan, Tally, Verdict, all_rows, coverage
from tests.simulator.synthetic import ORACLE, ROWS, run
from trio_consumer import ConfigurationError

WORLD = "tests.simulator.synthetic:run"
ROUGH = "tests.simulator.synthetic:run_rough"
ENDLESS = "tests.simulator.synthetic:run_endless"


def traceback_of(error: Exception) -> str:
    try:
        raise error
    except Exception as caught:
        return "".join(traceback.format_exception(caught))


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_the_seeds_do_not_depend_on_the_jobs(jobs: int) -> None:
    alone = fuzz(Plan(start=100, seeds=20, runner=WORLD))
    shared = fuzz(Plan(start=100, seeds=20, jobs=jobs, runner=WORLD))
    assert alone.failures
    assert list(alone.failures.items()) == list(shared.failures.items())
    assert (alone.seeds, alone.fired, alone.transitions) == (shared.seeds, shared.fired, shared.transitions)
    assert (alone.schedulers, alone.protocols, alone.steps) == (shared.schedulers, shared.protocols, shared.steps)
    assert sum(alone.schedulers.values()) == 20


def test_each_seed_runs_once() -> None:
    plan = Plan(start=5, seeds=10, jobs=3)
    assert sorted(seed for job in range(3) for seed in plan.dealt(job)) == list(range(5, 15))
    assert list(plan.dealt(1, 1)) == list(plan.dealt(1))[1:]


def test_failures_say_what_and_how_to_see_it_again() -> None:
    given = {"faults": frozenset({"commit-delayed"}), "members": 2, "partitions": 2, "records": 9}
    tally = fuzz(Plan(seeds=3, runner=WORLD, given=given))
    assert list(tally.failures) == [0, 1, 2]
    assert tally.failures[1].kind == ORACLE
    assert tally.failures[1].found[0].time > 0
    assert tally.violations == 3
    command = "python -m simulator run --seed 1 --faults commit-delayed --members 2 --partitions 2 --records 9"
    assert tally.command(1) == command


def test_a_world_that_raises_or_kills_its_process_is_a_failure() -> None:
    given = {"faults": frozenset({"stall"})}
    tally = fuzz(Plan(seeds=12, jobs=2, runner=ROUGH, given=given))
    assert tally.seeds == 12
    assert list(tally.failures) == [3, 5]
    assert "died (exit code 7)" in tally.failures[3].error
    assert "of the world itself" in tally.failures[5].error
    assert tally.violations == 2


@pytest.mark.parametrize(
    ("error", "type_"),
    [
        ("", ""),
        ("Stuck: for ever", "Stuck"),
        (traceback_of(KeyError("x: y")), "KeyError"),
        (traceback_of(ConfigurationError("a=1:\nGive: 2")), "trio_consumer.errors.ConfigurationError"),
        ("the process that ran the world died (exit code 7)", ""),
    ],
)
def test_errors_are_told_apart_by_their_types(error: str, type_: str) -> None:
    assert Verdict(1, error=error).error_type == type_


def test_a_world_without_end_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.tools.fuzz.WORLD_SECONDS_MAX", 5.0)
    monkeypatch.setattr("simulator.tools.fuzz.LOOK_SECONDS", 0.1)
    tally = fuzz(Plan(seeds=4, jobs=2, runner=ENDLESS, given={"faults": frozenset()}))
    assert tally.seeds == 4
    assert list(tally.failures) == [1]
    assert "not come to its end" in tally.failures[1].error


def test_it_stops_after_so_many_failures() -> None:
    plan = Plan(seeds=10_000, runner=WORLD, stop_after=2, given={"faults": frozenset({"commit-delayed"}), "members": 2})
    tally = fuzz(plan)
    assert len(tally.failures) == 2
    assert tally.seeds < 100


@pytest.mark.parametrize("jobs", [1, 2])
def test_it_stops_when_the_time_is_over(jobs: int) -> None:
    tally = fuzz(Plan(seconds=1.0, jobs=jobs, runner=WORLD))
    assert tally.seconds >= 1.0
    assert tally.seeds > 0


def test_it_is_shown_progress() -> None:
    seen: list[int] = []
    fuzz(Plan(seeds=5, runner=WORLD), lambda tally: seen.append(tally.seeds))
    assert seen == [1, 2, 3, 4, 5, 5]


def test_coverage_names_what_never_happened() -> None:
    tally = fuzz(Plan(seeds=20, runner=WORLD))
    never, scripted = ("classic", "Dead", "join", "Dead"), ("classic", "Dead", "expire", "Dead")
    found = coverage(tally, {**dict.fromkeys(ROWS, True), never: True, scripted: False})
    assert found.kinds == len(KINDS)
    assert "handler-fails" in found.never_fired
    assert "crash" not in found.never_fired
    assert found.never_taken == (never,)
    assert found.rows == len(ROWS) + 1
    assert found.unknown == ()
    assert not found.complete


def test_coverage_is_complete_for_what_was_given() -> None:
    tally = fuzz(Plan(seeds=20, runner=WORLD, given={"faults": frozenset({"crash"})}))
    assert coverage(tally, dict.fromkeys(ROWS, True)).complete
    assert coverage(tally, dict.fromkeys(ROWS, False)).complete
    assert coverage(tally, {ROWS[0]: True}).unknown == ROWS[1:]


def test_the_rows_are_those_of_the_coordinator() -> None:
    rows = all_rows()
    assert len(rows) > 50
    assert any(rows.values())
    assert all(len(row) == 4 for row in rows)


def test_an_empty_tally_has_no_rate() -> None:
    assert Tally(Plan(seeds=1, runner=WORLD)).seeds_per_second == 0


def test_a_seed_is_judged_alone() -> None:
    assert judge(12, {}, run) == judge(12, {}, load(WORLD))


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({}, "give --seeds 1000 or --minutes 10"),
        ({"seeds": 0}, "--seeds 0: give at least 1"),
        ({"seeds": 1, "jobs": 0}, "--jobs 0"),
        ({"seconds": 0.0}, "--minutes 0"),
        ({"seeds": 1, "stop_after": 0}, "--stop-after 0"),
        ({"seeds": 1, "given": {"protocol": "raft"}}, "protocol='raft'"),
    ],
)
def test_wrong_plans_say_what_to_give(plan: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Plan(**plan)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["nonsense", "no.such.module:run", "tests.simulator.synthetic:nothing"])
def test_a_runner_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(ConfigurationError, match="can't be imported"):
        load(name)
