"""How a fuzz ended: one JSON object, or tables for people."""

from __future__ import annotations

import json as json_
from collections.abc import Iterator
from typing import Any

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..tools.tally import Coverage, Row, Tally, Verdict
from . import show

FAILURES_SHOWN = 10


def as_json(tally: Tally, covered: Coverage) -> str:
    """One object."""
    plan = tally.plan
    return json_.dumps(
        {
            "seeds": tally.seeds,
            "start": plan.start,
            "seconds": round(tally.seconds, 3),
            "seeds_per_second": round(tally.seeds_per_second, 2),
            "jobs": plan.jobs,
            "violations": tally.violations,
            "failures": [_failure(tally, verdict) for verdict in tally.failures.values()],
            "faults_fired": dict(sorted(tally.fired.items())),
            "coverage": {
                "complete": covered.complete,
                "faults": {
                    "fired": covered.kinds - len(covered.never_fired),
                    "kinds": covered.kinds,
                    "never": list(covered.never_fired),
                },
                "transitions": {
                    "taken": covered.rows - len(covered.never_taken),
                    "rows": covered.rows,
                    "never": list(map(row_text, covered.never_taken)),
                    "unknown": list(map(row_text, covered.unknown)),
                },
                "schedulers": dict(sorted(tally.schedulers.items())),
                "protocols": dict(sorted(tally.protocols.items())),
            },
            "virtual_seconds": round(tally.world_seconds, 3),
            "steps": tally.steps,
        }
    )


def _failure(tally: Tally, verdict: Verdict) -> dict[str, Any]:
    return {
        "seed": verdict.seed,
        "violations": [show.found_as_json(found) for found in verdict.found],
        "error": verdict.error,
        "command": tally.command(verdict.seed),
    }


def as_tables(tally: Tally, covered: Coverage) -> RenderableType:
    """For people."""
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(style="dim")
    plan = tally.plan
    jobs = "1 job" if plan.jobs == 1 else f"{plan.jobs} jobs"
    table.add_row(f"{tally.seeds:,}", "seeds", f"from {plan.start}, {jobs}")
    worlds = f"{tally.world_seconds:,.0f} virtual seconds, {tally.steps:,} steps of tasks"
    table.add_row(f"{tally.seeds_per_second:,.1f}", "seeds/s", f"in {tally.seconds:.1f} s; {worlds}")
    failed = len(tally.failures)
    table.add_row(Text(f"{failed:,}", "bold red" if failed else ""), "seeds failed", f"{tally.violations:,} violations")
    kinds = covered.kinds - len(covered.never_fired)
    table.add_row(f"{kinds}", f"of {covered.kinds} kinds", f"of faults fired, {tally.fired.total():,} times")
    rows = covered.rows - len(covered.never_taken)
    table.add_row(f"{rows}", f"of {covered.rows} rows", "of the coordinator's tables taken")
    return Group(table, *_counts(tally), *_missing(covered), *_failures(tally), Text(), _conclusion(tally))


def _counts(tally: Tally) -> Iterator[RenderableType]:
    for counts in (tally.fired, tally.schedulers, tally.protocols):
        if counts:
            yield Text()
            yield Columns(
                [Text.assemble(f"{name} ", (f"{count:,}", "bold")) for name, count in sorted(counts.items())],
                padding=(0, 3),
            )


def _missing(covered: Coverage) -> Iterator[RenderableType]:
    if covered.never_fired:
        yield Text.assemble(("\nnever fired: ", "yellow"), ", ".join(covered.never_fired))
    for what, rows in (("never taken", covered.never_taken), ("in no table", covered.unknown)):
        if rows:
            yield Text(f"\n{what}:", "yellow")
            yield from (show.line(f"  {row_text(row)}") for row in rows)


def _failures(tally: Tally) -> Iterator[RenderableType]:
    for verdict in list(tally.failures.values())[:FAILURES_SHOWN]:
        yield Text(f"\nseed {verdict.seed}", "bold")
        yield from (show.violation(found) for found in verdict.found[:3])
        if verdict.error:
            yield Text(verdict.error.rstrip(), "red")
        yield show.line(f"  {tally.command(verdict.seed)}", "cyan")
    if len(tally.failures) > FAILURES_SHOWN:
        yield Text(f"\nand {len(tally.failures) - FAILURES_SHOWN} seeds more; --json has them all", "red")


def _conclusion(tally: Tally) -> Text:
    if tally.failures:
        return Text("The promise was broken.", "bold red")
    return Text(f"Every promise was kept, in all {tally.seeds:,} worlds.", "bold green")


def row_text(row: Row) -> str:
    """``classic: Stable —join→ PreparingRebalance``."""
    table, state, event, after = row
    return f"{table}: {state} —{event}→ {after}"
