"""What long commands look like while they run: a live display on a terminal, a line now and then elsewhere, or nothing.

All of it goes to the standard error, so that the standard output holds the result alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..bugs.catalogue import BUGS
from ..tools.shrink import Shrink
from ..tools.tally import Coverage, Row, Tally, coverage

LIVE_INTERVAL, LINE_INTERVAL = 0.2, 10.0
BAR_CELLS = 30
FAILURES_SHOWN = 5

Draw: TypeAlias = "Callable[[], RenderableType]"
Say: TypeAlias = "Callable[[], str]"


class Display:
    """Draws, not more often than is of use; `refresh` may be called at any rate."""

    def __init__(self, console: Console, live: Live | None) -> None:
        self._console = console
        self._live = live
        self._due = time.monotonic() + (0 if live else LINE_INTERVAL)

    def refresh(self, draw: Draw, say: Say) -> None:
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + (LIVE_INTERVAL if self._live else LINE_INTERVAL)
        if self._live is not None:
            self._live.update(draw(), refresh=True)
        else:
            self._console.print(Text(say()), soft_wrap=True)


class _Silence(Display):
    def refresh(self, draw: Draw, say: Say) -> None:
        pass


@contextmanager
def display(console: Console, *, quiet: bool) -> Iterator[Display]:
    """The display that fits where the console writes to."""
    if quiet:
        yield _Silence(console, None)
    elif console.is_terminal:
        # No thread of rich's: it would read what we write.
        with Live(console=console, auto_refresh=False, transient=True) as live:
            yield Display(console, live)
    else:
        yield Display(console, None)


# fuzz


def fuzz_line(tally: Tally, covered: Coverage) -> str:
    """For where there is no terminal."""
    return (
        f"{tally.seconds:5.0f} s  {tally.seeds:,} seeds  {tally.seeds_per_second:,.1f}/s  "
        f"{len(tally.failures):,} failed  {_covered(covered)}"
    )


def fuzz_screen(tally: Tally, rows: Mapping[Row, bool]) -> RenderableType:
    """For a terminal."""
    plan, covered = tally.plan, coverage(tally, rows)
    share = Table.grid(padding=(0, 2))
    whole, done = (plan.seeds, float(tally.seeds)) if plan.seeds else (plan.seconds or 1.0, tally.seconds)
    share.add_row(
        ProgressBar(total=whole, completed=done, width=BAR_CELLS, complete_style="green", finished_style="green"),
        f"{tally.seeds:,}" + (f" of {plan.seeds:,}" if plan.seeds else "") + " seeds",
        Text(f"{tally.seeds_per_second:,.1f}/s", "bold"),
        Text(f"{tally.seconds:.0f} s", "dim"),
        Text(f"{len(tally.failures):,} failed", "bold red" if tally.failures else "green"),
    )
    title = Text.assemble(
        ("simulator fuzz", "bold"),
        (f"   from seed {plan.start}, {plan.jobs} job{'s' if plan.jobs > 1 else ''}, ", "dim"),
        (f"{tally.world_seconds:,.0f} virtual seconds", "dim"),
    )
    return Group(title, Text(), share, Text(), _gauges(tally, covered), *_failures(tally))


def _gauges(tally: Tally, covered: Coverage) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="dim")
    for name, done, whole in (
        ("kinds of faults fired", covered.kinds - len(covered.never_fired), covered.kinds),
        ("rows of the coordinator's tables", covered.rows - len(covered.never_taken), covered.rows),
    ):
        bar = ProgressBar(total=max(whole, 1), completed=done, width=BAR_CELLS, complete_style="magenta")
        table.add_row(name, bar, f"{done} of {whole}")
    for name, counts in (("schedulers", tally.schedulers), ("protocols", tally.protocols)):
        table.add_row(name, Text(", ".join(f"{one} {count:,}" for one, count in sorted(counts.items()))), "")
    return table


def _failures(tally: Tally) -> Iterator[RenderableType]:
    if tally.failures:
        yield Text()
    for seed in sorted(tally.failures)[:FAILURES_SHOWN]:
        yield Text(f"  seed {seed}  {tally.failures[seed].kind}", "red")
    if len(tally.failures) > FAILURES_SHOWN:
        yield Text(f"  and {len(tally.failures) - FAILURES_SHOWN} more", "red")


def _covered(covered: Coverage) -> str:
    kinds, rows = covered.kinds - len(covered.never_fired), covered.rows - len(covered.never_taken)
    return f"{kinds} of {covered.kinds} kinds of faults, {rows} of {covered.rows} transitions"


# The others


def shrink_line(shrink: Shrink) -> str:
    return f"{shrink.tries:,} worlds tried  {size(shrink)}"


def size(shrink: Shrink) -> str:
    """How large the smallest world is so far."""
    now = shrink.scenario
    return (
        f"{now.members} members, {now.partitions} partitions, {now.records} records, {len(now.faults)} kinds of "
        f"faults, {len(shrink.firings)} fired"
    )


def bugs_line(done: int, survived: int, whole: int = len(BUGS)) -> str:
    return f"{done} of {whole} bugs  {survived} survived"
