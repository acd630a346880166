"""How a shrink ended: one JSON object, or the world before and after, side by side."""

from __future__ import annotations

import json as json_

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..report.picture import facts
from ..tools.reproduce import command, given_of
from ..tools.shrink import Shrunk
from . import show


def as_json(shrunk: Shrunk, bug: str | None = None) -> str:
    """One object."""
    found = shrunk.found
    return json_.dumps(
        {
            "seed": shrunk.before.seed,
            "oracle": shrunk.kind,
            "violation": show.found_as_json(found) if found else None,
            "error": shrunk.verdict.error,
            "tries": shrunk.tries,
            "complete": shrunk.complete,
            "faults_fired": shrunk.fired,
            "scenario": shrunk.scenario.pasted(),
            "command": _command(shrunk, bug),
        }
    )


def as_tables(shrunk: Shrunk, bug: str | None = None) -> RenderableType:
    """For people."""
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="dim", no_wrap=True)
    table.add_column(style="dim")
    table.add_column(style="bold")
    table.add_row("", "before", "after")
    table.add_row("seed", str(shrunk.before.seed), str(shrunk.scenario.seed))
    for (name, before), (_, after) in zip(facts(shrunk.before), facts(shrunk.scenario), strict=True):
        table.add_row(name, Text(before), Text(after))
    table.add_row("", "", Text(", ".join(sorted(shrunk.scenario.faults))))
    table.add_row("fired", "", f"{shrunk.fired}")
    ended = "" if shrunk.complete else "; there may be a smaller one: give more --tries or --seconds"
    found = shrunk.found
    what = show.violation(found) if found else Text(shrunk.verdict.error.rstrip(), "red")
    return Group(
        table,
        Text(f"\n{shrunk.tries:,} worlds tried{ended}\n", "dim"),
        what,
        Text(),
        show.line(shrunk.scenario.pasted()),
        Text(),
        show.line(_command(shrunk, bug), "cyan"),
    )


def _command(shrunk: Shrunk, bug: str | None) -> str:
    given = given_of(shrunk.scenario)
    return command(shrunk.scenario.seed, given if bug is None else {**given, "bug": bug})
