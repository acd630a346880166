"""The judgement, and results as JSON."""

from __future__ import annotations

import json

import attrs
import pytest

from benchmarks import results
from benchmarks.model import Comparison, Measurement
from benchmarks.results import judge
from tests.benchmarks.support import candidate, measured, scenario


def test_judge_compares_round_by_round() -> None:
    two = scenario(candidate("a"), candidate("b"), comparisons=[Comparison(of="a", to="b", ratio_min=0.5)])
    result = judge(two, [measured(10.0, 20.0), measured(6.0, 10.0), measured(1.0, 10.0)])
    assert [one.values for one in result.candidates] == [[10.0, 6.0, 1.0], [20.0, 10.0, 10.0]]
    assert result.comparisons[0].values == [0.5, 0.6, 0.1]
    assert result.comparisons[0].reached
    assert result.valid


def test_a_value_with_a_problem_counts_for_nothing() -> None:
    two = scenario(candidate("a"), candidate("b"), comparisons=[Comparison(of="a", to="b")])
    lost = Measurement(value=1e9, problems=["1 records were not handled"], detail={"commits": 7})
    result = judge(two, [[lost, Measurement(value=1.0)], measured(2.0, 1.0)])
    assert result.candidates[0].values == [None, 2.0]
    assert result.candidates[0].problems == ["1 records were not handled"]
    assert result.candidates[0].detail == {}
    assert result.comparisons[0].values == [None, 2.0]
    assert not result.valid


def test_what_went_wrong_in_a_warm_up_counts_for_all_rounds() -> None:
    one = scenario(candidate("a"))
    bad = Measurement(value=1.0, problems=["2 records of a key overlapped"])
    result = judge(one, [measured(1.0), measured(1.0)], [[bad]])
    assert result.candidates[0].values == [None, None]
    assert result.candidates[0].problems == ["2 records of a key overlapped"]


def test_one_that_was_skipped_did_no_wrong() -> None:
    two = scenario(candidate("a"), candidate("b"), comparisons=[Comparison(of="a", to="b", ratio_min=2)])
    result = judge(two, [[Measurement(value=1.0), Measurement(value=None, skipped="no Java")]])
    assert result.valid
    assert result.candidates[1].skipped == "no Java"
    assert result.comparisons[0].values == [None]
    assert result.comparisons[0].reached is False


@pytest.mark.parametrize(
    ("least", "most", "reached"), [(0.5, None, True), (0.6, None, False), (None, 0.5, True), (None, 0.4, False)]
)
def test_targets_of_a_ratio(least: float | None, most: float | None, reached: bool) -> None:
    one = Comparison(of="a", to="b", ratio_min=least, ratio_max=most)
    result = judge(scenario(candidate("a"), candidate("b"), comparisons=[one]), [measured(1.0, 2.0)])
    assert result.comparisons[0].reached is reached


def test_targets_of_values_and_details() -> None:
    rounds = [[Measurement(value=value, detail={"p99_ms": 10 * value})] for value in (9.0, 10.0, 99.0)]
    one = candidate("a", value_max=10.0, detail_max={"p99_ms": 99.0, "p50_ms": 1.0})
    result = judge(scenario(one), rounds).candidates[0]
    assert result.reached
    assert result.detail_reached == {"p99_ms": False, "p50_ms": False}
    assert judge(scenario(candidate("a", value_max=9.9)), rounds).candidates[0].reached is False
    assert judge(scenario(candidate("a")), rounds).candidates[0].reached is None


def test_results_survive_json() -> None:
    point = candidate("a", options={"handler": {"kind": "noop"}}, series="ours", at=12, detail_max={"x": 2.0})
    two = scenario(
        point, candidate("b", runtime="java", share=0.5), comparisons=[Comparison(of="a", to="b", ratio_min=0.5)]
    )
    seen = Measurement(value=3.0, detail={"x": 1.0}, curve=[[50.0, 1.0]])
    wrong = Measurement(value=1.0, problems=["lost"])
    result = judge(two, [[seen, Measurement(value=4.0)], [wrong, Measurement(value=None, skipped="no Java")]])
    run = json.loads(json.dumps(results.as_json([result], "here", {"python": "3"}, rounds=2, targets=True)))
    assert run["scenarios"][0]["comparisons"][0]["values"] == [0.75, None]
    assert run["scenarios"][0]["candidates"][0]["median"] == 3.0
    (again,) = results.from_json(run)
    assert results.as_json([again], "here", {"python": "3"}, rounds=2, targets=True) == run
    assert again.scenario == attrs.evolve(two, candidates=list(two.candidates))
    assert [one.values for one in again.candidates] == [[3.0, None], [4.0, None]]
    assert again.comparisons == result.comparisons


@pytest.mark.parametrize("run", [{}, {"scenarios": [{}]}, {"scenarios": [1]}])
def test_what_is_not_a_run(run: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no results"):
        results.from_json(run)
