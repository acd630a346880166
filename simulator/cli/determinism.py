"""How a check of determinism ended: one JSON object, or a table with the first divergence of each seed."""

from __future__ import annotations

import json as json_

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..tools.determinism import Comparison, compare
from ..tools.reproduce import command

__all__ = ["as_json", "as_tables", "compare"]


def as_json(compared: Comparison) -> str:
    """One object."""
    return json_.dumps(
        {
            "seeds": compared.seeds,
            "same": compared.same,
            "digest": compared.digest,
            "compared_with": [
                {"python": other.python, "is": says, "hash_seed": other.hash_seed, "differing": count}
                for (other, says), count in zip(compared.others, compared.differing, strict=True)
            ],
            "differences": [
                {"seed": one.seed, "python": one.other.python, "first": str(one.divergence or "")}
                for one in compared.differences
            ],
        }
    )


def as_tables(compared: Comparison) -> RenderableType:
    """For people."""
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", no_wrap=True)
    table.add_column()
    table.add_column(style="dim")
    for (other, says), count in zip(compared.others, compared.differing, strict=True):
        mark = Text(f"✗ {count:,} differ", "bold red") if count else Text("✓ the same", "green")
        table.add_row(mark, f"{says}, PYTHONHASHSEED={other.hash_seed}", other.python)
    found = [
        Text(f"\nseed {one.seed} differs first at {one.divergence or 'no line the second time'}", "red")
        for one in compared.differences
    ]
    last = (
        Text(f"All {compared.seeds:,} worlds were the same everywhere: {compared.digest[:16]}", "bold green")
        if compared.same
        else Text(f"A seed is not all that decides a world. See {command(0, {}, action='run')} --trace.", "bold red")
    )
    return Group(table, *found, Text(), last)
