"""The smallest world that still fails as a given one does: by the same oracle and anomaly, or with the same error.

A shrink is a row of passes. Each proposes scenarios that are simpler in one respect, by large steps first; one that
fails in the same way is kept, and the pass goes on from there. When no pass finds anything more, each proposal is also
tried with some other seeds, since a smaller world draws differently and may only have been unlucky; and very small
worlds are tried out of turn. What has been tried is not tried again, and the number of worlds is bounded.

What is simpler: fewer kinds of faults, a plainer scheduler and protocol, fewer members, partitions, records and keys, a
shorter first phase, fewer options, and at last fewer firings of faults, each left out by its number.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import attrs

from trio_consumer import ConfigurationError

from ..world.history import FaultFired
from ..world.scenario import PROTOCOLS, SCHEDULERS, Scenario
from .fuzz import Runner, verdict_of
from .tally import Found, Verdict

TRIES_MAX = 3_000
STEPS_MAX = 3
"""Steps of one size in a row, towards a smaller number; then smaller steps, and the rest in the next round."""
OTHER_SEEDS = 6
"""How many other seeds a proposal gets in the end."""

LEAPS = (2, 4, 8, 16, 32)
"""Records of the very small worlds that are tried out of turn."""
DEPTH, HANDLER_SECONDS = Scenario(seed=0).depth, Scenario(seed=0).handler_seconds

T = TypeVar("T")


@attrs.frozen
class Shrunk:
    """What a shrink came to.

    Args:
        scenario: The smallest world found.
        kind: What it fails by: an oracle, or ``error``.
        anomaly: The oracle's name for the anomaly, or ``""``.
        verdict: What it came to.
        fired: How many faults fired in it.
        tries: How many worlds were run.
        complete: False if the bound on tries or time ended it.
        before: The world that it began with.
    """

    scenario: Scenario
    kind: str
    anomaly: str
    verdict: Verdict
    fired: int
    tries: int
    complete: bool
    before: Scenario

    @property
    def found(self) -> Found | None:
        """The violation, if it is one."""
        alike = ((found.oracle, found.anomaly) == (self.kind, self.anomaly) for found in self.verdict.found)
        return next(itertools.compress(self.verdict.found, alike), None)


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
        anomaly: Of the oracle.
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
        self.before = self.scenario = scenario
        self.firings: tuple[int, ...] = ()
        self.tries = 0
        self._accept(scenario, self._run(scenario))
        self.kind = self.verdict.kind
        self.anomaly = self.verdict.found[0].anomaly if self.verdict.found else ""
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
            _leap(self)
            self._exhaust()
        except _Enough:
            complete = False
        return Shrunk(
            self.scenario, self.kind, self.anomaly, self.verdict, len(self.firings), self.tries, complete, self.before
        )

    def _exhaust(self) -> None:
        """Until no pass finds anything more."""
        before = None
        while before is not self.scenario:
            before = self.scenario
            for simplify in PASSES:
                simplify(self)

    def accepts(self, **changes: Any) -> bool:
        """Whether the world with these changes fails in the same way; then it is the smallest so far."""
        proposal = attrs.evolve(self.scenario, **changes)
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
        return any((found.oracle, found.anomaly) == (self.kind, self.anomaly) for found in verdict.found)

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


# Passes: each makes the world simpler in one respect, as far as that goes

Pass: TypeAlias = Callable[[Shrink], None]


def lower(low: int, value: int, accepts: Callable[[int], bool]) -> int:
    """The least number that is found: by large steps first, then by smaller ones."""
    step, taken = value - low, 0
    while step > 0:
        if value - step >= low and taken < STEPS_MAX and accepts(value - step):
            value, taken = value - step, taken + 1
        else:
            step, taken = step // 2, 0
    return value


def fewer(items: Sequence[T], accepts: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    """The fewest of the items that are found: without all of them, without each half, each quarter, ... each alone."""
    left = tuple(items)
    size = len(left)
    while size > 0:
        begin = 0
        while begin < len(left):
            proposal = (*left[:begin], *left[begin + size :])
            if accepts(proposal):
                left = proposal
            else:
                begin += size
        size = min(size // 2, len(left))
    return left


def _whole(field: str, low: int) -> Pass:
    def simplify(shrink: Shrink) -> None:
        lower(low, getattr(shrink.scenario, field), lambda number: shrink.accepts(**{field: number}))

    return simplify


def _plainer(field: str, values: Sequence[Any]) -> Pass:
    """Values of a field, the plainest first."""

    def simplify(shrink: Shrink) -> None:
        value = getattr(shrink.scenario, field)
        any(shrink.accepts(**{field: one}) for one in (values[: values.index(value)] if value in values else values))

    return simplify


def _entries(field: str) -> Pass:
    """Fewer entries of a set or a mapping."""

    def simplify(shrink: Shrink) -> None:
        value = getattr(shrink.scenario, field)

        def accepts(names: tuple[Any, ...]) -> bool:
            kept = frozenset(names) if isinstance(value, frozenset) else {name: value[name] for name in names}
            return shrink.accepts(**{field: kept})

        fewer(sorted(value), accepts)

    return simplify


def _shorter(shrink: Shrink) -> None:
    tenths = int(shrink.scenario.fault_seconds * 10)
    lower(0, tenths, lambda number: shrink.accepts(fault_seconds=number / 10))


def _depth(shrink: Shrink) -> None:
    """Where nobody reads it, it is the default."""
    if shrink.scenario.scheduler == "pct":
        _whole("depth", 1)(shrink)
    elif shrink.scenario.depth != DEPTH:
        shrink.accepts(depth=DEPTH)


def _scale(shrink: Shrink) -> None:
    """What is said of kinds that are not enabled goes first; it changes nothing."""
    scenario = shrink.scenario
    needed = {kind: factor for kind, factor in scenario.scale.items() if kind in scenario.faults}
    if needed != dict(scenario.scale):
        shrink.accepts(scale=needed)
    _entries("scale")(shrink)


def _firings(shrink: Shrink) -> None:
    """Leave out firings by number. What fires later may be another after that, so each sweep begins with what did."""
    muted, fired = shrink.scenario.muted, shrink.firings
    fewer(fired, lambda kept: shrink.accepts(muted=muted | set(fired).difference(kept)))


def _leap(shrink: Shrink) -> None:
    """Straight to a very small world. Between here and there may lie only worlds that happen not to fail."""
    now = shrink.scenario
    for records, members, partitions in itertools.product(LEAPS, (1, 2), (1, 2)):
        if records < now.records and members <= now.members and partitions <= now.partitions:
            few = {"records": records, "members": members, "partitions": partitions, "keys": min(now.keys, 2)}
            if shrink.accepts(**few, handler_seconds=HANDLER_SECONDS):
                return


PASSES: Sequence[Pass] = (
    _entries("faults"),
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
    _plainer("handler_seconds", (HANDLER_SECONDS,)),
    _plainer("version", ("4.3", "4.1")),
    _entries("options"),
    _entries("settings"),
    _scale,
    _firings,
)
