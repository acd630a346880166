"""The recordings are complete, and explained."""

from __future__ import annotations

import re
from pathlib import Path

from . import recordings
from .observe import cases
from .scenario import SCENARIOS

README = Path(__file__).with_name("README.md").read_text()
MODELLED = (Path(__file__).parents[2] / "docs/reference/modelled.md").read_text()
ROWS = recordings.read()


def test_every_scenario_is_recorded_under_each_of_its_protocols() -> None:
    assert set(ROWS) == set(cases())


def test_every_scenario_says_what_it_is_about() -> None:
    assert [name for name, one in SCENARIOS.items() if not one.says] == []


def test_there_are_enough_of_them() -> None:
    assert len(SCENARIOS) >= 60


def test_what_varies_is_explained() -> None:
    assert [case for case, row in ROWS.items() if (len(row.observed) > 1) != bool(row.varies)] == []
    assert [case for case, row in ROWS.items() if row.varies == "UNEXPLAINED"] == []


def test_where_the_simulator_differs_is_a_row_of_the_table() -> None:
    """The table is in README.md: scenario, protocols, reason."""
    assert [case for case, row in ROWS.items() if bool(row.simulated) != bool(row.differs)] == []
    expected = {f"| `{case[0]}` | {row.differs} |" for case, row in ROWS.items() if row.differs}
    heading = "## Where the simulator differs\n"
    table = README[README.index(heading) + len(heading) :].partition("\n## ")[0]
    found = {line for line in table.splitlines() if line.startswith("| `")}
    assert found == expected


def test_the_page_on_what_is_modelled_names_scenarios_that_exist() -> None:
    table = MODELLED.partition("## Situations that were compared\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", table))
    assert len(named) > 60
    assert sorted(named - SCENARIOS.keys()) == []


def test_an_observation_that_was_not_recorded_is_told() -> None:
    known = {"a": ["assigned t: all"], "b": ["lost t: 1"]}
    assert recordings.difference(known, [{"a": []}, known]) == ""
    found = recordings.difference({"a": ["assigned t: all"], "b": []}, [known])
    assert found == "b:\n  recorded: lost t: 1\n  now:      "
    assert "recorded: nothing" in recordings.difference({"c": ["x"]}, [])
