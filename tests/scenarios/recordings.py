"""What real brokers were seen to do, scenario by scenario: ``recorded/*.json``, one file for each module of scenarios.

A row holds for some protocols:

- ``observed``: all that was seen on real brokers. More than one where runs differ, and then ``varies`` says why.
- ``simulated``: what the simulator does instead, if it is not like a real broker there, and then ``differs`` says why.

`tests.scenarios.record` writes them; what it writes is for a person to read before it is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from .kafka import GroupProtocol
from .observe import Case, Notes
from .scenario import SCENARIOS

FOLDER = Path(__file__).parent / "recorded"


@attrs.frozen
class Row:
    """Args are those of the module's text."""

    observed: tuple[Notes, ...]
    varies: str = ""
    simulated: tuple[Notes, ...] = ()
    differs: str = ""


def read() -> dict[Case, Row]:
    """All rows."""
    rows = {}
    for path in sorted(FOLDER.glob("*.json")):
        for name, found in json.loads(path.read_text()).items():
            for one in found:
                row = Row(
                    tuple(one["observed"]),
                    one.get("varies", ""),
                    tuple(one.get("simulated", ())),
                    one.get("differs", ""),
                )
                for protocol in one["protocols"]:
                    rows[name, GroupProtocol(protocol)] = row
    return rows


def write(rows: Mapping[Case, Row]) -> None:
    """Rows of protocols that agree become one; scenarios that are no more lose theirs."""
    files: dict[str, dict[str, Any]] = {}
    for name, scenario in SCENARIOS.items():
        groups: list[tuple[Row, list[GroupProtocol]]] = []
        for protocol in scenario.protocols:
            row = rows.get((name, protocol))
            if row is None:
                continue
            alike = next((group for known, group in groups if known == row), None)
            if alike is None:
                groups.append((row, [protocol]))
            else:
                alike.append(protocol)
        module = scenario.act.__module__.rpartition(".")[2]
        if groups:
            files.setdefault(module, {})[name] = [_entry(row, protocols) for row, protocols in groups]
    for module, entries in files.items():
        text = json.dumps(entries, indent=1, ensure_ascii=False) + "\n"
        (FOLDER / f"{module}.json").write_text(text)


def _entry(row: Row, protocols: Iterable[GroupProtocol]) -> dict[str, Any]:
    entry: dict[str, Any] = {"protocols": [one.value for one in protocols], "observed": list(row.observed)}
    for name in ("varies", "simulated", "differs"):
        value = getattr(row, name)
        if value:
            entry[name] = value
    return entry


def difference(found: Notes, admissible: Iterable[Notes]) -> str:
    """How an observation differs from the nearest of those that are admissible; ``""`` if it is one of them."""
    admissible = list(admissible)
    if found in admissible:
        return ""
    nearest = min(admissible, key=lambda one: sum(one.get(who) != notes for who, notes in found.items()), default={})
    return "\n".join(
        f"{who}:\n  recorded: {_joined(nearest.get(who))}\n  now:      {_joined(found.get(who))}"
        for who in sorted({*found, *nearest})
        if found.get(who) != nearest.get(who)
    )


def _joined(notes: list[str] | None) -> str:
    return "nothing" if notes is None else " | ".join(notes)
