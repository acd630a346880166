"""The results as a picture: one panel for each scenario that asks for one."""

from __future__ import annotations

import importlib.util
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .figures import Spread, number, spread
from .results import CandidateResult, ScenarioResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL_INCHES = (7.0, 3.4)
OURS, OTHERS = "#1f77b4", "#9aa5b1"


class PlotterMissing(Exception):
    """There is no matplotlib; the message has the remedy."""


def check() -> None:
    """Raises `PlotterMissing` before anything is measured."""
    if importlib.util.find_spec("matplotlib") is None:
        raise PlotterMissing("a plot needs matplotlib: pip install 'trio-consumer[bench]'")


def save(results: Sequence[ScenarioResult], path: Path, caption: str) -> None:
    """Draw results into a file, whose suffix says how.

    Args:
        results: Those whose scenario has no plot are left out.
        path: A file, overwritten.
        caption: Cluster, date and versions.

    Raises:
        PlotterMissing: There is no matplotlib.
        ValueError: There is nothing to draw.
    """
    check()
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    drawn = [one for one in results if one.scenario.plot and any(spread(each.values) for each in one.candidates)]
    if not drawn:
        raise ValueError("none of these results can be drawn")
    columns = 1 if len(drawn) == 1 else 2
    rows = -(-len(drawn) // columns)
    figure = Figure(figsize=(PANEL_INCHES[0] * columns, PANEL_INCHES[1] * rows + 0.3), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for result, panel in zip(drawn, axes, strict=False):
        _draw(panel, result)
    for panel in axes[len(drawn) :]:
        panel.set_axis_off()
    figure.supxlabel(textwrap.fill(caption, 110 * columns), fontsize=7, color="#555555")
    figure.savefig(path, dpi=150)


def _draw(panel: Axes, result: ScenarioResult) -> None:
    panel.set_title(result.scenario.about, fontsize=8, loc="left", wrap=True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=8)
    if result.scenario.plot == "bars":
        _bars(panel, result)
    elif result.scenario.plot == "curves":
        _curves(panel, result)
    else:
        _latency(panel, result)


def _bars(panel: Axes, result: ScenarioResult) -> None:
    """Medians, with the range of the rounds; the longest on top."""
    found = {one.candidate.name: values for one in result.candidates if (values := spread(one.values))}
    names = sorted(found, key=lambda name: found[name].median)
    ranges = [found[name] for name in names]
    panel.barh(
        names,
        [one.median for one in ranges],
        xerr=_whiskers(ranges),
        color=[OURS if name.startswith("trio_consumer") else OTHERS for name in names],
        error_kw={"elinewidth": 1, "ecolor": "#333333"},
    )
    for place, one in enumerate(ranges):
        panel.text(one.high, place, f" {number(one.median)}", va="center", fontsize=8)
    panel.margins(x=0.15)
    panel.xaxis.set_major_formatter(_plainly)
    panel.set_xlabel(result.scenario.unit, fontsize=8)


def _curves(panel: Axes, result: ScenarioResult) -> None:
    """A line for each series."""
    for series, points in _series(result).items():
        values = [spread(one.values) for one in points]
        there = [(one.candidate.at or 0.0, value) for one, value in zip(points, values, strict=True) if value]
        panel.errorbar(
            [at for at, _ in there],
            [value.median for _, value in there],
            yerr=_whiskers([value for _, value in there]),
            marker="o",
            markersize=3,
            linewidth=1.2,
            capsize=2,
            label=series,
        )
    panel.set_xscale("symlog", linthresh=1)
    panel.set_ylim(bottom=0)
    panel.xaxis.set_major_formatter(_plainly)
    panel.yaxis.set_major_formatter(_plainly)
    panel.set_ylabel(result.scenario.unit, fontsize=8)
    panel.legend(fontsize=7, frameon=False)


def _series(result: ScenarioResult) -> Mapping[str, Sequence[CandidateResult]]:
    found: dict[str, list[CandidateResult]] = {}
    for one in result.candidates:
        if one.candidate.at is not None:
            found.setdefault(one.candidate.series, []).append(one)
    return {name: sorted(points, key=lambda one: one.candidate.at or 0.0) for name, points in found.items()}


def _latency(panel: Axes, result: ScenarioResult) -> None:
    """Value by percentile, on the scale of nines; the first valid round of each candidate. What it is compared with is
    dashed."""
    for one in result.candidates:
        curve = next((measured.curve for measured in one.rounds if measured.valid and measured.curve), ())
        there = [(100 / (100 - part), *values) for part, *values in curve if part < 100 and min(values) > 0]
        if there:
            parts, ours, *others = zip(*there, strict=True)
            (line,) = panel.plot(parts, ours, linewidth=1.2, label=one.candidate.name)
            for other in others:
                panel.plot(parts, other, linewidth=0.8, linestyle="--", color=line.get_color())
    panel.set_xscale("log")
    panel.set_yscale("log")
    nines = [2, 10, 100, 1_000, 10_000]
    panel.set_xticks(nines, ["50 %", "90 %", "99 %", "99.9 %", "99.99 %"])
    panel.set_ylabel(result.scenario.unit, fontsize=8)
    panel.legend(fontsize=7, frameon=False)


def _plainly(value: float, place: float) -> str:
    return number(value)


def _whiskers(values: Sequence[Spread]) -> list[list[float]]:
    return [[one.median - one.low for one in values], [one.high - one.median for one in values]]
