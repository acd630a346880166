"""``python -m simulator``: its surface, its exit codes, and each command from its arguments to what it prints."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from simulator.cli import main, progress
from simulator.cli.exits import Exit, failed, promise_of, verdict
from simulator.faults.catalogue import KINDS
from simulator.oracles import ORACLES
from simulator.tools.recording import read
from simulator.tools.tally import Plan, Tally, Verdict, all_rows, coverage
from simulator.world.scenario import Scenario
from trio_consumer import ConfigurationError, InternalError

ROOT = Path(__file__).parents[2]
COMMANDS = ("run", "fuzz", "shrink", "replay", "check-determinism", "bugs", "report")
SMALL = ("--plain", "--records", "20", "--fault-seconds", "1")


def ran(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    out, err = capsys.readouterr()
    return code, out, err


def answered(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The object that a command prints; it must have gone well."""
    code, out, err = ran(capsys, *arguments, "--json")
    assert code == Exit.DONE, out + err
    found: dict[str, Any] = json.loads(out)
    return found


# The surface


@pytest.mark.parametrize("missing", ["cyclopts", "rich"])
def test_without_the_extra_one_line_says_what_to_install(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; from simulator.cli import main; sys.exit(main())"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr == f"simulator needs {missing}: pip install 'trio-consumer[cli]'\n"


def test_it_runs_as_a_module() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "simulator"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    for command in COMMANDS:
        assert command in ended.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_its_exit_codes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ran(capsys, command, "--help")
    assert code == 0
    assert "Exit codes:" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bogus"], 'Unknown command "bogus"'),
        (["run", "--seed", "many"], "--seed"),
        (["run", "--faults", "gravity"], "fault 'gravity' is unknown: give all, a group"),
        (["run", "--scheduler", "fair"], "scheduler='fair': give one of 'shuffle', 'hold-back', 'pct'"),
        (["run", "--protocol", "raft"], "protocol='raft': give one of"),
        (["run", "--members", "0"], "members=0: give a number of at least 1"),
        (["run", "--kafka", "0.8"], "version='0.8'"),
        (["run", "--muted", "x"], "numbers 'x': give for instance 0-4,9"),
        (["run", "--scale", "crash=2"], "--scale crash=2: give a kind that fires with some rate"),
        (["run", "--scale", "handler-fails=often"], "give a number"),
        (["run", "-O", "attempts"], "-O 'attempts': give -O NAME=VALUE"),
        (["run", "-O", "gravity=9"], "-O gravity=9: no such option"),
        (["run", "-O", "order=random"], "-O order=random: give one of key"),
        (["run", "-O", "attempts=0"], "-O attempts=0"),
        (["run", "-O", "revoke_deadline=30"], "-O revoke_deadline=30 s must be below half"),
        (["fuzz"], "give --seeds 1000 or --minutes 10"),
        (["fuzz", "--seeds", "0"], "--seeds 0: give at least 1"),
        (["fuzz", "--minutes", "0"], "--minutes 0: give more than 0"),
        (["shrink", *SMALL], "seed 0 does not fail"),
        (["replay", "no-such-file"], "no-such-file can't be read"),
        (["replay", __file__], "not a recording"),
        (["check-determinism", "--seeds", "0"], "--seeds 0"),
        (["check-determinism", "--seeds", "1", "--python", "/no/python"], "--python '/no/python' can't run the seeds"),
        (["run", "--bug", "gravity"], "bug 'gravity' is unknown: give one of"),
        (["bugs", "gravity"], "bug 'gravity' is unknown: give one of"),
        (["report", "-o", "x.html"], "give --seed N, or a file"),
        (["report", __file__, "--seed", "1", "-o", "x.html"], "give a file or --seed, not both"),
        (["report", "--seed", "1", *SMALL, "-o", "/no/folder/x.html"], "can't be written"),
    ],
)
def test_usage_errors_end_with_2(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ran(capsys, *arguments)
    assert code == Exit.USAGE
    assert said in err
    assert "Traceback" not in err
    assert out == ""


@pytest.mark.parametrize("oracle", sorted(ORACLES))
def test_every_oracle_has_an_exit_code(oracle: str) -> None:
    assert promise_of(oracle) in ("G1", "G2", "G3", "G4", "G5", "G6")
    code = verdict(oracle, promise=promise_of(oracle))
    assert 11 <= code <= 16


def test_what_a_world_ends_with() -> None:
    assert verdict("") == Exit.DONE
    assert verdict("", "Stuck: for ever") == Exit.STUCK
    assert verdict("mine") == Exit.INVARIANT
    assert verdict("any", "Stuck: for ever", "G1") == Exit.LOST
    assert promise_of("of the user") == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("x"), Exit.USAGE),
        (KeyboardInterrupt(), Exit.INTERRUPTED),
        (InternalError("x"), Exit.BUG),
        (ZeroDivisionError(), Exit.BUG),
    ],
)
def test_each_error_has_its_exit_code(error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert failed(error) == code
    assert ("Traceback" in capsys.readouterr().err) is (code == Exit.BUG) or error.__traceback__ is None


# run, replay


def test_run_says_what_came_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ran(capsys, "run", "--seed", "4", *SMALL)
    assert code == Exit.DONE
    assert err == ""
    assert "Every promise was kept." in out
    assert "python -m simulator report --seed 4 --plain --records 20 --fault-seconds 1.0 -o seed-4.html" in out


def test_run_answers_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = answered(capsys, "run", "--seed", "4", *SMALL)
    assert found["kept"] is True
    assert (found["seed"], found["violations"], found["error"]) == (4, [], "")
    assert found["steps"] > 0
    assert found["scenario"] == Scenario(seed=4, records=20, fault_seconds=1.0).pasted()


def test_the_same_arguments_give_the_same_world(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("run", "--seed", "9", "--faults", "crash,rebalance", "--trace", "--everything")
    assert ran(capsys, *arguments) == ran(capsys, *arguments)


def test_the_trace_has_all_that_happens_and_a_legend(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = ran(capsys, "run", "--seed", "4", *SMALL, "--trace")
    lines = out.splitlines()
    assert sum(" ( handler " in line and "call" in line for line in lines) >= 20
    assert any(line.startswith("  ( handler      a handler began") for line in lines)
    assert not any(" % sampled" in line for line in lines)
    _, out, _ = ran(capsys, "run", "--seed", "4", *SMALL, "--everything")
    assert any(" % sampled" in line for line in out.splitlines())
    assert any(" | table " in line for line in out.splitlines())


def test_a_recorded_world_is_replayed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = str(tmp_path / "world")
    first = answered(capsys, "run", "--seed", "4", "--faults", "crash", "--record", file)
    again = answered(capsys, "replay", file)
    for name in ("seed", "kept", "seconds", "steps", "faults_fired", "scenario"):
        assert first[name] == again[name]
    code, out, _ = ran(capsys, "replay", file, "--trace")
    assert code == Exit.DONE
    assert " + started" in out


def test_a_world_that_is_another_now_is_noticed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "world"
    answered(capsys, "run", "--seed", "4", *SMALL, "--record", str(file))
    recorded = file.read_bytes()
    file.write_bytes(recorded.replace(b"ProcessStarted", b"ProcessStarted").replace(b"m0.1", b"m9.1"))
    assert read(file).scenario.seed == 4
    code, out, _ = ran(capsys, "replay", str(file))
    assert code == Exit.FAILED
    assert "is not the recorded one" in out
    assert "m9.1" in out


# fuzz


def test_fuzz_answers_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = answered(capsys, "fuzz", "--seeds", "6", "--start", "10", "--faults", "crash,rebalance", "-q", *SMALL)
    assert (found["seeds"], found["start"], found["violations"], found["failures"]) == (6, 10, 0, [])
    assert found["seconds"] > 0
    assert found["seeds_per_second"] > 0
    assert set(found["faults_fired"]) <= {"crash", "leave", "join", "rebalance-storm"}
    coverage = found["coverage"]
    assert coverage["faults"]["kinds"] == 4
    assert coverage["faults"]["fired"] + len(coverage["faults"]["never"]) == 4
    assert coverage["transitions"]["taken"] + len(coverage["transitions"]["never"]) == coverage["transitions"]["rows"]
    assert coverage["transitions"]["unknown"] == []
    assert coverage["schedulers"] == {"shuffle": 6}


def test_fuzz_finds_the_same_on_several_processes(capsys: pytest.CaptureFixture[str]) -> None:
    alone = answered(capsys, "fuzz", "--seeds", "6", "-q")
    shared = answered(capsys, "fuzz", "--seeds", "6", "-q", "--jobs", "2")
    for name in ("seeds", "failures", "faults_fired", "coverage", "steps", "virtual_seconds"):
        assert alone[name] == shared[name]


def test_fuzz_shows_people_what_was_covered(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ran(capsys, "fuzz", "--seeds", "2", *SMALL, "--faults", "crash,unclean-truncation")
    assert code == Exit.DONE
    assert "seeds/s" in out
    assert "of 2 kinds" in out
    assert "Every promise was kept, in all 2 worlds." in out
    assert "never taken:" in out
    assert err == ""  # it was over before a line was due


@pytest.mark.parametrize(("terminal", "said"), [(True, "rows of the coordinator's tables"), (False, "0 failed")])
def test_progress_fits_where_it_goes(terminal: bool, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_INTERVAL", 0.0)
    file = io.StringIO()
    tally, rows = Tally(Plan(seeds=3)), all_rows()
    tally.add(Verdict(1, fired={"crash": 2}, scheduler="pct", protocol="range", seconds=3.0))
    with progress.display(Console(file=file, force_terminal=terminal, width=120), quiet=False) as shown:
        shown.refresh(
            lambda: progress.fuzz_screen(tally, rows), lambda: progress.fuzz_line(tally, coverage(tally, rows))
        )
    assert said in file.getvalue()
    assert f"1 of {len(KINDS)}" in file.getvalue()


def test_quiet_is_quiet() -> None:
    file = io.StringIO()
    with progress.display(Console(file=file, force_terminal=True), quiet=True) as shown:
        shown.refresh(lambda: "drawn", lambda: "said")
    assert file.getvalue() == ""


def test_coverage_can_be_required(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, _ = ran(capsys, "fuzz", "--seeds", "1", *SMALL, "--require-coverage", "-q")
    assert code == Exit.FAILED


# A consumer that breaks its promise

BUG = "commit-one-too-far"


@pytest.fixture(scope="module")
def failing() -> dict[str, Any]:
    """The first seed that fails with the bug."""
    command = [sys.executable, "-m", "simulator", "fuzz", "--seeds", "50", "--stop-after", "1", "--bug", BUG, "--json"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == Exit.FAILED, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    assert found["violations"] >= 1
    first: dict[str, Any] = found["failures"][0]
    return first


def after_program(command: str) -> list[str]:
    words = command.split()
    return words[words.index("simulator") + 1 :]


def test_a_failure_comes_with_the_command_that_shows_it(
    failing: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert failing["command"].endswith(f"--bug {BUG}")
    code, out, _ = ran(capsys, *after_program(failing["command"]), "--json")
    again = json.loads(out)
    assert again["violations"] == failing["violations"]
    assert code == verdict("x", promise=promise_of(again["violations"][0]["oracle"]))


def test_the_bug_is_gone_afterwards(failing: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    seed = str(failing["seed"])
    assert ran(capsys, "run", "--seed", seed, "--bug", BUG, "--json")[0] != Exit.DONE
    assert ran(capsys, "run", "--seed", seed, "--json")[0] == Exit.DONE


def test_a_failure_shrinks(failing: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    small = answered(capsys, "shrink", "--seed", str(failing["seed"]), "--bug", BUG, "--tries", "300", "-q")
    assert small["oracle"] == failing["violations"][0]["oracle"]
    assert small["tries"] <= 300
    scenario: Scenario = eval(small["scenario"], {"Scenario": Scenario})
    assert scenario.records < 60
    _, out, _ = ran(capsys, *after_program(small["command"]), "--json")
    assert small["oracle"] in [one["oracle"] for one in json.loads(out)["violations"]]


def test_several_processes_have_the_bug_too(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("fuzz", "--seeds", "4", "--bug", BUG, "--json", "-q")
    alone, shared = (json.loads(ran(capsys, *arguments, "--jobs", jobs)[1]) for jobs in ("1", "2"))
    assert alone["failures"] == shared["failures"]
    assert alone["violations"] > 0


# The others


def test_seeds_are_the_same_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    found = answered(capsys, "check-determinism", "--seeds", "8", "-q")
    assert found["same"] is True
    assert (found["seeds"], found["differences"]) == (8, [])
    assert len(found["digest"]) == 64
    assert found["compared_with"][0]["differing"] == 0


def test_a_planted_bug_is_caught(capsys: pytest.CaptureFixture[str]) -> None:
    found = answered(capsys, "bugs", BUG, "-q")
    assert (found["bugs"], found["killed"]) == (1, 1)
    (row,) = found["rows"]
    assert row["bug"] == BUG
    assert row["caught_by"] in ORACLES
    assert row["seeds"] >= 1


def test_a_bug_that_survives_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ran(capsys, "bugs", BUG, "--seeds", "0", "-q")
    assert code == Exit.FAILED
    assert "survived" in out


def test_a_report_is_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file, page = tmp_path / "world", tmp_path / "page.html"
    assert main(["run", "--seed", "4", *SMALL, "--record", str(file)]) == Exit.DONE
    for arguments in ([str(file)], ["--seed", "4", *SMALL]):
        page.unlink(missing_ok=True)
        code, out, _ = ran(capsys, "report", *arguments, "-o", str(page))
        assert code == Exit.DONE
        assert str(page) in out
        assert "<title>Seed 4: kept</title>" in page.read_text(encoding="utf-8")


def test_every_kind_of_fault_can_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ran(capsys, "run", "--plain", "--faults", ",".join(KINDS), "--json")
    assert code != Exit.USAGE, err
    assert json.loads(out)["seed"] == 0
