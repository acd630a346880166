"""The pytest plugin, in runs of pytest of their own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]

BAD = """
    import simulator

    class Counts:
        def __init__(self, world):
            self.count = 0
            self.world = world

        async def handle(self, record):
            self.count += 1

        def invariant(self):
            assert self.count < 5

    def test_it():
        simulator.check(Counts, seeds=4, records=10, faults=[])
"""

COUNTS = """
    import simulator

    worlds = []

    def fresh(world):
        worlds.append(world.scenario.seed)

        async def handle(record):
            pass

        return handle

    def test_it(simulate):
        simulate(fresh, seeds=4, records=2, faults=[])
        print("seeds", worlds)

    def test_each(sim_seed):
        print("seed", sim_seed)
"""


def run(pytester: pytest.Pytester, source: str, *arguments: str) -> pytest.RunResult:
    pytester.makepyfile(source)
    pytester.makeini(f"[pytest]\npythonpath = {ROOT}\naddopts = -p no:cacheprovider")
    plugin = () if _installed() else ("-p", "simulator.pytest_plugin")
    return pytester.run(sys.executable, "-m", "pytest", *plugin, *arguments)


def _installed() -> bool:
    """Whether the entry point is there, so that the plugin must not be given again."""
    from importlib.metadata import entry_points

    return any(point.value == "simulator.pytest_plugin" for point in entry_points(group="pytest11"))


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def test_the_failing_seed_is_in_the_report_and_in_the_summary(pytester: pytest.Pytester) -> None:
    result = run(pytester, BAD)
    result.assert_outcomes(failed=1)
    again = "pytest 'test_*.py::test_it' --sim-seed=0"
    result.stdout.fnmatch_lines(["*Simulated world*", f"seed 0: {again}", "*simulated worlds that failed*", again])
    result.stdout.fnmatch_lines(["*seed 0: invariant: AssertionError*"])


def test_a_seed_can_be_replayed(pytester: pytest.Pytester) -> None:
    result = run(pytester, BAD, "--sim-seed=3")
    result.stdout.fnmatch_lines(["seed 3: pytest *"])


def test_seeds_are_counted_by_the_command_line(pytester: pytest.Pytester) -> None:
    result = run(pytester, COUNTS, "-s", "--sim-seeds=2")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*seeds [[]0, 1[]]*", "*seed 0*", "*seed 1*"])


def test_one_seed_is_one_test(pytester: pytest.Pytester) -> None:
    result = run(pytester, COUNTS, "-s", "--sim-seed=7")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*seeds [[]7[]]*", "*seed 7*"])


def test_by_default_a_test_of_one_seed_runs_for_several(pytester: pytest.Pytester) -> None:
    run(pytester, COUNTS).assert_outcomes(passed=21)


def test_no_seeds_are_refused(pytester: pytest.Pytester) -> None:
    result = run(pytester, COUNTS, "--sim-seeds=0")
    result.stderr.fnmatch_lines(["*--sim-seeds=0: give a whole number of at least 1*"])
