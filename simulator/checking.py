"""A handler of yours under faults: many worlds, each from its seed, and the first that fails as an `AssertionError`.

The consumer is the real one, with your options. Pass what makes the handler, and each world has fresh state. What the
simulator's own oracles find is a failure, too: mostly a handler that never ends, now and then a bug of ours.

Faults default to those after which an at-least-once handler must still be right: none takes records away.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import attrs

from trio_consumer import ConfigurationError, Partition, Record

from .command_line import command_line
from .faults.catalogue import KINDS, chosen
from .runtime.processes import Process
from .subject import Actor, GivenProducer, Records, Subject, cast, checked_subject, under_faults
from .tools.trace import lines
from .world.draw import draw
from .world.expect import expectations
from .world.history import HandlerEnded, Moment, ProcessEnded, Violated
from .world.scenario import TOPIC, Scenario
from .world.workload import stock_handler
from .world.world import Outcome, World, run_world

Oracle: TypeAlias = Callable[[World], object]

TIMING: Mapping[str, Any] = {"grace": 0.5, "revoke_deadline": 2.0, "stop_deadline": 5.0}
"""Options where yours say nothing: worlds have short sessions and poll intervals, and a revoke must fit into them."""
SEEDS = 100
RECORDS = 60
TRACE_LINES = 40
OWN = ("invariant", "always", "options")
"""Oracles of the user's."""
SEED_VARIABLE = "TRIO_CONSUMER_SIM_SEED"
"""Environment: check this seed only, as with ``seed=``."""

HARMFUL = frozenset({
    "unclean-truncation", "retention", "delete-records", "topic-recreated", "topic-deleted", "compaction",
    "partitions-added", "foreign-metadata", "hook-slow", "handler-fails-always", "handler-hangs",
    "handler-raises-group", "handler-ignores-cancellation", "handler-fails-while-cancelled", "dead-letter-down",
    "dead-letter-response-lost",
})  # fmt: skip
"""Faults that take records away, move keys to other partitions or hang for ever, or that befall the simulator's own
handler only."""

FAULTS = frozenset(KINDS) - HARMFUL
"""What happens to a handler if it does not say what should."""


@attrs.frozen
class Checked:
    """What came out of a check that found nothing.

    Args:
        seeds: How many worlds were run.
        fired: How often each kind of fault fired.
        steps: Steps of tasks.
        seconds: Virtual seconds.
    """

    seeds: int = 0
    fired: Mapping[str, int] = attrs.field(factory=dict)
    steps: int = 0
    seconds: float = 0.0


class Falsified(AssertionError):
    """A world in which something went wrong. The text has what, how to see it again, and the end of the trace.

    Attributes:
        seed: Of the world.
        outcome: All that happened in it.
    """

    def __init__(self, seed: int, outcome: Outcome, again: str = "") -> None:
        super().__init__(_report(seed, outcome, again))
        self.seed = seed
        self.outcome = outcome


def check(
    handle: Subject,
    *,
    seeds: int | None = None,
    start: int = 0,
    seed: int | None = None,
    faults: Iterable[str] | None = None,
    oracle: Oracle | None = None,
    always: Oracle | None = None,
    records: Records = RECORDS,
    options: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    **given: Any,
) -> Checked:
    """Run a handler in many worlds.

    Args:
        handle: An async function that takes a record; or a class or function that takes the `World` and makes a handler
            with fresh state: see `Subject`.
        seeds: How many worlds; the command line's ``--sim-seeds`` wins.
        start: The first seed.
        seed: Only this one; the command line's ``--sim-seed`` wins.
        faults: Names of kinds or groups of faults, each of which can happen in each world; by default each seed draws
            some of `FAULTS`.
        oracle: Called with the world when everything was consumed and committed: raises `AssertionError` if something
            is wrong.
        always: The same after each call of the handler.
        records: How many, or keys and values as bytes, or what makes them anew for each world.
        options: Keyword arguments of `open_consumer`, as in your program; else the defaults, and `TIMING`.
        settings: librdkafka's settings.
        given: Other fields of `Scenario`, for instance ``members=3`` or ``scheduler="pct"``; the rest is drawn.

    Raises:
        Falsified: A world went wrong.
        ConfigurationError: An argument is wrong.
    """
    subject = checked_subject(handle)
    records = records if isinstance(records, int) or callable(records) else list(records)
    given.setdefault("records", records if isinstance(records, int) else RECORDS if callable(records) else len(records))
    only = _only(seed)
    numbers = [only] if only is not None else range(start, start + (_count(seeds)))
    fired: dict[str, int] = {}
    steps, seconds = 0, 0.0
    for number in numbers:
        scenario = _scenario(number, faults, options, settings, given)
        outcome = played(scenario, subject, oracle=oracle, always=always, records=records)
        if outcome.failed:
            raise Falsified(number, outcome)
        steps += outcome.steps
        seconds += outcome.seconds
        for kind, count in outcome.fired.items():
            fired[kind] = fired.get(kind, 0) + count
    return Checked(len(numbers), fired, steps, seconds)


def played(
    scenario: Scenario,
    subject: Subject | None,
    *,
    oracle: Oracle | None = None,
    always: Oracle | None = None,
    records: Records | None = None,
    prepare: Callable[[World], object] | None = None,
    **given: Any,
) -> Outcome:
    """Run a world and ask the user's oracles.

    Args:
        scenario: What to run.
        subject: As `check` takes it; the stock handler if there is none.
        oracle: As there.
        always: As there.
        records: As there; those of the scenario if it says nothing.
        prepare: As `run_world` takes it.
        given: Other arguments of `run_world`.
    """
    stage: list[World] = []
    actors: list[Actor] = []

    def prepared(world: World) -> None:
        stage.append(world)
        if prepare is not None:
            prepare(world)
        actor = cast(subject, world) if subject is not None else None
        if actor is not None:
            actors.append(actor)
        if records is not None:
            world.producer = GivenProducer(world, records)  # type: ignore[assignment]
        own = actor.always if actor is not None else None
        if always is not None or own is not None:
            world.history.listen(HandlerEnded, lambda _: _ask(world, "always", always, own))
        world.history.listen(ProcessEnded, lambda event: _refused(world, event))

    def handler_of(world: World, process: Process) -> Any:
        return under_faults(world, process, actors[0].handle)

    handler = stock_handler if subject is None else handler_of
    outcome = run_world(scenario, handler=handler, prepare=prepared, **given)
    if not outcome.error:
        _ask(stage[0], "invariant", oracle, actors[0].invariant if actors else None)
    history = stage[0].history.moments
    violations = tuple(moment.event for moment in history if type(moment.event) is Violated)
    return attrs.evolve(outcome, moments=tuple(history), violations=violations)


def visible(world: World) -> list[Record]:
    """All records that the consumers of this world should have been given by its end, by partition and offset."""
    return [
        Record(TOPIC, number, entry.offset, entry.key, entry.value, entry.headers, entry.timestamp)
        for number in range(world.cluster.partitions(TOPIC))
        for entry in world.cluster.visible(Partition(TOPIC, number))
    ]


def _count(seeds: int | None) -> int:
    if command_line.seeds is not None:
        return command_line.seeds
    return SEEDS if seeds is None else seeds


def _only(seed: int | None) -> int | None:
    if command_line.seed is not None:
        return command_line.seed
    text = os.environ.get(SEED_VARIABLE)
    if not text:
        return seed
    try:
        return int(text)
    except ValueError:
        raise ConfigurationError(f"{SEED_VARIABLE}={text!r}: give a whole number") from None


def _scenario(
    seed: int,
    faults: Iterable[str] | None,
    options: Mapping[str, Any] | None,
    settings: Mapping[str, Any] | None,
    given: Mapping[str, Any],
) -> Scenario:
    """The world of a seed. Of the consumer's options nothing is drawn: they are the user's."""
    try:
        drawn = draw(seed, **given)
    except TypeError as error:
        raise ConfigurationError(f"{error}: give fields of Scenario ({', '.join(_names())})") from None
    fixed: dict[str, Any] = {
        "faults": drawn.faults & FAULTS if faults is None else chosen(faults),
        "options": {**TIMING, **(options or {})},
        "settings": dict(settings or {}),
    }
    scenario = attrs.evolve(drawn, **{name: value for name, value in fixed.items() if name not in given})
    try:
        expectations(scenario)
    except TypeError as error:
        raise ConfigurationError(f"options={dict(scenario.options)!r}: {error}") from None
    return scenario


def _names() -> list[str]:
    return [field.name for field in attrs.fields(Scenario)]


def _ask(world: World, name: str, oracle: Oracle | None, own: Callable[[], object] | None) -> None:
    """Whether the user is content."""
    try:
        if oracle is not None:
            oracle(world)
        if own is not None:
            own()
    except Exception as error:
        said = "".join(traceback.format_exception(error)).rstrip()
        world.history.add(Violated(name, "", f"{_short(error)}\n{said}"))


def _refused(world: World, event: ProcessEnded) -> None:
    """Options or settings that no consumer takes are the user's mistake, and the world is over."""
    if event.error.startswith("ConfigurationError"):
        world.history.add(Violated("options", "", event.error))


def _short(error: BaseException) -> str:
    said = str(error).strip()
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _report(seed: int, outcome: Outcome, again: str) -> str:
    """What went wrong, how to see it again, and how it came to that."""
    if not again:
        again = (
            f"Again: check(..., seed={seed}), or pytest --sim-seed={seed}, or in the environment {SEED_VARIABLE}={seed}"
            f"\n{outcome.scenario.pasted()}"
        )
    said = [f"seed {seed}: {_headline(outcome)}", ""]
    for violation in _violations(outcome)[:3]:
        said += [f"{violation.oracle}: {violation.text}", ""]
    if outcome.error:
        said += [outcome.error.rstrip(), ""]
    said += [
        again,
        "",
        f"The last {TRACE_LINES} events:",
        *[line.text for line in list(lines(_told(outcome.moments)))[-TRACE_LINES:]],
    ]
    return "\n".join(said)


def _told(moments: Iterable[Moment]) -> list[Moment]:
    return [moment for moment in moments if type(moment.event) is not Violated]


def _violations(outcome: Outcome) -> list[Violated]:
    """The user's own first."""
    return sorted(outcome.violations, key=lambda violation: violation.oracle not in OWN)


def _headline(outcome: Outcome) -> str:
    if outcome.violations:
        violation = _violations(outcome)[0]
        return f"{violation.oracle}: {violation.text.splitlines()[0]}"
    return outcome.error.rstrip().rpartition("\n")[2]
