"""One world on a terminal: its trace in colours, the verdict, and how to see it again."""

from __future__ import annotations

import json as json_
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..report.picture import facts
from ..tools.recording import Recording
from ..tools.reproduce import command
from ..tools.tally import Found
from ..tools.trace import Line, legend, lines
from ..world.history import FaultFired, Moment, Transition, Violated
from ..world.scenario import Scenario
from .exits import Exit, promise_of, verdict

STYLES = {
    "phase": "bold",
    "process": "bold cyan",
    "client": "",
    "commit": "blue",
    "handler": "green",
    "fault": "magenta",
    "log": "bright_black",
    "table": "bright_black",
    "violation": "bold white on red",
}
VIOLATIONS_MAX = 20
"""So many are shown in full."""


def found_in(moments: Iterable[Moment]) -> list[Found]:
    """The violations, and when."""
    return [Found(time, *event) for time, event in moments if type(event) is Violated]


def exit_of(recording: Recording) -> Exit:
    """How a command that ran this one world ends."""
    found = found_in(recording.moments)
    oracle = found[0].oracle if found else ""
    return verdict(oracle, recording.error, promise_of(oracle))


def print_trace(console: Console, moments: Iterable[Moment], *, everything: bool) -> None:
    """The trace, and after it the legend of what is in it."""
    shown: dict[tuple[str, str], Line] = {}
    for each in lines(moments, everything=everything):
        shown.setdefault((each.mark, each.what), each)
        console.print(line_of(each), soft_wrap=True)
    console.print()
    for row in legend(shown.values()):
        console.print(Text(f"  {row}", "dim"), soft_wrap=True)
    console.print()


def line_of(told: Line) -> Text:
    return line(f"{told.time:10.4f}  ", "dim").append(told.body, STYLES[told.tone])


def title(scenario: Scenario) -> RenderableType:
    """What distinguishes this world."""
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="dim", no_wrap=True)
    table.add_column()
    table.add_row("seed", Text(str(scenario.seed), "bold"))
    for name, value in facts(scenario):
        table.add_row(name, Text(value))
    if scenario.faults:
        table.add_row("", Text(", ".join(sorted(scenario.faults)), "dim"))
    return table


def summary(recording: Recording, given: Mapping[str, Any]) -> RenderableType:
    """What came of it, and the commands to see more."""
    fired = fired_in(recording.moments)
    faults = ", ".join(f"{kind} {count}" for kind, count in sorted(fired.items()))
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(style="dim")
    table.add_row(f"{recording.seconds:,.2f}", "virtual seconds", f"{recording.steps:,} steps of tasks")
    table.add_row(f"{fired.total():,}", "faults fired", Text(faults))
    rows = len({event for _, event in recording.moments if type(event) is Transition})
    table.add_row(f"{rows:,}", "transitions", "different rows of the coordinator's tables")
    seed = recording.scenario.seed
    return Group(table, Text(), *conclusion(recording), Text(), again(seed, given))


def conclusion(recording: Recording) -> Iterator[Text]:
    """Whether every promise was kept; if not, which were broken."""
    found = found_in(recording.moments)
    yield from map(violation, found[:VIOLATIONS_MAX])
    if len(found) > VIOLATIONS_MAX:
        yield Text(f"and {len(found) - VIOLATIONS_MAX} more", "red")
    if recording.error:
        yield Text(recording.error, "red")
    if recording.error:
        yield Text("The world did not come to its end.", "bold red")
    elif found:
        yield Text("The promise was broken.", "bold red")
    else:
        yield Text("Every promise was kept.", "bold green")


def violation(found: Found) -> Text:
    anomaly = f" ({found.anomaly})" if found.anomaly else ""
    return Text.assemble(
        ("✗ ", "bold red"), (found.oracle, "bold red"), (f"{anomaly} at {found.time:.4f} s\n", "red"), f"  {found.text}"
    )


def again(seed: int, given: Mapping[str, Any]) -> Text:
    """Commands for the same world."""
    text = line("")
    page = f" -o seed-{seed}.html"
    for action, more in (("run", " --trace"), ("report", page), ("shrink", "")):
        text.append(f"{action:>8}  ", "dim").append(command(seed, given, action=action) + more).append("\n")
    text.rstrip()
    return text


def fired_in(moments: Iterable[Moment]) -> Counter[str]:
    """How often each kind of fault fired."""
    return Counter(event.kind for _, event in moments if type(event) is FaultFired)


def as_json(recording: Recording, given: Mapping[str, Any], **more: Any) -> str:
    """One object."""
    taken = Counter(tuple(event[1:]) for _, event in recording.moments if type(event) is Transition)
    found = found_in(recording.moments)
    return json_.dumps(
        {
            "seed": recording.scenario.seed,
            "kept": not recording.failed,
            "violations": [found_as_json(one) for one in found],
            "error": recording.error,
            "seconds": round(recording.seconds, 6),
            "steps": recording.steps,
            "faults_fired": dict(sorted(fired_in(recording.moments).items())),
            "transitions": len(taken),
            "command": command(recording.scenario.seed, given),
            "scenario": recording.scenario.pasted(),
            **more,
        }
    )


def found_as_json(found: Found) -> dict[str, Any]:
    return {"time": round(found.time, 6), "oracle": found.oracle, "anomaly": found.anomaly, "text": found.text}


def line(text: str, style: str = "") -> Text:
    """As long as it is: to be copied, or read by another program."""
    return Text(text, style, no_wrap=True, overflow="ignore")
