"""Options that several commands share, and how they become fields of a `Scenario`."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import attrs
from cyclopts import Group, Parameter

from trio_consumer import ConfigurationError, Order
from trio_consumer.client.settings import max_poll_interval_seconds
from trio_consumer.config import gather

from ..faults.catalogue import KINDS, chosen
from ..tools.reproduce import numbers_of, pairs_of, scenario_of
from ..world.members import SETTINGS
from ..world.scenario import PROTOCOLS, SCHEDULERS, VERSIONS, Scenario

WHICH = Group.create_ordered("Which worlds")
WORLD = Group.create_ordered(
    "The world", help="What is not given is drawn from the seed, or with --plain the default that is named here."
)
WORK = Group.create_ordered("Work")
OUTPUT = Group.create_ordered("Output")

PLAIN = Scenario(seed=0)

Json: TypeAlias = Annotated[bool, Parameter(group=OUTPUT, negative=(), help="Print one JSON object instead.")]
Quiet: TypeAlias = Annotated[bool, Parameter(("--quiet", "-q"), group=OUTPUT, negative=(), help="No progress.")]
Seed: TypeAlias = Annotated[int, Parameter(("--seed", "-s"), group=WHICH, help="Decides all that is not given.")]
Start: TypeAlias = Annotated[int, Parameter(group=WHICH, help="The first seed.")]
Trace: TypeAlias = Annotated[
    bool, Parameter(("--trace", "-t"), group=OUTPUT, negative=(), help="Print all that happens, with a legend.")
]
Everything: TypeAlias = Annotated[
    bool,
    Parameter(
        group=OUTPUT, negative=(), help="In the trace, also the rows of the coordinator's tables and samples of bounds."
    ),
]
Record: TypeAlias = Annotated[
    Path | None, Parameter(group=OUTPUT, metavar="FILE", help="Write the world to a file for replay and report.")
]


def _of(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" or {names[-1]}"


def _number(help_: str, default: float) -> Parameter:
    return Parameter(group=WORLD, help=f"{help_} [plain: {default:g}]")


@Parameter(name="*")
@attrs.frozen(kw_only=True)
class Given:
    """What of a scenario is given."""

    scheduler: Annotated[
        str | None,
        Parameter(group=WORLD, help=f"Which task runs next: {_of(SCHEDULERS)}. [plain: {PLAIN.scheduler}]"),
    ] = None
    depth: Annotated[int | None, _number("For pct: how many ordering constraints a bug may need.", PLAIN.depth)] = None
    protocol: Annotated[
        str | None,
        Parameter(group=WORLD, help=f"How the group shares partitions: {_of(PROTOCOLS)}. [plain: {PLAIN.protocol}]"),
    ] = None
    members: Annotated[int | None, _number("Members of the group.", PLAIN.members)] = None
    static: Annotated[
        bool | None, Parameter(group=WORLD, help="Whether they have a group.instance.id. [plain: no]")
    ] = None
    partitions: Annotated[int | None, _number("Partitions of the topic.", PLAIN.partitions)] = None
    records: Annotated[int | None, _number("Records that are produced.", PLAIN.records)] = None
    keys: Annotated[int | None, _number("Keys that they have.", PLAIN.keys)] = None
    handler_seconds: Annotated[
        float | None, _number("How long a handler takes, at most, in virtual seconds.", PLAIN.handler_seconds)
    ] = None
    hooks: Annotated[bool | None, Parameter(group=WORLD, help="Whether the consumer has tenure hooks. [plain: no]")] = (
        None
    )
    faults: Annotated[
        list[str] | None,
        Parameter(
            group=WORLD,
            negative=(),
            consume_multiple=False,
            metavar="NAMES",
            help="Kinds of faults or groups of them, separated by commas; all, or none. [plain: none]",
        ),
    ] = None
    scale: Annotated[
        list[str] | None,
        Parameter(
            group=WORLD,
            negative=(),
            metavar="KIND=FACTOR",
            help="Factor on how often a kind fires where it can. May be repeated. [plain: 1]",
        ),
    ] = None
    muted: Annotated[
        str | None,
        Parameter(group=WORLD, metavar="NUMBERS", help="Firings of faults to leave out, as 0-4,9. [plain: none]"),
    ] = None
    fault_seconds: Annotated[
        float | None, _number("How long faults go on, in virtual seconds.", PLAIN.fault_seconds)
    ] = None
    heal_seconds: Annotated[
        float | None,
        _number("In how many virtual seconds after that everything must be done.", PLAIN.heal_seconds),
    ] = None
    o: Annotated[
        list[str] | None,
        Parameter(
            "-O",
            group=WORLD,
            negative=(),
            metavar="NAME=VALUE",
            help="An option of open_consumer, for instance -O attempts=3. May be repeated. [plain: its defaults]",
        ),
    ] = None
    x: Annotated[
        list[str] | None,
        Parameter(
            "-X",
            group=WORLD,
            negative=(),
            metavar="NAME=VALUE",
            help="A setting of librdkafka's, for instance -X isolation.level=read_uncommitted. May be repeated.",
        ),
    ] = None
    kafka: Annotated[
        str | None,
        Parameter(
            group=WORLD,
            help=f"Version of the brokers, where their answers differ: {_of(VERSIONS)}. [plain: {PLAIN.version}]",
        ),
    ] = None
    plain: Annotated[
        bool, Parameter(group=WORLD, negative=(), help="Draw nothing: what is not given has its default.")
    ] = False

    bug: Annotated[
        str | None,
        Parameter(group=WORLD, help="Plant this bug in the consumer or the broker; the command bugs lists them."),
    ] = None

    def fields(self) -> dict[str, Any]:
        """What `simulator.tools.reproduce.scenario_of` takes.

        Raises:
            ConfigurationError: A value is wrong.
        """
        return {**({"plain": True} if self.plain else {}), **dict(self._fields())}

    def scenario(self, seed: int) -> Scenario:
        """The world of this seed.

        Raises:
            ConfigurationError: A value is wrong.
        """
        return scenario_of(seed, self.fields())

    def _fields(self) -> Iterator[tuple[str, Any]]:
        special = ("faults", "scale", "muted", "o", "x", "kafka", "plain")
        for field in attrs.fields(Given):
            value = getattr(self, field.name)
            if field.name not in special and value is not None:
                yield field.name, value
        if self.faults is not None:
            yield "faults", faults_of(self.faults)
        if self.scale is not None:
            yield "scale", {kind: _factor(kind, text) for kind, text in pairs_of("--scale", self.scale).items()}
        if self.muted is not None:
            yield "muted", numbers_of(self.muted)
        if self.o is not None:
            yield "options", options_of(self.o)
        if self.x is not None:
            yield "settings", {name: literal(text) for name, text in pairs_of("-X", self.x).items()}
        if self.kafka is not None:
            yield "version", self.kafka


NOTHING = Given()
"""Everything is drawn."""


def faults_of(words: Sequence[str]) -> frozenset[str]:
    """Kinds, from words that may have commas in them."""
    names = [name for word in words for name in word.split(",") if name]
    return chosen(name for name in names if name != "none")


def options_of(words: Sequence[str]) -> dict[str, Any]:
    """Options of `open_consumer`.

    Raises:
        ConfigurationError: There is no such option, or its value is wrong, alone or in a world.
    """
    options = {name: literal(text) for name, text in pairs_of("-O", words).items()}
    orders = [order.value for order in Order]
    if options.get("order", orders[0]) not in orders:
        raise ConfigurationError(f"-O order={options['order']}: give one of {', '.join(orders)}")
    checked = {name: Order(value) if name == "order" else value for name, value in options.items()}
    try:
        config = gather(checked)
        if "revoke_deadline" in options:
            config.check_poll_interval(max_poll_interval_seconds(SETTINGS))
    except ConfigurationError as error:
        raise ConfigurationError(f"-O {error}") from error
    return options


def literal(text: str) -> Any:
    """A value as Python writes it, else the text itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _factor(kind: str, text: str) -> float:
    if kind not in KINDS or not KINDS[kind].rate:
        raise ConfigurationError(f"--scale {kind}={text}: give a kind that fires with some rate")
    try:
        return float(text)
    except ValueError as error:
        raise ConfigurationError(f"--scale {kind}={text}: give a number") from error
