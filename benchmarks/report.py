"""The results, for people (aligned tables) and for programs (one JSON object)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .figures import Spread, spread
from .harness import CandidateResult, ComparisonResult, ScenarioResult
from .model import Scenario


def as_table(result: ScenarioResult, *, targets: bool) -> str:
    """One scenario.

    Args:
        result: What was measured.
        targets: Say whether they are reached; they are meant for a real broker.
    """
    scenario = result.scenario
    workloads = {
        f"{one.workload.records:,} records of {one.workload.value_bytes} bytes, {one.workload.partitions} partitions"
        for one in scenario.candidates
    }
    lines = [f"{scenario.name}: {scenario.about}", f"  {'; '.join(sorted(workloads))}"]
    rows: list[Sequence[str]] = [(scenario.unit, "median", "lowest", "highest", "rounds", "CPU µs/record", "")]
    rows += [_candidate_row(one, targets=targets) for one in result.candidates]
    lines += _aligned(rows)
    if result.comparisons:
        rows = [("ratio, round by round", "median", "lowest", "highest", "rounds", "", "")]
        rows += [_comparison_row(one, targets=targets) for one in result.comparisons]
        lines += ["", *_aligned(rows)]
    for one in result.candidates:
        lines += [f"  NOT VALID: {one.candidate.name}: {problem}" for problem in one.problems]
    return "\n".join(lines)


def as_json(
    results: Sequence[ScenarioResult], cluster: str, machine: Mapping[str, object], *, rounds: int
) -> dict[str, Any]:
    """Everything of a run; see README.md for the fields."""
    return {
        "cluster": cluster,
        "machine": dict(machine),
        "rounds": rounds,
        "scenarios": [_scenario_json(result) for result in results],
    }


def as_list(scenarios: Iterable[Scenario]) -> str:
    """What there is to measure."""
    lines = []
    for one in scenarios:
        lines.append(f"{one.name:8} {one.about}")
        lines += [f"{'':8}   {candidate.name}: {candidate.about}" for candidate in one.candidates]
        lines.append(f"{'':8}   {one.records:,} records; on the embedded cluster {one.records_embedded:,}")
    return "\n".join(lines)


def about_machine(machine: Mapping[str, object]) -> str:
    """One line."""
    return ", ".join(f"{name} {value}" for name, value in machine.items() if value is not None)


def _candidate_row(result: CandidateResult, *, targets: bool) -> tuple[str, ...]:
    cpu = result.detail.get("cpu_us_per_record")
    target = _target("at most", result.candidate.value_max, result.reached) if targets else ""
    return result.candidate.name, *_cells(spread(result.values), ",.0f"), f"{cpu.median:.2f}" if cpu else "", target


def _comparison_row(result: ComparisonResult, *, targets: bool) -> tuple[str, ...]:
    one = result.comparison
    target = _target("at least", one.ratio_min, result.reached) if targets else ""
    return f"{one.of} ÷ {one.to}", *_cells(spread(result.values), ".3f"), "", target


def _target(word: str, value: float | None, reached: bool | None) -> str:
    return "" if value is None else f"{word} {value:g}: {'reached' if reached else 'MISSED'}"


def _cells(values: Spread | None, layout: str) -> tuple[str, ...]:
    if values is None:
        return "-", "-", "-", "0"
    return *(format(value, layout) for value in (values.median, values.low, values.high)), str(values.count)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The first column to the left, numbers to the right, the last one as it is. Empty columns are left out."""
    columns = list(zip(*rows, strict=True))
    kept = [column for column in columns[1:-1] if any(column[1:])]
    rows = list(zip(columns[0], *kept, columns[-1], strict=True))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *numbers, last in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=False))]
        lines.append(("  " + "  ".join([*cells, last])).rstrip())
    return lines


def _scenario_json(result: ScenarioResult) -> dict[str, Any]:
    return {
        "scenario": result.scenario.name,
        "unit": result.scenario.unit,
        "valid": result.valid,
        "candidates": [
            {
                "name": one.candidate.name,
                "about": one.candidate.about,
                "workload": {
                    "records": one.candidate.workload.records,
                    "keys": one.candidate.workload.keys or one.candidate.workload.records,
                    "partitions": one.candidate.workload.partitions,
                    "value_bytes": one.candidate.workload.value_bytes,
                },
                "options": dict(one.candidate.options),
                "values": one.values,
                **_spread_json(spread(one.values)),
                "at_most": one.candidate.value_max,
                "reached": one.reached,
                "detail": {name: value.median for name, value in one.detail.items()},
                "problems": one.problems,
            }
            for one in result.candidates
        ],
        "ratios": [
            {
                "of": one.comparison.of,
                "to": one.comparison.to,
                "values": list(one.values),
                **_spread_json(spread(one.values)),
                "at_least": one.comparison.ratio_min,
                "reached": one.reached,
            }
            for one in result.comparisons
        ],
    }


def _spread_json(values: Spread | None) -> dict[str, float | None]:
    if values is None:
        return {"median": None, "lowest": None, "highest": None}
    return {"median": values.median, "lowest": values.low, "highest": values.high}
