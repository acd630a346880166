"""The command line: ``python -m benchmarks list``, or one or more scenarios.

Exit codes: 0 measured; 1 a candidate lost, repeated or reordered records, or could not be measured; 2 usage;
3 no cluster. A target that is missed is shown and changes no exit code: figures of a busy machine prove nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from confluent_kafka import KafkaException

from trio_consumer.errors import TrioConsumerError

from . import clusters, machine, report
from .harness import Harness
from .scenarios import SCENARIOS
from .topics import TopicUnusable


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments say; the exit code."""
    options = _parser().parse_args(arguments)
    if options.scenarios == ["list"]:
        print(report.as_list(SCENARIOS.values()))
        return 0
    try:
        return _measure(options)
    except (TrioConsumerError, KafkaException, TopicUnusable, clusters.ClusterUnreachable, TimeoutError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 3


def _measure(options: argparse.Namespace) -> int:
    described = machine.describe()
    with _place(options) as place:
        print(f"on {place.name}", file=sys.stderr)
        harness = Harness(place.cluster, rounds=options.runs, warm_ups=options.warm_ups, report=_tell)
        results = []
        for name in options.scenarios:
            scenario = SCENARIOS[name]
            default = scenario.records_embedded if place.embedded else scenario.records
            results.append(harness.run(scenario.sized(options.records or default)))
            if not options.json:
                print(report.as_table(results[-1], targets=not place.embedded), end="\n\n", flush=True)
    if options.json:
        print(json.dumps(report.as_json(results, place.name, described, rounds=options.runs)))
    else:
        print(f"{place.name}; {report.about_machine(described)}")
    return 0 if all(result.valid for result in results) else 1


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def _place(options: argparse.Namespace) -> AbstractContextManager[clusters.Place]:
    if options.kafka:
        return clusters.open_kafka()
    if options.bootstrap:
        return clusters.open_foreign(options.bootstrap)
    return clusters.open_embedded()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure candidates side by side, on the same records. benchmarks/README.md tells the method.",
    )
    known = f"{', '.join(SCENARIOS)}; or list, to describe them"
    parser.add_argument("scenarios", nargs="+", choices=[*SCENARIOS, "list"], metavar="SCENARIO", help=known)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--bootstrap", metavar="HOST:PORT", help="a Kafka cluster; topics are created there and deleted")
    where.add_argument(
        "--kafka", action="store_true", help="start a Kafka broker (needs Java 17; Maven, the first time)"
    )
    parser.add_argument("--records", type=_at_least(1), metavar="N", help="records of each scenario")
    parser.add_argument("--runs", type=_at_least(1), default=3, metavar="R", help="measured rounds (3)")
    parser.add_argument("--warm-ups", type=_at_least(0), default=1, metavar="W", help="rounds before those (1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _at_least(least: int) -> Callable[[str], int]:
    def whole_number(text: str) -> int:
        if (number := int(text)) < least:
            raise argparse.ArgumentTypeError(f"{number}: give at least {least}")
        return number

    return whole_number


if __name__ == "__main__":
    sys.exit(main())
