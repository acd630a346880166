"""The guard: what it calls slower, and what it stores."""

from __future__ import annotations

from pathlib import Path

from benchmarks import guard
from benchmarks.guard import TOLERANCE_MAX, TOLERANCE_MIN, Kept
from benchmarks.model import Comparison
from benchmarks.results import ScenarioResult, judge
from tests.benchmarks.support import candidate, measured, scenario


def result(*values: float | None) -> ScenarioResult:
    two = scenario(candidate("a"), candidate("b"), comparisons=[Comparison(of="a", to="b")])
    return judge(two, [measured(value, 1.0) for value in values])


BASELINE = {"a ÷ b": Kept(ratio=0.5, tolerance=0.2)}


def test_within_the_tolerance() -> None:
    verdict = guard.compare(result(0.41, 0.1, 0.59), BASELINE)
    assert (verdict.slower, verdict.faster, verdict.unknown) == ([], [], [])
    assert verdict.lines[-1] == "nothing got slower"


def test_slower() -> None:
    verdict = guard.compare(result(0.39), BASELINE)
    assert verdict.slower == ["a ÷ b is 0.39, it was 0.5: -22%"]
    assert verdict.lines[-1] == "SLOWER: a ÷ b is 0.39, it was 0.5: -22%"


def test_faster() -> None:
    verdict = guard.compare(result(0.61), BASELINE)
    assert len(verdict.faster) == 1
    assert "--update" in verdict.lines[-1]


def test_what_can_not_be_compared() -> None:
    assert guard.compare(result(0.5), {}).unknown == ["a ÷ b: not in the baseline"]
    assert guard.compare(result(None), BASELINE).unknown == ["a ÷ b: it was not measured"]


def test_a_baseline_is_stored_with_the_tolerance_that_its_noise_asks_for(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    assert guard.load(path) == {}
    assert guard.kept(result(0.5, 0.5)) == {"a ÷ b": Kept(ratio=0.5, tolerance=TOLERANCE_MIN)}
    found = guard.kept(result(0.4, 0.5, 0.6))
    assert found == {"a ÷ b": Kept(ratio=0.5, tolerance=0.4)}
    assert guard.kept(result(0.1, 0.5, 0.9)) == {"a ÷ b": Kept(ratio=0.5, tolerance=TOLERANCE_MAX)}
    assert guard.kept(result(None)) == {}
    guard.store(found, {"python": "3"}, path)
    assert guard.load(path) == found


def test_the_stored_baseline_is_of_these_ratios() -> None:
    assert set(guard.load()) == {f"{one.of} ÷ {one.to}" for one in guard.SCENARIO.comparisons}
