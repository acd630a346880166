"""The pytest plugin: seeds on the command line, and the failing one in the report.

``--sim-seeds 1000`` runs more worlds, ``--sim-seed 7`` only that one; both reach each `simulator.check` of the session
and the fixtures `simulate` and `sim_seed`. A failing test says which seed to replay, and so does the summary.

Nothing of the simulator is imported before a test needs it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from typing import Any

import pytest

from .command_line import command_line

FALSIFIED = pytest.StashKey[list[tuple[str, int]]]()
"""Failed tests and their seeds."""
SEEDS = 20
"""Seeds of a test that takes `sim_seed`: each is a test of its own."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("simulator", "simulated Kafka")
    group.addoption("--sim-seed", type=int, metavar="SEED", help="replay the world of this seed, in each test")
    group.addoption("--sim-seeds", type=int, metavar="COUNT", help="run so many worlds in each test")


def pytest_configure(config: pytest.Config) -> None:
    seeds = config.getoption("--sim-seeds")
    if seeds is not None and seeds < 1:
        raise pytest.UsageError(f"--sim-seeds={seeds}: give a whole number of at least 1")
    config.stash[FALSIFIED] = []
    before = command_line.seed, command_line.seeds
    command_line.seed, command_line.seeds = config.getoption("--sim-seed"), seeds

    def restore() -> None:
        command_line.seed, command_line.seeds = before

    config.add_cleanup(restore)


@pytest.fixture
def simulate() -> Callable[..., Any]:
    """`simulator.check`, without an import."""
    from .checking import check  # only now: see the module

    return check


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `sim_seed` runs once for each seed."""
    if "sim_seed" in metafunc.fixturenames:
        count = command_line.seeds if command_line.seeds is not None else SEEDS
        seeds = range(count) if command_line.seed is None else [command_line.seed]
        metafunc.parametrize("sim_seed", seeds)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    checking = sys.modules.get("simulator.checking")
    error = call.excinfo.value if call.excinfo is not None else None
    if checking is not None and isinstance(error, checking.Falsified):
        item.config.stash[FALSIFIED].append((item.nodeid, error.seed))
        report.sections.append(("Simulated world", f"seed {error.seed}: {_again(item.nodeid, error.seed)}"))
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    falsified = config.stash[FALSIFIED]
    if falsified:
        terminalreporter.section("simulated worlds that failed")
        for test, seed in falsified:
            terminalreporter.write_line(_again(test, seed))


def _again(test: str, seed: int) -> str:
    return f"pytest '{test}' --sim-seed={seed}"
