"""What many seeds are to be run for, and what they came to: plain values that travel between processes.

A `Plan` says which seeds; a `Verdict` is what one of them came to; a `Tally` adds them up; `coverage` compares that
with all that could have happened.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import attrs

from trio_consumer import ConfigurationError

from ..faults.catalogue import KINDS
from ..kafka.coordinator import TABLES
from . import reproduce

WORLD = "simulator.world.world:run_world"
"""What runs a scenario."""

_TYPE = re.compile(r"^[\s|]*((?:[A-Za-z_]\w*\.)*[A-Z]\w*)(?::|$)", re.MULTILINE)

Row: TypeAlias = tuple[str, str, str, str]
"""A row of a coordinator's table: table, state, event, after."""


@attrs.frozen
class Found:
    """A violation, and when in virtual seconds."""

    time: float
    oracle: str
    anomaly: str
    text: str


@attrs.frozen
class Verdict:
    """What one seed came to, in values that travel between processes.

    Args:
        seed: Which.
        found: What oracles found, in order of time.
        error: Why the world did not come to its end, or ``""``.
        fired: How often each kind of fault fired.
        transitions: How often each row of the coordinator's tables was taken.
        steps: Steps of Trio tasks.
        seconds: Virtual seconds.
        scheduler: As drawn.
        protocol: As drawn.
    """

    seed: int
    found: tuple[Found, ...] = ()
    error: str = ""
    fired: Mapping[str, int] = attrs.field(factory=dict)
    transitions: Mapping[Row, int] = attrs.field(factory=dict)
    steps: int = 0
    seconds: float = 0.0
    scheduler: str = ""
    protocol: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.found or self.error)

    @property
    def kind(self) -> str:
        """What it failed by: the first oracle, ``error``, or ``""``."""
        return self.found[0].oracle if self.found else "error" if self.error else ""

    @property
    def error_type(self) -> str:
        """Of the error, be it in one line or a whole traceback; ``""`` for none."""
        last = self.error.rsplit("Traceback (most recent call last)", 1)[-1]
        named = _TYPE.search(last)
        return named[1] if named else ""


@attrs.frozen
class Plan:
    """What to run.

    Args:
        start: The first seed.
        seeds: How many; ``None`` for as many as the time allows.
        seconds: For how long, in real seconds; ``None`` for as long as the seeds take.
        jobs: Processes.
        given: As for `simulator.tools.reproduce.scenario_of`.
        runner: What runs a scenario, as ``module:function``.
        stop_after: End after so many seeds that failed; ``None`` to collect them all.

    Raises:
        ConfigurationError: A value is out of its range.
    """

    start: int = 0
    seeds: int | None = None
    seconds: float | None = None
    jobs: int = 1
    given: Mapping[str, Any] = attrs.field(factory=dict)
    runner: str = WORLD
    stop_after: int | None = None

    def __attrs_post_init__(self) -> None:
        if self.seeds is None and self.seconds is None:
            raise ConfigurationError("neither seeds nor minutes are given: give --seeds 1000 or --minutes 10")
        for name, value in (("seeds", self.seeds), ("jobs", self.jobs), ("stop-after", self.stop_after)):
            if value is not None and value < 1:
                raise ConfigurationError(f"--{name} {value}: give at least 1")
        if self.seconds is not None and not self.seconds > 0:
            raise ConfigurationError(f"--minutes {self.seconds / 60:g}: give more than 0")
        reproduce.scenario_of(self.start, self.given)  # raises for what is wrong with it

    def dealt(self, job: int, begin: int = 0) -> Iterator[int]:
        """The seeds of one job, from its ``begin``-th on."""
        index = begin * self.jobs + job
        while self.seeds is None or index < self.seeds:
            yield self.start + index
            index += self.jobs


class Tally:
    """What all seeds came to so far.

    Attributes:
        seeds: How many have run.
        failures: Those that failed, by seed.
        fired: How often each kind of fault fired.
        transitions: How often each row of the coordinator's tables was taken.
        schedulers: How many seeds ran under each.
        protocols: The same.
        seconds: Real seconds since it began.
        steps: Steps of Trio tasks.
        world_seconds: Virtual seconds.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.seeds = 0
        self.failures: dict[int, Verdict] = {}
        self.fired: Counter[str] = Counter()
        self.transitions: Counter[Row] = Counter()
        self.schedulers: Counter[str] = Counter()
        self.protocols: Counter[str] = Counter()
        self.steps = 0
        self.world_seconds = 0.0
        self._began = time.monotonic()
        self._ended: float | None = None

    def add(self, verdict: Verdict) -> None:
        self.seeds += 1
        self.fired.update(verdict.fired)
        self.transitions.update(verdict.transitions)
        if verdict.scheduler:  # else the process died before it could tell
            self.schedulers[verdict.scheduler] += 1
            self.protocols[verdict.protocol] += 1
        self.steps += verdict.steps
        self.world_seconds += verdict.seconds
        if verdict.failed:
            self.failures[verdict.seed] = verdict

    def end(self) -> None:
        """The time stops, and the failures are put in order."""
        self._ended = time.monotonic()
        self.failures = dict(sorted(self.failures.items()))

    @property
    def seconds(self) -> float:
        return (self._ended or time.monotonic()) - self._began

    @property
    def seeds_per_second(self) -> float:
        return self.seeds / self.seconds if self.seconds else 0.0

    @property
    def violations(self) -> int:
        """What oracles found, in all seeds, and worlds that did not come to their end."""
        return sum(len(verdict.found) + bool(verdict.error) for verdict in self.failures.values())

    @property
    def enough(self) -> bool:
        return self.plan.stop_after is not None and len(self.failures) >= self.plan.stop_after

    def command(self, seed: int) -> str:
        """Runs this seed again."""
        return reproduce.command(seed, self.plan.given)


@attrs.frozen
class Coverage:
    """What of all that could happen did.

    Args:
        kinds: All kinds of faults that could fire.
        never_fired: Those that did not.
        rows: Rows of the coordinator's tables that a drawn world can take.
        never_taken: Those that were not.
        unknown: Rows that were taken and are in no table.
    """

    kinds: int
    never_fired: tuple[str, ...]
    rows: int
    never_taken: tuple[Row, ...]
    unknown: tuple[Row, ...]

    @property
    def complete(self) -> bool:
        return not (self.never_fired or self.never_taken or self.unknown)


def coverage(tally: Tally, rows: Mapping[Row, bool]) -> Coverage:
    """Compare what happened with what there is.

    Args:
        tally: What happened.
        rows: As `all_rows`.
    """
    kinds = sorted(tally.plan.given.get("faults", KINDS))
    drawn = [row for row, reachable in rows.items() if reachable]
    return Coverage(
        kinds=len(kinds),
        never_fired=tuple(kind for kind in kinds if not tally.fired[kind]),
        rows=len(drawn),
        never_taken=tuple(row for row in drawn if not tally.transitions[row]),
        unknown=tuple(sorted(set(tally.transitions) - set(rows))),
    )


def all_rows() -> dict[Row, bool]:
    """The rows of the coordinator's tables, in their order; false for those that only scripted scenarios take."""
    return {
        (table, row.state, row.event, row.after): not row.scripted for table, rows in TABLES.items() for row in rows
    }
