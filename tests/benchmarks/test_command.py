"""The command line: what it refuses, shows and runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import results
from benchmarks.model import Comparison
from benchmarks.results import judge
from benchmarks.scenarios import SCENARIOS
from tests.benchmarks.support import candidate, measured, scenario


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    two = scenario(candidate("a"), candidate("b"), comparisons=[Comparison(of="a", to="b", ratio_min=0.5)], plot="bars")
    result = judge(two, [measured(3.0, 4.0)])
    path = tmp_path / "run.json"
    run = results.as_json([result], "here", {"python": "3"}, rounds=1, targets=True)
    path.write_text(json.dumps(run), encoding="utf-8")
    return path


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["list"]) == 0
    told = capsys.readouterr().out
    assert [name for name in SCENARIOS if f"\n{name} " not in f"\n{told}"] == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["no-such"],
        ["bare", "--records", "0"],
        ["bare", "--kafka", "--bootstrap", "b"],
        ["bare", "--set", "concurrency"],
        ["bare", "--json", "--markdown"],
        ["show"],
        ["guard", "--records", "1"],
    ],
)
def test_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(arguments)
    assert caught.value.code == 2


def test_results_that_were_saved(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["show", str(saved)]) == 0
    assert "≥ 0.5: reached" in capsys.readouterr().out
    assert command.main(["show", str(saved), "--table", "--markdown"]) == 0
    assert capsys.readouterr().out.startswith("| measure | target | median | ")
    assert command.main(["show", str(saved), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(saved.read_text(encoding="utf-8"))


def test_a_plot_of_results_that_were_saved(saved: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert command.main(["show", str(saved), "--plot", str(tmp_path / "out.png")]) == 0
    assert (tmp_path / "out.png").stat().st_size


def test_what_can_not_be_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["show", str(tmp_path / "none.json")]) == 3
    (tmp_path / "other.json").write_text("{}", encoding="utf-8")
    assert command.main(["show", str(tmp_path / "other.json")]) == 3
    assert "no results of a run" in capsys.readouterr().err


def test_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.json"
    chosen = ["--only", "bare Trio tasks", "--set", "handler.seconds=0", "--set", "concurrency=5"]
    assert command.main(["sleep", *chosen, "--records", "50", "--runs", "2", "--save", str(path)]) == 0
    assert "bare Trio tasks" in capsys.readouterr().out
    (found,) = results.from_json(json.loads(path.read_text(encoding="utf-8")))
    assert found.candidates[0].candidate.options == {"handler": {"kind": "sleep", "seconds": 0}, "concurrency": 5}
    assert len(found.candidates[0].rounds) == 2


def test_a_candidate_that_nobody_knows(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["sleep", "--only", "nobody"]) == 3
    assert "nobody" in capsys.readouterr().err
