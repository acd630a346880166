"""The commands, their options and help, and the exit codes. What they do is in the modules that they call."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console
from rich.text import Text

from trio_consumer import ConfigurationError

from ..report.page import write_page
from ..tools import recording as recording_
from ..tools.fuzz import fuzz as fuzz_
from ..tools.fuzz import silence
from ..tools.recording import Recording, recording_of
from ..tools.reproduce import planted as planted_
from ..tools.shrink import TRIES_MAX, Shrink
from ..tools.tally import Plan, Tally, all_rows, coverage
from ..world.world import run_world
from . import determinism, fuzzing, planted, progress, replaying, show, shrinking
from .exits import Exit, bare, failed
from .options import NOTHING, OUTPUT, WHICH, WORK, Everything, Given, Json, Quiet, Record, Seed, Start, Trace

_EXAMPLES = """
Look at one world, look for worlds that fail, and look into one of those:

    python -m simulator run --seed 7 --faults crash,rebalance --trace
    python -m simulator fuzz --seeds 1000 --jobs 2
    python -m simulator shrink --seed 12
    python -m simulator report --seed 12 -o seed-12.html
"""
_CODES = (
    "Exit codes: 0 every promise was kept; 11 to 16 G1 to G6 was broken: 11 lost, 12 order, 13 fence, 14 bounds, "
    "15 progress, 16 repeats; 17 another oracle; 20 the world did not come to its end; 2 usage."
)

app = App(
    name="simulator",
    help="A whole Kafka in one process, run from one seed, that tries to break the promise of trio-consumer.",
    help_epilogue=_EXAMPLES,
    help_format="markdown",
    version=lambda: _version(),
    error_formatter=lambda error: _error_line(error),
    suppress_keyboard_interrupt=False,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: Instead of those of the process.
    """
    silence()
    try:
        result = app(arguments, exit_on_error=False, result_action="return_value")
        return int(result) if isinstance(result, int) else Exit.DONE
    except CycloptsError:
        return Exit.USAGE  # said already
    except (Exception, KeyboardInterrupt, BaseExceptionGroup) as error:
        return failed(bare(error))


@app.command(help_epilogue=_CODES)
def run(
    *,
    seed: Seed = 0,
    given: Given = NOTHING,
    trace: Trace = False,
    everything: Everything = False,
    record: Record = None,
    json: Json = False,
) -> int:
    """Run one world: faults, then healing, and the verdict of every oracle.

    What is not given is drawn from the seed. The same arguments give the same world, always.
    """
    outcome = _run(seed, given)
    if record is not None:
        recording_.write(record, outcome)
    return _shown(outcome, given.fields(), trace=trace, everything=everything, json=json)


@app.command(
    help_epilogue="Exit codes: 0 every promise was kept in every world; 1 a world failed, or with --require-coverage "
    "something never happened; 2 usage.",
)
def fuzz(
    *,
    seeds: Annotated[int | None, Parameter(group=WHICH, help="How many worlds.")] = None,
    minutes: Annotated[float | None, Parameter(group=WHICH, help="For how long, in real minutes.")] = None,
    start: Start = 0,
    given: Given = NOTHING,
    jobs: Annotated[int, Parameter(("--jobs", "-j"), group=WORK, help="Processes.")] = 1,
    stop_after: Annotated[
        int | None, Parameter(group=WORK, metavar="FAILURES", help="End after so many worlds that failed.")
    ] = None,
    require_coverage: Annotated[
        bool,
        Parameter(
            group=WORK,
            negative=(),
            help="Fail if a kind of fault never fired, or a row of the coordinator's tables was never taken.",
        ),
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Run the worlds of many seeds and collect those that fail, each with the command that runs it again.

    Which seeds run does not depend on the number of jobs, except with --minutes.
    """
    plan = Plan(
        start=start,
        seeds=seeds,
        seconds=None if minutes is None else minutes * 60,
        jobs=jobs,
        given=given.fields(),
        stop_after=stop_after,
    )
    rows = all_rows()
    with progress.display(Console(stderr=True), quiet=quiet) as shown:

        def look(tally: Tally) -> None:
            shown.refresh(
                lambda: progress.fuzz_screen(tally, rows),
                lambda: progress.fuzz_line(tally, coverage(tally, rows)),
            )

        tally = fuzz_(plan, look)
    covered = coverage(tally, rows)
    if json:
        print(fuzzing.as_json(tally, covered))
    else:
        Console().print(fuzzing.as_tables(tally, covered), crop=False)
    return Exit.FAILED if tally.failures or (require_coverage and not covered.complete) else Exit.DONE


@app.command(help_epilogue="Exit codes: 0 shrunk, or as far as the bounds allowed; 2 the seed does not fail, or usage.")
def shrink(
    *,
    seed: Seed = 0,
    given: Given = NOTHING,
    tries: Annotated[int, Parameter(group=WORK, help="How many worlds may be tried.")] = TRIES_MAX,
    seconds: Annotated[
        float | None, Parameter(group=WORK, help="How many real seconds it may take.  [default: no limit]")
    ] = None,
    trace: Trace = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Look for the smallest world that still fails by the same oracle.

    Fewer members, partitions, records, faults and options, a plainer scheduler, a shorter first phase. The result is
    printed as a scenario for a test, and as a command.
    """
    with progress.display(Console(stderr=True), quiet=quiet) as shown:

        def look(now: Shrink) -> None:
            shown.refresh(lambda: Text(progress.shrink_line(now)), lambda: progress.shrink_line(now))

        with planted_(given.fields()):
            shrunk = Shrink(given.scenario(seed), run_world, tries_max=tries, seconds_max=seconds, look=look).run()
            smallest = run_world(shrunk.scenario)
    if json:
        print(shrinking.as_json(shrunk, given.bug))
    else:
        console = Console()
        if trace:
            show.print_trace(console, smallest.moments, everything=False)
        console.print(shrinking.as_tables(shrunk, given.bug), crop=False)
    return Exit.DONE


@app.command(help_epilogue=f"{_CODES} 1 the world is not the recorded one.")
def replay(
    file: Annotated[Path, Parameter(help="What run --record wrote.")],
    /,
    *,
    trace: Trace = False,
    everything: Everything = False,
    json: Json = False,
) -> int:
    """Run a recorded world again and compare: whether it is the same, and if not, where it first differs.

    The trace that is shown is the recorded one.
    """
    recorded = recording_.read(file)
    with planted_(recorded.given):
        divergence = replaying.divergence(recorded, recording_of(run_world(recorded.scenario)))
    code = _shown(recorded, recorded.given, trace=trace, everything=everything, json=json, again=divergence)
    return Exit.FAILED if divergence else code


@app.command(
    name="check-determinism",
    help_epilogue="Exit codes: 0 every world was the same everywhere; 1 one was not; 2 usage.",
)
def check_determinism(
    *,
    seeds: Annotated[int, Parameter(group=WHICH, help="How many worlds.")] = 100,
    start: Start = 0,
    given: Given = NOTHING,
    python: Annotated[
        list[str] | None,
        Parameter(
            group=WORK,
            negative=(),
            metavar="PATH",
            help="Another interpreter to compare with, with all dependencies installed. May be repeated.",
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Run the same seeds here and in another process with another PYTHONHASHSEED, and compare all that happened.

    Where a world differs, the first line that does is shown.
    """
    with progress.display(Console(stderr=True), quiet=quiet) as shown:

        def look(done: int) -> None:
            shown.refresh(lambda: Text(f"{done:,} of {seeds:,} seeds"), lambda: f"{done:,} of {seeds:,} seeds")

        compared = determinism.compare(start, seeds, given.fields(), pythons=python or (), look=look)
    if json:
        print(determinism.as_json(compared))
    else:
        Console().print(determinism.as_tables(compared), crop=False)
    return Exit.DONE if compared.same else Exit.FAILED


@app.command(help_epilogue="Exit codes: 0 every bug was caught; 1 one survived; 2 usage.")
def bugs(
    names: Annotated[list[str] | None, Parameter(help="Only these; all by default.")] = None,
    /,
    *,
    seeds: Annotated[int | None, Parameter(group=WHICH, help="Worlds for each bug, at most.")] = None,
    start: Start = 0,
    jobs: Annotated[int, Parameter(("--jobs", "-j"), group=WORK, help="Processes.")] = 1,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Plant wrong decisions in the consumer, and lies in the broker, and see whether the oracles catch them.

    Each bug names the oracle that must catch it. The table says which one did, and how many seeds that took.
    """
    with progress.display(Console(stderr=True), quiet=quiet) as shown:
        rows = planted.run(names, seeds=seeds, start=start, jobs=jobs, shown=shown)
    if json:
        print(planted.as_json(rows))
    else:
        Console().print(planted.as_table(rows))
    return Exit.DONE if all(row.killed for row in rows) else Exit.FAILED


@app.command(help_epilogue="Exit codes: 0 the page is written, whatever came of the world; 2 usage.")
def report(
    file: Annotated[Path | None, Parameter(help="What run --record wrote; without it the world of --seed.")] = None,
    /,
    *,
    output: Annotated[Path, Parameter(("--output", "-o"), group=OUTPUT, metavar="FILE", help="The page.")],
    seed: Annotated[int | None, Parameter(("--seed", "-s"), group=WHICH, help="Decides all that is not given.")] = None,
    given: Given = NOTHING,
) -> int:
    """Write one HTML page that shows a world: members and partitions over time, handlers, commits, faults, violations.

    The page needs no network.
    """
    shown = _world_of(file, seed, given)
    write_page(output, shown)
    console = Console()
    for line in show.conclusion(shown):
        console.print(line)
    console.print(Text(f"{output}", "cyan"), soft_wrap=True)
    return Exit.DONE


def _run(seed: int, given: Given) -> Recording:
    with planted_(given.fields()):
        return recording_of(run_world(given.scenario(seed)), given.bug or "")


def _world_of(file: Path | None, seed: int | None, given: Given) -> Recording:
    if file is None:
        if seed is None:
            raise ConfigurationError("nothing to show: give --seed N, or a file of run --record")
        return _run(seed, given)
    if seed is not None or given.fields():
        raise ConfigurationError(f"{file} says what its world was: give a file or --seed, not both")
    return recording_.read(file)


def _shown(
    world: Recording,
    given: dict[str, object],
    *,
    trace: bool,
    everything: bool,
    json: bool,
    again: replaying.Divergence | None = None,
) -> int:
    """Print what a command that ran one world prints; its exit code."""
    if json:
        more = {} if again is None else {"divergence": str(again)}
        print(show.as_json(world, given, **more))
        return show.exit_of(world)
    console = Console()
    console.print(show.title(world.scenario))
    console.print()
    if trace or everything:
        show.print_trace(console, world.moments, everything=everything)
    console.print(show.summary(world, given), crop=False)
    if again is not None:
        console.print(Text(f"\nThe world is not the recorded one; first at {again}", "bold red"))
    return show.exit_of(world)


def _version() -> str:
    try:
        return importlib.metadata.version("trio-consumer")
    except importlib.metadata.PackageNotFoundError:
        return "unknown: not installed"


def _error_line(error: CycloptsError) -> Text:
    text = Text(f"simulator: {error}\n", no_wrap=True, overflow="ignore")
    return text.append("See python -m simulator --help.", "dim")
