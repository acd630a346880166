"""The commands' surface: help, usage errors, exit codes and the missing extra."""

from __future__ import annotations

import subprocess
import sys
from typing import Literal

import pytest

from tests.cli.process import ROOT
from trio_consumer import CallbackFailed, ClientError, ConfigurationError, ConsumerConfig, HandlerFailed, Partition
from trio_consumer.cli import main
from trio_consumer.cli.app import app
from trio_consumer.cli.exits import Exit, bare, failed


@pytest.mark.parametrize("missing", ["cyclopts", "rich"])
def test_without_the_extra_one_line_says_what_to_install(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; from trio_consumer.cli import main; sys.exit(main())"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr == f"trio-consumer needs {missing}: pip install 'trio-consumer[cli]'\n"
    assert ended.stdout == ""


def test_another_missing_module_is_not_blamed_on_the_extra() -> None:
    code = "import sys; sys.modules['trio_consumer.cli.demo'] = None; "
    code += "from trio_consumer.cli import main; sys.exit(main())"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 1
    assert "ModuleNotFoundError" in ended.stderr
    assert "pip install" not in ended.stderr


def test_the_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    for command in ("demo", "run", "offsets", "--install-completion"):
        assert command in out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_commands_and_options(shell: Literal["bash", "zsh", "fish"]) -> None:
    script = app.generate_completion(shell=shell)
    for word in ("offsets", "latency-ms", "bootstrap", "unordered"):
        assert word in script


@pytest.mark.parametrize("command", ["demo", "run", "offsets"])
def test_every_command_explains_its_exit_codes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert "Exit codes:" in capsys.readouterr().out


def test_the_defaults_are_those_of_the_library(capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", "--help"])
    out = " ".join(capsys.readouterr().out.split())
    defaults = ConsumerConfig()
    for value in (defaults.concurrency, defaults.attempts, defaults.commit_count, defaults.revoke_deadline):
        assert f"[default: {value}]" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bogus"], 'Unknown command "bogus"'),
        (["run"], "HANDLER requires an argument"),
        (["demo", "--records", "many"], "--records"),
        (["demo", "--records", "0"], "--records 0: give at least 1"),
        (["demo", "--latency-ms", "-1"], "--latency-ms"),
        (["demo", "--records", "200000", "--partitions", "1"], "give more --partitions"),
        (["demo", "--order", "random"], "--order"),
        (["offsets", "--group", "g"], "--bootstrap"),
    ],
)
def test_usage_errors_end_with_2(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "m:h", "sasl.password=hunter2", "-t", "t", "-g", "g", "-b", "b"],
        ["run", "m:h", "-X", "hunter2", "-t", "t", "-g", "g", "-b", "b"],
        ["run", "m:h", "--sasl.password=hunter2", "-t", "t", "-g", "g", "-b", "b"],
        ["--sasl.password=hunter2"],
        ["sasl.password=hunter2"],
        ["offsets", "sasl.password=hunter2"],
    ],
)
def test_a_misplaced_secret_is_not_echoed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert "hunter2" not in out + err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("x"), Exit.USAGE),
        (HandlerFailed(Partition("t", 0), 1, 1, ValueError()), Exit.FAILED),
        (ClientError("_TRANSPORT", "x"), Exit.BROKER),
        (CallbackFailed("stats_cb"), Exit.BROKER),
        (KeyboardInterrupt(), Exit.INTERRUPTED),
        (ZeroDivisionError(), Exit.BUG),
    ],
)
def test_each_error_has_its_exit_code(error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert failed(error) == code


def test_a_bug_shows_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    failed(ZeroDivisionError("of our own"))
    assert "ZeroDivisionError: of our own" in capsys.readouterr().err


def test_what_nurseries_wrapped_is_unwrapped() -> None:
    ours, other = ClientError("A", "a"), ValueError()
    assert bare(ours) is ours
    assert bare(ExceptionGroup("", [ExceptionGroup("", [other])])) is other
    assert bare(ExceptionGroup("", [ExceptionGroup("", [ours]), ClientError("B", "b")])) is ours
    mixed = ExceptionGroup("", [ours, other])
    assert bare(mixed) is mixed
