"""The results, for people: a table for each scenario, one of all figures, and what there is to measure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from .figures import Spread, number, spread
from .model import Scenario
from .results import CandidateResult, ComparisonResult, CurveResult, ScenarioResult
from .tables import Table

FLATNESS = "highest point ÷ lowest"


def as_text(result: ScenarioResult, *, targets: bool) -> str:
    """One scenario, for a terminal.

    Args:
        result: What was measured.
        targets: Say whether they are reached; they are meant for a real broker.
    """
    lines = [f"{result.scenario.name}: {result.scenario.about}", f"  {workloads(result.scenario)}"]
    tables = _tables(result, targets=targets)
    lines += itertools.chain.from_iterable(["", *(f"  {line}" for line in table.text())] for table in tables)
    return "\n".join([*lines, *(f"  {line}" for line in _remarks(result))])


def as_markdown(result: ScenarioResult, *, targets: bool) -> str:
    """One scenario, for a page. See `as_text`."""
    lines = [f"### {result.scenario.name}", "", result.scenario.about, f"Here: {workloads(result.scenario)}."]
    for table in _tables(result, targets=targets):
        lines += ["", *table.markdown()]
    remarks = _remarks(result)
    return "\n".join([*lines, *(["", *(f"- {remark}" for remark in remarks)] if remarks else [])])


def workloads(scenario: Scenario) -> str:
    """How much each candidate gets, and of what kind."""
    sizes: dict[str, list[int]] = {}
    for one in scenario.candidates:
        workload = one.workload
        kind = f"records of {workload.value_bytes} bytes, {workload.partitions:,} partitions"
        sizes.setdefault(kind, []).append(workload.records)
    return "; ".join(f"{_from_to(found)} {kind}" for kind, found in sizes.items())


def _from_to(sizes: Sequence[int]) -> str:
    low, high = min(sizes), max(sizes)
    return f"{high:,}" if low == high else f"{low:,} to {high:,}"


def as_list(scenarios: Iterable[Scenario]) -> str:
    """What there is to measure."""
    lines = []
    for one in scenarios:
        lines.append(f"{one.name:18} {one.about}")
        lines += [f"{'':18}   {candidate.name}: {candidate.about}" for candidate in one.candidates]
        lines.append(f"{'':18}   {one.records:,} records; on the embedded cluster {one.records_embedded:,}")
    return "\n".join(lines)


def about_machine(machine: Mapping[str, object]) -> str:
    """One line."""
    return ", ".join(f"{name} {value}" for name, value in machine.items() if value is not None)


# All figures


def summary(results: Sequence[ScenarioResult], *, targets: bool) -> Table:
    """Every figure that has a target, and every ratio that says what it is about."""
    rows = [row for result in results for row in _figures(result, targets=targets)]
    return Table(head=("measure", "target", "median", "range", ""), rows=rows)


def _figures(result: ScenarioResult, *, targets: bool) -> Iterator[Sequence[str]]:
    name = result.scenario.name
    of = {one.candidate.name: one for one in result.candidates}
    for ratio in result.comparisons:
        one = ratio.comparison
        target = _target(one.ratio_min, one.ratio_max)
        if target or one.about:
            verdict = _verdict(ratio.reached, of[one.of], of[one.to]) if targets else _wrong(of[one.of], of[one.to])
            yield f"{name}: {one.about or _names(one.of, one.to)}", target, *_range(spread(ratio.values)), verdict
    for measured in result.candidates:
        candidate = measured.candidate
        if candidate.value_max is not None:
            verdict = _verdict(measured.reached, measured) if targets else _wrong(measured)
            measure = f"{name}: {candidate.name}, {result.scenario.unit}"
            yield measure, _target(None, candidate.value_max), *_range(spread(measured.values)), verdict
        for what, most in candidate.detail_max.items():
            verdict = _verdict(measured.detail_reached[what], measured) if targets else _wrong(measured)
            measure = f"{name}: {candidate.name}, {_words(what)}"
            yield measure, _target(None, most), *_range(measured.detail.get(what)), verdict
    for curve in result.curves:
        verdict = _verdict(curve.reached, *curve.points) if targets else _wrong(*curve.points)
        told = "-" if curve.ratio is None else number(curve.ratio)
        yield f"{name}: {curve.series}, {FLATNESS}", _target(None, curve.flat_max), told, "", verdict


def _target(least: float | None, most: float | None) -> str:
    told = [f"≥ {least:g}"] if least is not None else []
    return " and ".join([*told, f"≤ {most:g}"] if most is not None else told)


def _range(values: Spread | None) -> tuple[str, str]:
    if values is None:
        return "-", ""
    return number(values.median), f"{number(values.low)} – {number(values.high)}" if values.count > 1 else ""


def _verdict(reached: bool | None, *needed: CandidateResult) -> str:
    return _wrong(*needed) or ("" if reached is None else "reached" if reached else "MISSED")


def _wrong(*needed: CandidateResult) -> str:
    """Why there is no value."""
    if any(one.problems for one in needed):
        return "NOT VALID"
    return "; ".join(f"skipped: {one.skipped}" for one in needed if one.skipped)


# One scenario


def _tables(result: ScenarioResult, *, targets: bool) -> list[Table]:
    details = list(dict.fromkeys(name for one in result.candidates for name in one.detail))
    head = (result.scenario.unit, "median", "lowest", "highest", "rounds", *map(_words, details), "")
    tables = [Table(head=head, rows=[_candidate_row(one, details, targets=targets) for one in result.candidates])]
    if result.comparisons:
        head = ("ratio, round by round", "median", "lowest", "highest", "rounds", "")
        tables.append(Table(head=head, rows=[_comparison_row(one, targets=targets) for one in result.comparisons]))
    if result.curves:
        rows = [_curve_row(one, targets=targets) for one in result.curves]
        tables.append(Table(head=(FLATNESS, "of medians", ""), rows=rows))
    return tables


def _candidate_row(result: CandidateResult, details: Sequence[str], *, targets: bool) -> tuple[str, ...]:
    found = result.detail
    cells = [number(found[name].median) if name in found else "" for name in details]
    judged = [_judged(_target(None, result.candidate.value_max), result.reached)]
    judged += [
        _judged(f"{_words(name)} {_target(None, most)}", result.detail_reached[name])
        for name, most in result.candidate.detail_max.items()
    ]
    told = "; ".join(filter(None, judged)) if targets else ""
    return result.candidate.name, *_cells(spread(result.values)), *cells, told


def _comparison_row(result: ComparisonResult, *, targets: bool) -> tuple[str, ...]:
    one = result.comparison
    told = _judged(_target(one.ratio_min, one.ratio_max), result.reached) if targets else ""
    return _names(one.of, one.to), *_cells(spread(result.values), places=3), told


def _curve_row(result: CurveResult, *, targets: bool) -> tuple[str, ...]:
    told = _judged(_target(None, result.flat_max), result.reached) if targets else ""
    return result.series, "-" if result.ratio is None else number(result.ratio), told


def _judged(target: str, reached: bool | None) -> str:
    return "" if reached is None else f"{target}: {'reached' if reached else 'MISSED'}"


def _remarks(result: ScenarioResult) -> list[str]:
    lines = [f"NOT VALID: {one.candidate.name}: {problem}" for one in result.candidates for problem in one.problems]
    return lines + [f"skipped: {one.candidate.name}: {one.skipped}" for one in result.candidates if one.skipped]


def _cells(values: Spread | None, places: int | None = None) -> tuple[str, ...]:
    if values is None:
        return "-", "-", "-", "0"
    told = (number(value) if places is None or value >= 10 else f"{value:.{places}f}" for value in values.ordered)
    return *told, str(values.count)


def _names(of: str, to: str) -> str:
    return f"{of} ÷ {to}"


def _words(name: str) -> str:
    """Of a detail, as the head of a column."""
    return {"cpu_us_per_record": "CPU µs/record"}.get(name, name.replace("_", " "))
