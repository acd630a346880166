"""Tables and plots of results."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from benchmarks import plot, report
from benchmarks.model import Comparison, Measurement
from benchmarks.results import ScenarioResult, judge
from benchmarks.tables import Table
from tests.benchmarks.support import candidate, measured, scenario


def result() -> ScenarioResult:
    two = scenario(
        candidate("a", value_max=5.0),
        candidate("b"),
        candidate("c", detail_max={"p99_ms": 3.0}),
        comparisons=[Comparison(of="a", to="b", ratio_min=0.5, about="first ÷ second"), Comparison(of="b", to="c")],
        plot="bars",
    )
    wrong = Measurement(value=1.0, problems=["lost"])
    skipped = Measurement(value=None, skipped="no Java")
    slow = Measurement(value=8.0, detail={"p99_ms": 2.5})
    return judge(two, [[*measured(10.0, 20.0), slow], [wrong, Measurement(value=4.0), skipped]])


def test_a_table_for_a_terminal() -> None:
    table = Table(head=("what", "n", "", "verdict"), rows=[("short", "10", "", "yes"), ("longer", "5", "", "")])
    assert table.text() == ["what     n  verdict", "short   10  yes", "longer   5"]


def test_a_table_for_a_page() -> None:
    table = Table(head=("what", "n", "", "verdict"), rows=[("a|b", "10", "", "yes")])
    assert table.markdown() == ["| what | n | verdict |", "|---|---:|---|", "| a\\|b | 10 | yes |"]
    assert Table(head=("what", "n", ""), rows=[("a", "1", "")]).markdown()[1] == "|---|---:|"


@pytest.mark.parametrize("shown", [report.as_text, report.as_markdown])
def test_a_scenario(shown: object) -> None:
    assert callable(shown)
    told = shown(result(), targets=True)
    assert "≥ 0.5: reached" in told
    assert "≤ 5: MISSED" in told
    assert "p99 ms ≤ 3: reached" in told
    assert "NOT VALID: a: lost" in told
    assert "skipped: c: no Java" in told
    assert "reached" not in shown(result(), targets=False)


def test_columns_without_a_value_are_left_out() -> None:
    one = scenario(candidate("a"))
    assert "CPU" not in report.as_text(judge(one, [measured(1.0)]), targets=True)
    with_cpu = [[Measurement(value=1.0, detail={"cpu_us_per_record": 2.5})]]
    assert "CPU µs/record" in report.as_text(judge(one, with_cpu), targets=True)


def test_the_table_of_all_figures() -> None:
    rows = report.summary([result()], targets=True).rows
    assert [tuple(row) for row in rows] == [
        ("s: first ÷ second", "≥ 0.5", "0.5", "", "NOT VALID"),
        ("s: a, records/s", "≤ 5", "10", "", "NOT VALID"),
        ("s: c, p99 ms", "≤ 3", "2.5", "", "skipped: no Java"),
    ]
    fine = judge(
        scenario(candidate("a"), candidate("b"), comparisons=[Comparison(of="a", to="b", ratio_max=2.0)]),
        [measured(1.0, 1.0), measured(3.0, 1.0), measured(9.0, 1.0)],
    )
    assert tuple(report.summary([fine], targets=True).rows[0]) == ("s: a ÷ b", "≤ 2", "3", "1 – 9", "MISSED")
    assert tuple(report.summary([fine], targets=False).rows[0]) == ("s: a ÷ b", "≤ 2", "3", "1 – 9", "")


def test_plots(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    points = [candidate(f"{at}", series=series, at=at) for series in ("x", "y") for at in (1, 10)]
    curves = judge(scenario(*points, plot="curves"), [measured(1.0, 2.0, 3.0, None)])
    seen = Measurement(value=1.0, curve=[(0.0, 1.0), (50.0, 2.0), (99.9, 5.0), (100.0, 9.0)])
    latency = judge(scenario(candidate("a"), plot="latency"), [[seen]])
    undrawn = judge(scenario(candidate("a")), [measured(1.0)])
    path = tmp_path / "out.svg"
    plot.save([result(), curves, latency, undrawn], path, "here and now")
    assert "<svg" in path.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="none of these"):
        plot.save([undrawn], path, "")


def test_a_plot_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(plot.PlotterMissing, match="pip install"):
        plot.check()
