"""What a run of the demo looks like: a live display on a terminal, a line a second elsewhere, or nothing.

All of it goes to the standard error, so that the standard output holds the result alone. Displays only look.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

import trio
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from . import picture
from .demo import Demo

Refresh: TypeAlias = Callable[[], Awaitable[None]]

_LINE_INTERVAL = 1.0
_STRIP_CELLS = 30
_PARTITIONS_SHOWN_MAX = 16
_COLOURS = {"a": "cyan", "b": "magenta"}


def choose(console: Console, *, quiet: bool) -> Callable[[Demo], AbstractContextManager[Refresh]]:
    """The display that fits where the console writes to."""
    if quiet:
        return _silence
    return functools.partial(_live if console.is_terminal else _lines, console)


@contextmanager
def _silence(demo: Demo) -> Iterator[Refresh]:
    yield _nothing


async def _nothing() -> None:
    await trio.lowlevel.checkpoint()


@contextmanager
def _live(console: Console, demo: Demo) -> Iterator[Refresh]:
    # Refreshed by a Trio task: rich's own thread would read what our tasks write.
    with Live(console=console, auto_refresh=False, transient=True) as live:

        async def refresh() -> None:
            live.update(_screen(demo), refresh=True)
            await trio.lowlevel.checkpoint()

        yield refresh


@contextmanager
def _lines(console: Console, demo: Demo) -> Iterator[Refresh]:
    due = trio.current_time()

    async def refresh() -> None:
        nonlocal due
        if trio.current_time() >= due or demo.phase == "done":
            due = trio.current_time() + _LINE_INTERVAL
            done, total = demo.history.handled_count, demo.options.workload.records
            console.print(f"{demo.seconds:5.1f} s  {done:,} of {total:,} handled  {_rate(demo):,.0f}/s  {demo.phase}")
        await trio.lowlevel.checkpoint()

    yield refresh


def _rate(demo: Demo) -> float:
    return demo.history.handled_count / demo.seconds if demo.seconds else 0.0


def _screen(demo: Demo) -> RenderableType:
    work, history = demo.options.workload, demo.history
    title = Text.assemble(
        ("trio-consumer demo", "bold"),
        (f"   {work.records:,} records, {work.keys:,} keys, {work.partitions} partitions, seed {work.seed}", "dim"),
    )
    bar = Table.grid(padding=(0, 2))
    bar.add_row(
        ProgressBar(
            total=work.records,
            completed=history.handled_count,
            width=_STRIP_CELLS,
            complete_style="green",
            finished_style="green",
        ),
        f"{history.handled_count:,}",
        Text(f"{_rate(demo):,.0f}/s", "bold"),
        Text(f"{demo.seconds:.1f} s", "dim"),
        Text(demo.phase, "italic"),
    )
    return Group(title, Text(), bar, Text(), _members(demo), Text(), *_partitions(demo), _judgement(demo))


def _members(demo: Demo) -> Table:
    table = Table.grid(padding=(0, 2))
    for _ in range(4):
        table.add_column(justify="right")
    for name in sorted(set(demo.consumers) | set(demo.history.handled_by)):
        handled = f"{demo.history.handled_by.get(name, 0):,} handled"
        label = Text(f"member {name}", _COLOURS.get(name, ""))
        consumer = demo.consumers.get(name)
        if consumer is None:
            table.add_row(label, Text("left", "dim"), "", handled)
        else:
            now = consumer.statistics()
            table.add_row(label, f"{len(now.partitions)} partitions", f"{now.in_flight} in flight", handled)
    return table


def _partitions(demo: Demo) -> Iterator[RenderableType]:
    if not 0 < len(demo.held) <= _PARTITIONS_SHOWN_MAX:
        return
    owners = {p: name for name, consumer in demo.consumers.items() for p in consumer.statistics().partitions}
    table = Table.grid(padding=(0, 2))
    for partition, row in demo.held.items():
        drawn = picture.cells(row.state.committed, (), row.state.start, row.state.end, _STRIP_CELLS)
        owner, ahead = owners.get(partition, ""), f"+{row.completed_ahead:,} ahead"
        table.add_row(
            Text(str(partition), "dim"),
            Text(owner, _COLOURS.get(owner, "")),
            picture.strip(drawn.cells),
            f"{row.state.committed or 0:,} committed",
            Text(ahead if row.completed_ahead else "", "yellow"),
        )
    yield table
    yield Text()


def _judgement(demo: Demo) -> Text:
    text, history = Text(), demo.history
    counts = {
        "repeated": history.repeated,
        "out of order": history.out_of_order,
        "unfenced": history.unfenced,
        "committed early": history.committed_early,
    }
    for name, count in counts.items():
        bad = count and name != "repeated"
        text.append(f"{name} ", "dim").append(f"{count:,}", "bold red" if bad else "bold").append("   ")
    return text.append(f"{history.audits} audits", "dim")
