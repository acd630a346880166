"""The planted bugs on a terminal: run them, and the table: bug, oracle, seeds needed."""

from __future__ import annotations

import json as json_
from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..bugs.catalogue import BUGS
from ..bugs.hunt import Row, median_seeds, run_bugs
from .progress import Display, bugs_line


def run(names: Sequence[str] | None, *, seeds: int | None, start: int, jobs: int, shown: Display) -> list[Row]:
    """Run them, and show how far it is."""
    done: list[Row] = []
    whole = len(names or BUGS)

    def progress(row: Row) -> None:
        done.append(row)
        survived = sum(not one.killed for one in done)
        shown.refresh(
            lambda: Text(f"{bugs_line(len(done), survived, whole)}  {row.bug}"),
            lambda: bugs_line(len(done), survived, whole),
        )

    bound: dict[str, Any] = {} if seeds is None else {"seeds_max": seeds}
    return run_bugs(names or None, start=start, jobs=jobs, progress=progress, **bound)


def as_json(rows: Sequence[Row]) -> str:
    """One object."""
    return json_.dumps(
        {
            "bugs": len(rows),
            "killed": sum(row.killed for row in rows),
            "median_seeds": median_seeds(rows),
            "rows": [
                {
                    "bug": row.bug,
                    "says": BUGS[row.bug].says,
                    "lie": BUGS[row.bug].lie,
                    "source": BUGS[row.bug].source,
                    "oracle": row.expected,
                    "caught_by": row.caught,
                    "seeds": row.seeds,
                    "seed": row.seed,
                    "others": list(row.others),
                    "dirty": list(row.dirty),
                }
                for row in rows
            ],
        }
    )


def as_table(rows: Sequence[Row]) -> RenderableType:
    """For people."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim")
    table.add_row(*(Text(name, "bold") for name in ("bug", "oracle", "seeds", "")))
    for row in rows:
        bug = BUGS[row.bug]
        said = bug.says + (f" ({bug.source})" if bug.source else "")
        if row.killed:
            also = "" if row.caught == row.expected else f" (by {row.caught})"
            table.add_row(row.bug, f"{row.expected}{also}", f"{row.seeds:,}", Text(said))
        else:
            table.add_row(Text(row.bug, "bold red"), row.expected, Text("survived", "bold red"), Text(said))
    killed = sum(row.killed for row in rows)
    last = Text(f"{killed} of {len(rows)} bugs caught, after a median of {median_seeds(rows):g} seeds.")
    last.stylize("bold green" if killed == len(rows) else "bold red")
    return Group(table, Text(), last)
