"""How a run of the demo ended: one JSON object, or a table that says for each promise whether it was kept."""

from __future__ import annotations

from json import dumps

import attrs
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from .demo import SECOND, Options, Report
from .exits import Exit

_MEANINGS = {
    "lost": "produced, never handled",
    "out_of_order": "began out of turn in its lane",
    "unfenced": "began on a member that did not hold the partition",
    "altered": "not what was produced there",
    "committed_early": "committed before it was handled",
    "uncommitted": "left between the committed offsets and the log ends",
}


def conclude(options: Options, report: Report, *, json: bool) -> Exit:
    """Print the report and return the exit code that goes with it."""
    if json:
        print(as_json(options, report))
    else:
        Console().print(as_table(report))
    return Exit.DONE if report.verdict.kept else Exit.FAILED


def as_json(options: Options, report: Report) -> str:
    """One object: the counts of the verdict, and what the run was."""
    return dumps(
        {
            **attrs.asdict(report.verdict),
            "seconds": round(report.seconds, 3),
            "records_per_second": round(report.records_per_second, 1),
            "kept": report.verdict.kept,
            "handled_by": report.handled_by,
            "order": options.order.value,
            "seed": options.workload.seed,
            "examples": report.examples,
        }
    )


def as_table(report: Report) -> RenderableType:
    """For people."""
    verdict = report.verdict
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(style="dim")
    members = ", ".join(f"{count:,} by member {name}" for name, count in report.handled_by.items())
    table.add_row(f"{verdict.produced:,}", "produced")
    table.add_row(f"{verdict.handled:,}", "handled", f"{members}")
    table.add_row(f"{report.records_per_second:,.0f}", "records/s", f"in {report.seconds:.1f} s")
    table.add_row(f"{verdict.repeated:,}", "repeated", "handled again, which at least once allows")
    for name, meaning in _MEANINGS.items():
        count = getattr(verdict, name)
        style = "bold red" if count else ""
        table.add_row(Text(f"{count:,}", style), Text(name.replace("_", " "), style), meaning)
    found = [Text(f"  {example}", "red") for example in report.examples]
    return Group(table, *found, Text(), _conclusion(report))


def _conclusion(report: Report) -> Text:
    verdict = report.verdict
    if not verdict.kept:
        return Text("The promise was broken.", "bold red")
    over = f" over {verdict.tenures} tenures, and in {verdict.audits} audits of the commits."
    text = Text.assemble(("The promise was kept", "bold green"), (over, "green"))
    if not report.handled_by.get(SECOND):
        text.append(f"\nMember {SECOND} came too late to take part: give more --records or --latency-ms.", "yellow")
    return text
