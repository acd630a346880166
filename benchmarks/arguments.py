"""The arguments of the command line."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

COMMANDS = ("list", "setup", "table", "show", "guard")

DESCRIPTION = """\
Measure candidates side by side, on the same records. benchmarks/README.md tells the method.

  python -m benchmarks list                  what there is to measure
  python -m benchmarks setup                 set up the environments of the peers, once
  python -m benchmarks SCENARIO...           measure
  python -m benchmarks table                 measure every figure that has a target, and print them as one table
  python -m benchmarks show RESULTS...       tables and plots of results that were saved
  python -m benchmarks guard                 a short run against the stored baseline: did anything get slower?
"""


def parse(arguments: list[str], scenarios: Collection[str]) -> argparse.Namespace:
    """What to do, as `command`, and how. Ends the process where the arguments are wrong."""
    command = arguments[0] if arguments and arguments[0] in COMMANDS else "run"
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks" + ("" if command == "run" else f" {command}"),
        description=DESCRIPTION if command == "run" else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=command)
    if command == "run":
        parser.add_argument("scenarios", nargs="+", choices=scenarios, metavar="SCENARIO", help=", ".join(scenarios))
    if command in ("run", "table"):
        _add_measuring(parser)
    if command == "show":
        parser.add_argument("results", nargs="+", type=Path, metavar="RESULTS", help="files of --save or --json")
        parser.add_argument("--table", action="store_true", help="one table of all figures that have a target")
    if command in ("run", "table", "show"):
        _add_showing(parser)
    if command == "guard":
        parser.add_argument("--update", action="store_true", help="make this run the baseline")
        parser.add_argument("--strict", action="store_true", help="exit with 1 if something got slower")
    return parser.parse_args(arguments if command == "run" else arguments[1:])


def _add_measuring(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--bootstrap", metavar="HOST:PORT", help="a Kafka cluster; topics are created there and deleted")
    where.add_argument(
        "--kafka", action="store_true", help="start a Kafka broker (needs Java 17; Maven, the first time)"
    )
    parser.add_argument("--records", type=_at_least(1), metavar="N", help="records of each scenario")
    parser.add_argument("--runs", type=_at_least(1), default=3, metavar="R", help="measured rounds (3)")
    parser.add_argument("--warm-ups", type=_at_least(0), default=1, metavar="W", help="rounds before those (1)")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="only candidates of this name")
    parser.add_argument(
        "--set",
        action="append",
        type=_setting,
        default=[],
        metavar="NAME=VALUE",
        help="another option of all candidates that have it, as in handler.seconds=0.01 or concurrency=64",
    )
    parser.add_argument("--profile", action="store_true", help="sample each candidate by py-spy instead")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the results as JSON")


def _add_showing(parser: argparse.ArgumentParser) -> None:
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print one JSON object")
    how.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the results, as .png or .svg")


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        if equals and value:
            return name, value
        raise argparse.ArgumentTypeError(f"{text!r}: give NAME=VALUE") from None


def _at_least(least: int) -> Callable[[str], int]:
    def whole_number(text: str) -> int:
        if (number := int(text)) < least:
            raise argparse.ArgumentTypeError(f"{number}: give at least {least}")
        return number

    return whole_number
