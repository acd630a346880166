"""The command line: ``python -m benchmarks --help``.

Exit codes: 0 measured; 1 a candidate lost, repeated or reordered records, or could not be measured (in ``guard
--strict`` also: something got slower; in ``setup``: a peer is missing); 2 usage; 3 no cluster, or a tool that was asked
for is missing. A target that is missed is shown and changes no exit code: figures of a busy machine prove nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from confluent_kafka import KafkaException

from trio_consumer.errors import TrioConsumerError

from . import arguments, clusters, guard, machine, plot, profiles, report, results, runtimes
from .harness import Harness
from .model import Scenario
from .scenarios import SCENARIOS, TABLE
from .topics import TopicUnusable


def main(given: Sequence[str] | None = None) -> int:
    """Do what the arguments say; the exit code."""
    options = arguments.parse(list(sys.argv[1:] if given is None else given), SCENARIOS)
    try:
        match options.command:
            case "list":
                print(report.as_list(SCENARIOS.values()))
                return 0
            case "setup":
                return 0 if runtimes.set_up(runtimes.peers(), print) else 1
            case "show":
                return _show(options)
            case "guard":
                return _guard(options)
            case _:
                return _profile(options) if options.profile else _measure(options)
    except (TrioConsumerError, KafkaException, TopicUnusable, clusters.ClusterUnreachable, TimeoutError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
    except (plot.PlotterMissing, profiles.ProfilerMissing, OSError, ValueError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
    return 3


def _measure(options: argparse.Namespace) -> int:
    if options.plot:
        plot.check()
    described = machine.describe()
    with _place(options) as place:
        _tell(f"on {place.name}")
        harness = Harness(
            place.cluster, rounds=options.runs, warm_ups=options.warm_ups, report=_tell, delayed=place.delayed
        )
        found = []
        for scenario in _chosen(options, embedded=place.embedded):
            found.append(harness.run(scenario))
            if not options.json:
                print(_shown(found[-1], options, targets=not place.embedded), end="\n\n", flush=True)
    run = results.as_json(found, place.name, described, rounds=options.runs, targets=not place.embedded)
    if options.save:
        options.save.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    _conclude(run, found, options, table=options.command == "table")
    return 0 if all(one.valid for one in found) else 1


def _show(options: argparse.Namespace) -> int:
    for path in options.results:
        run: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = results.from_json(run)
        if not options.json and not options.table:
            for one in found:
                print(_shown(one, options, targets=run["targets"]), end="\n\n")
        _conclude(run, found, options, table=options.table)
    return 0


def _shown(result: results.ScenarioResult, options: argparse.Namespace, *, targets: bool) -> str:
    return (report.as_markdown if options.markdown else report.as_text)(result, targets=targets)


def _conclude(
    run: dict[str, Any], found: Sequence[results.ScenarioResult], options: argparse.Namespace, *, table: bool
) -> None:
    """What a run tells in the end: the table of all figures, or the machine only; the JSON; the plot."""
    about = f"{run['cluster']}; {report.about_machine(run['machine'])}"
    if options.json:
        print(json.dumps(run))
    else:
        if table:
            figures = report.summary(found, targets=run["targets"])
            print(*(figures.markdown() if options.markdown else figures.text()), sep="\n", end="\n\n")
        print(about)
    if options.plot:
        plot.save(found, options.plot, about)


def _profile(options: argparse.Namespace) -> int:
    profiler = profiles.Profiler()
    with _place(options) as place:
        harness = Harness(place.cluster, rounds=2, warm_ups=0, report=_tell, delayed=place.delayed, run=profiler.run)
        valid = [harness.run(scenario).valid for scenario in _chosen(options, embedded=place.embedded)]
    for name, tables in profiler.found:
        print(f"### {name}\n" if options.markdown else name)
        for table in tables:
            print(*(table.markdown() if options.markdown else table.text()), sep="\n", end="\n\n")
    return 0 if all(valid) else 1


def _guard(options: argparse.Namespace) -> int:
    with clusters.open_embedded() as place:
        harness = Harness(place.cluster, rounds=guard.ROUNDS, warm_ups=0, report=_tell, delayed=place.delayed)
        found = harness.run(guard.SCENARIO.sized(guard.SCENARIO.records_embedded))
    for one in found.candidates:
        for problem in one.problems:
            print(f"NOT VALID: {one.candidate.name}: {problem}")
    verdict = guard.compare(found, guard.load())
    print(*verdict.lines, sep="\n")
    if options.update:
        guard.store(guard.kept(found), machine.describe())
    return 1 if not found.valid or (options.strict and verdict.slower) else 0


def _chosen(options: argparse.Namespace, *, embedded: bool) -> list[Scenario]:
    """The scenarios, with the size, the candidates and the settings that the arguments ask for."""
    names = options.scenarios if options.command == "run" else [name for name in TABLE if name in SCENARIOS]
    chosen = []
    for scenario in (SCENARIOS[name] for name in names):
        default = scenario.records_embedded if embedded else scenario.records
        scenario = scenario.sized(options.records or default).only(options.only).having(dict(options.set))
        if scenario.candidates:
            chosen.append(scenario)
    if not chosen:
        raise ValueError(f"no candidate of {', '.join(names)} is named {' or '.join(options.only)}")
    return chosen


def _place(options: argparse.Namespace) -> AbstractContextManager[clusters.Place]:
    if options.kafka:
        return clusters.open_kafka()
    if options.bootstrap:
        return clusters.open_foreign(options.bootstrap)
    return clusters.open_embedded()


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
