"""The smallest world that still fails as a given one does: by the same oracle, or with the same error.

A shrink is a row of passes. Each proposes scenarios that are simpler in one respect, the simplest first; one that fails
in the same way is kept, and its pass begins again. When no pass finds anything more, each proposal is also tried with
some other seeds, since a smaller world draws differently and may only have been unlucky. What has been tried is not
tried again, and the number of worlds is bounded.

What is simpler: fewer kinds of faults, a plainer scheduler and protocol, fewer members, partitions, records and keys, a
shorter first phase, fewer options, and at last fewer firings of faults, each left out by its number.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

import attrs

from trio_consumer import ConfigurationError

from .fuzz import Runner, verdict_of
from .tally import Found, Verdict
from .world.history import FaultFired
from .world.scenario import PROTOCOLS, SCHEDULERS, Scenario

TRIES_MAX = 3_000
OTHER_SEEDS = 6
"""How many other seeds a proposal gets in the end."""

DEPTH = Scenario(seed=0).depth

T = TypeVar("T")


@attrs.frozen
class Shrunk:
    """What a shrink came to.

    Args:
        scenario: The smallest world found.
        kind: What it fails by: an oracle, or ``error``.
        verdict: What it came to.
        fired: How many faults fired in it.
        tries: How many worlds were run.
        complete: False if the bound on tries or time ended it.
        before: The world that it began with.
    """

    scenario: Scenario
    kind: str
    verdict: Verdict
    fired: int
    tries: int
    complete: bool
    before: Scenario

    @property
    def found(self) -> Found | None:
        """The violation, if it is one."""
        return next((found for found in self.verdict.found if found.oracle == self.kind), None)


class _Enough(Exception):
    """The bound is reached."""


class Shrink:
    """A shrink under way.

    Args:
        scenario: A world that fails.
        runner: Runs a scenario.
        tries_max: How many worlds may be run.
        seconds_max: Real seconds that it may take; ``None`` for no limit.
        look: Called after each world.

    Attributes:
        scenario: The smallest so far.
        kind: What it fails by.
        tries: How many worlds were run.

    Raises:
        ConfigurationError: The scenario does not fail.
    """

    def __init__(
        self,
        scenario: Scenario,
        runner: Runner,
        *,
        tries_max: int = TRIES_MAX,
        seconds_max: float | None = None,
        look: Callable[[Shrink], object] | None = None,
    ) -> None:
        if tries_max < 1:
            raise ConfigurationError(f"tries {tries_max}: give at least 1")
        self._runner = runner
        self._tries_max = tries_max
        self._ends = None if seconds_max is None else time.monotonic() + seconds_max
        self._look = look
        self._tried: set[str] = set()
        self._seeds: Sequence[int] = ()
        self.before = scenario
        self.tries = 0
        self._accept(scenario, self._run(scenario))
        self.kind = self.verdict.kind
        if not self.kind:
            raise ConfigurationError(
                f"seed {scenario.seed} does not fail: nothing to shrink; look for one that does with fuzz"
            )

    def _accept(self, scenario: Scenario, outcome: Any) -> None:
        self.scenario = scenario
        self.verdict = verdict_of(scenario.seed, outcome)
        self.firings = tuple(event.number for _, event in outcome.moments if type(event) is FaultFired)

    def run(self) -> Shrunk:
        """Shrink as far as it goes."""
        complete = True
        try:
            self._exhaust()
            self._seeds = [seed for seed in range(OTHER_SEEDS) if seed != self.scenario.seed]
            self._tried.clear()
            self._exhaust()
        except _Enough:
            complete = False
        return Shrunk(self.scenario, self.kind, self.verdict, len(self.firings), self.tries, complete, self.before)

    def _exhaust(self) -> None:
        """Until no pass finds anything more."""
        before = None
        while before is not self.scenario:
            before = self.scenario
            for proposals in PASSES:
                while any(self._fails(proposal) for proposal in proposals(self)):
                    pass

    def _fails(self, proposal: Scenario) -> bool:
        """Whether it fails in the same way; then it is the smallest so far."""
        for seed in (proposal.seed, *self._seeds):
            scenario = attrs.evolve(proposal, seed=seed)
            name = scenario.pasted()
            if name in self._tried:
                continue
            self._tried.add(name)
            outcome = self._run(scenario)
            if outcome is not None and self._alike(outcome):
                self._accept(scenario, outcome)
                return True
        return False

    def _alike(self, outcome: Any) -> bool:
        verdict = verdict_of(outcome.scenario.seed, outcome)
        if self.kind == "error":
            # The same type of error; its text may name what differs.
            return not verdict.found and verdict.error_type == self.verdict.error_type
        return any(found.oracle == self.kind for found in verdict.found)

    def _run(self, scenario: Scenario) -> Any:
        if self.tries >= self._tries_max or (self._ends is not None and time.monotonic() >= self._ends):
            raise _Enough
        self.tries += 1
        try:
            return self._runner(scenario)
        except ConfigurationError:
            if self.tries == 1:
                raise
            return None  # simpler than the consumer's settings allow
        finally:
            if self._look is not None:
                self._look(self)


def shrink(scenario: Scenario, runner: Runner, **bounds: Any) -> Shrunk:
    """Shrink a world that fails; see `Shrink` for the arguments."""
    return Shrink(scenario, runner, **bounds).run()


# Passes: from what there is to what is simpler in one respect, the simplest first

Pass: TypeAlias = Callable[[Shrink], Iterator[Scenario]]


def smaller(low: int, value: int) -> Iterator[int]:
    """Numbers from ``low`` to below ``value``: the least, then by halves of what is left."""
    seen = set()
    step = value - low
    while step > 0:
        number = value - step
        if number not in seen:
            seen.add(number)
            yield number
        step //= 2


def without(items: Sequence[T]) -> Iterator[tuple[T, ...]]:
    """Fewer of the items: none, then without one half, one quarter, ... and without each alone."""
    size = len(items)
    while size > 0:
        for begin in range(0, len(items), size):
            yield (*items[:begin], *items[begin + size :])
        size //= 2


def _whole(field: str, low: int) -> Pass:
    def proposals(shrink: Shrink) -> Iterator[Scenario]:
        for number in smaller(low, getattr(shrink.scenario, field)):
            yield _with(shrink, field, number)

    return proposals


def _plainer(field: str, values: Sequence[Any]) -> Pass:
    """Values of a field, the plainest first."""

    def proposals(shrink: Shrink) -> Iterator[Scenario]:
        value = getattr(shrink.scenario, field)
        for plainer in values[: values.index(value)] if value in values else values:
            yield _with(shrink, field, plainer)

    return proposals


def _fewer(field: str) -> Pass:
    """Fewer entries of a set or a mapping."""

    def proposals(shrink: Shrink) -> Iterator[Scenario]:
        value = getattr(shrink.scenario, field)
        for names in without(sorted(value)):
            kept: Iterable[Any] = frozenset(names) if isinstance(value, frozenset) else {n: value[n] for n in names}
            yield _with(shrink, field, kept)

    return proposals


def _shorter(shrink: Shrink) -> Iterator[Scenario]:
    tenths = int(shrink.scenario.fault_seconds * 10)
    for number in smaller(0, tenths):
        yield _with(shrink, "fault_seconds", number / 10)


def _depth(shrink: Shrink) -> Iterator[Scenario]:
    """Where nobody reads it, it is the default."""
    scenario = shrink.scenario
    if scenario.scheduler == "pct":
        yield from _whole("depth", 1)(shrink)
    elif scenario.depth != DEPTH:
        yield _with(shrink, "depth", DEPTH)


def _scale(shrink: Shrink) -> Iterator[Scenario]:
    """What is said of kinds that are not enabled goes first; it changes nothing."""
    scenario = shrink.scenario
    needed = {kind: factor for kind, factor in scenario.scale.items() if kind in scenario.faults}
    if needed != dict(scenario.scale):
        yield _with(shrink, "scale", needed)
    yield from _fewer("scale")(shrink)


def _fewer_firings(shrink: Shrink) -> Iterator[Scenario]:
    """Leave out firings by number."""
    muted = shrink.scenario.muted
    for kept in without(shrink.firings):
        yield _with(shrink, "muted", muted | set(shrink.firings).difference(kept))


def _with(shrink: Shrink, field: str, value: Any) -> Scenario:
    return attrs.evolve(shrink.scenario, **{field: value})


PASSES: Sequence[Pass] = (
    _fewer("faults"),
    _plainer("scheduler", SCHEDULERS),
    _depth,
    _whole("records", 1),
    _whole("members", 1),
    _whole("partitions", 1),
    _whole("keys", 1),
    _shorter,
    _plainer("protocol", PROTOCOLS),
    _plainer("static", (False, True)),
    _plainer("hooks", (False, True)),
    _plainer("handler_seconds", (0.0, 0.05)),
    _plainer("version", ("4.3", "4.1")),
    _fewer("options"),
    _fewer("settings"),
    _scale,
    _fewer_firings,
)
