"""What was measured, sorted by candidate and compared; and the same from JSON and to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import attrs

from .figures import Spread, ratios, reached, spread
from .model import Candidate, Comparison, Measurement, Scenario, Workload

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class CandidateResult:
    """All rounds of one candidate."""

    candidate: Candidate
    rounds: Sequence[Measurement]

    @property
    def values(self) -> list[float | None]:
        """By round; ``None`` for one that is not valid."""
        return [one.value if one.valid else None for one in self.rounds]

    @property
    def problems(self) -> list[str]:
        """Each once."""
        return list(dict.fromkeys(problem for one in self.rounds for problem in one.problems))

    @property
    def skipped(self) -> str:
        """Why it was not measured, if it was not."""
        return next((one.skipped for one in self.rounds if one.skipped), "")

    @property
    def detail(self) -> dict[str, Spread]:
        """What else was read."""
        names = dict.fromkeys(name for one in self.rounds for name in one.detail)
        found = {name: spread(one.detail.get(name) for one in self.rounds if one.valid) for name in names}
        return {name: value for name, value in found.items() if value is not None}

    @property
    def reached(self) -> bool | None:
        """Whether the target of the value is; ``None`` without one."""
        most = self.candidate.value_max
        return None if most is None else reached(spread(self.values), most=most)

    @property
    def detail_reached(self) -> dict[str, bool]:
        """Whether the targets of details are."""
        return {name: reached(self.detail.get(name), most=most) for name, most in self.candidate.detail_max.items()}


@attrs.frozen(kw_only=True)
class ComparisonResult:
    """One ratio, round by round."""

    comparison: Comparison
    values: Sequence[float | None]

    @property
    def reached(self) -> bool | None:
        """Whether its targets are; ``None`` without one."""
        least, most = self.comparison.ratio_min, self.comparison.ratio_max
        if least is None and most is None:
            return None
        return reached(
            spread(self.values),
            **({} if least is None else {"least": least}),
            **({} if most is None else {"most": most}),
        )


@attrs.frozen(kw_only=True)
class CurveResult:
    """How flat a curve is."""

    series: str
    points: Sequence[CandidateResult]
    flat_max: float

    @property
    def ratio(self) -> float | None:
        """The highest median ÷ the lowest; ``None`` if a point has none."""
        medians = [found.median for one in self.points if (found := spread(one.values))]
        return max(medians) / min(medians) if medians and len(medians) == len(self.points) else None

    @property
    def reached(self) -> bool:
        """Whether its target is."""
        return self.ratio is not None and self.ratio <= self.flat_max


@attrs.frozen(kw_only=True)
class ScenarioResult:
    """One scenario of a run."""

    scenario: Scenario
    candidates: Sequence[CandidateResult]
    comparisons: Sequence[ComparisonResult]

    @property
    def valid(self) -> bool:
        """False if a candidate did wrong. One that was skipped did not."""
        return not any(one.problems for one in self.candidates)

    @property
    def curves(self) -> Sequence[CurveResult]:
        """Those that should be flat."""
        return [
            CurveResult(
                series=series,
                points=[one for one in self.candidates if one.candidate.series == series],
                flat_max=flat_max,
            )
            for series, flat_max in self.scenario.flat_max.items()
        ]


def judge(
    scenario: Scenario, rounds: Sequence[Sequence[Measurement]], warm_ups: Sequence[Sequence[Measurement]] = ()
) -> ScenarioResult:
    """Sort what was measured by candidate, and compare.

    A candidate that did wrong in a warm-up has no value in any round.

    Args:
        scenario: What was measured.
        rounds: One measurement for each candidate, in the scenario's order.
        warm_ups: The same.
    """
    results = []
    for index, candidate in enumerate(scenario.candidates):
        wrong = [problem for one in warm_ups for problem in one[index].problems]
        mine = [attrs.evolve(one[index], problems=[*wrong, *one[index].problems]) for one in rounds]
        results.append(CandidateResult(candidate=candidate, rounds=mine))
    return _compared(scenario, results)


def _compared(scenario: Scenario, results: Sequence[CandidateResult]) -> ScenarioResult:
    values = {result.candidate.name: result.values for result in results}
    comparisons = [
        ComparisonResult(comparison=one, values=ratios(values[one.of], values[one.to])) for one in scenario.comparisons
    ]
    return ScenarioResult(scenario=scenario, candidates=results, comparisons=comparisons)


# JSON


def as_json(
    results: Sequence[ScenarioResult], cluster: str, machine: Mapping[str, object], *, rounds: int, targets: bool
) -> dict[str, Any]:
    """Everything of a run; see README.md for the fields."""
    return {
        "cluster": cluster,
        "machine": dict(machine),
        "rounds": rounds,
        "targets": targets,
        "scenarios": [_scenario_json(result) for result in results],
    }


def from_json(run: Mapping[str, Any]) -> list[ScenarioResult]:
    """The results of a run that was saved.

    Raises:
        ValueError: It is not what `as_json` returns.
    """
    try:
        return [_scenario_result(one) for one in run["scenarios"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"these are no results of a run: {error!r}") from error


def _scenario_json(result: ScenarioResult) -> dict[str, Any]:
    scenario = attrs.asdict(result.scenario, recurse=False)
    return {
        **scenario,
        "valid": result.valid,
        "candidates": [
            {
                **attrs.asdict(one.candidate),
                "values": one.values,
                **_spread_json(spread(one.values)),
                "reached": one.reached,
                "detail": {name: value.median for name, value in one.detail.items()},
                "detail_reached": one.detail_reached,
                "problems": one.problems,
                "skipped": one.skipped,
                "measurements": [attrs.asdict(measurement) for measurement in one.rounds],
            }
            for one in result.candidates
        ],
        "comparisons": [
            {
                **attrs.asdict(one.comparison),
                "values": list(one.values),
                **_spread_json(spread(one.values)),
                "reached": one.reached,
            }
            for one in result.comparisons
        ],
        "curves": [{"series": one.series, "ratio": one.ratio, "reached": one.reached} for one in result.curves],
    }


def _scenario_result(data: Mapping[str, Any]) -> ScenarioResult:
    candidates = [
        _built(Candidate, {**one, "workload": _built(Workload, one["workload"])}) for one in data["candidates"]
    ]
    comparisons = [_built(Comparison, one) for one in data["comparisons"]]
    scenario = _built(Scenario, {**data, "candidates": candidates, "comparisons": comparisons})
    results = [
        CandidateResult(candidate=candidate, rounds=[_built(Measurement, measured) for measured in one["measurements"]])
        for candidate, one in zip(candidates, data["candidates"], strict=True)
    ]
    return _compared(scenario, results)


def _built(kind: type[T], data: Mapping[str, Any]) -> T:
    """From those of the data that it has fields for."""
    names = [field.name for field in attrs.fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: data[name] for name in names if name in data})


def _spread_json(values: Spread | None) -> dict[str, float | None]:
    if values is None:
        return {"median": None, "lowest": None, "highest": None}
    return {"median": values.median, "lowest": values.low, "highest": values.high}
