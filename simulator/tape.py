"""Dice that draw from anywhere, the tape of what they drew, and a world that is played from such a tape.

A tape holds, for each purpose, the draws that were not the plainest one, by their number. So the tape of a shrunk world
is short, and a world is named completely by its scenario and its tape: both can be pasted into a test.

Not everything is worth a draw of its own. Latencies and the like come from a seed, which is a draw, too: see `NOISE`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, MutableSequence, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

import attrs

from .checking import Falsified, Oracle, played
from .faults.catalogue import KINDS
from .runtime.dice import Dice, SeededDice
from .runtime.schedulers import Delays
from .subject import Records, Subject
from .world.scenario import Scenario
from .world.world import Outcome, World

T = TypeVar("T")
Tape: TypeAlias = "Mapping[str, Mapping[int, int]]"
"""By purpose: number of the draw, from 0, and what it was, where that was not 0."""

GRAIN = 1000
"""A number between two others is one of so many."""
NOISE = ("cluster", "network", "client", "retries", "member", "hooks")
"""Purposes whose dice come from a seed of their own, the draw ``noise``."""
NOISE_SEEDS = 1000
RARE = ("nemesis",)
"""Purposes where the plainest number is the highest: the nemesis waits as long as it can between two faults."""
TIMED_FAULT = 0.5
"""Probability that a timed fault which the nemesis chose happens; the plainest is that it does not."""


class Source(Protocol):
    """Where draws come from. The plainest draw is always 0."""

    def whole(self, purpose: str, high: int) -> int:
        """From 0 to ``high``."""
        ...

    def truth(self, purpose: str, probability: float) -> bool:
        """True with this probability."""
        ...


class TapeSource:
    """Draws what is on a tape, and the plainest where it says nothing."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._drawn: dict[str, int] = {}

    def whole(self, purpose: str, high: int) -> int:
        number = self._drawn.get(purpose, 0)
        self._drawn[purpose] = number + 1
        return min(self._tape.get(purpose, {}).get(number, 0), high)

    def truth(self, purpose: str, probability: float) -> bool:
        return bool(self.whole(purpose, 1))


class Recorder:
    """Draws from another source, and writes the tape."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._drawn: dict[str, int] = {}
        self.tape: dict[str, dict[int, int]] = {}

    def whole(self, purpose: str, high: int) -> int:
        return self._note(purpose, self._source.whole(purpose, high))

    def truth(self, purpose: str, probability: float) -> bool:
        return bool(self._note(purpose, int(self._source.truth(purpose, probability))))

    def _note(self, purpose: str, value: int) -> int:
        number = self._drawn.get(purpose, 0)
        self._drawn[purpose] = number + 1
        if value:
            self.tape.setdefault(purpose, {})[number] = value
        return value


class DrawnDice:
    """Dice of one purpose that draw from a source."""

    def __init__(self, source: Source, purpose: str = "", noise: int | None = None) -> None:
        self._source = source
        self._purpose = purpose
        self._noise = noise

    def chance(self, probability: float) -> bool:
        return self._source.truth(self._purpose, probability)

    def below(self, count: int) -> int:
        return self._source.whole(self._purpose, count - 1) if count > 1 else 0

    def between(self, low: int, high: int) -> int:
        return low + self.below(high - low + 1)

    def uniform(self, low: float, high: float) -> float:
        share = self._source.whole(self._purpose, GRAIN) / GRAIN
        return high - (high - low) * share if self._purpose in RARE else low + (high - low) * share

    def choice(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]

    def shuffle(self, items: MutableSequence[Any]) -> None:
        for first in range(len(items) - 1):
            other = first + self.below(len(items) - first)
            items[first], items[other] = items[other], items[first]

    def split(self, purpose: str) -> Dice:
        path = f"{self._purpose}/{purpose}" if self._purpose else purpose
        if path.partition("/")[0] not in NOISE:
            return DrawnDice(self._source, path, self._noise)
        if self._noise is None:
            self._noise = self._source.whole("noise", NOISE_SEEDS)
        return SeededDice(self._noise, path) if self._noise else PlainDice()

    def random(self) -> random.Random:
        return random.Random(self.below(NOISE_SEEDS))


class PlainDice:
    """Dice that always choose the plainest."""

    def chance(self, probability: float) -> bool:
        return False

    def below(self, count: int) -> int:
        return 0

    def between(self, low: int, high: int) -> int:
        return low

    def uniform(self, low: float, high: float) -> float:
        return low

    def choice(self, items: Sequence[T]) -> T:
        return items[0]

    def shuffle(self, items: MutableSequence[Any]) -> None:
        pass

    def split(self, purpose: str) -> PlainDice:
        return self

    def random(self) -> random.Random:
        return random.Random(0)


@attrs.define(eq=False)
class Play:
    """A world that draws decide, one by one: data, faults and the schedule.

    Its text, as one prints it or as a failure shows it, can be pasted into a test.

    Args:
        scenario: What it is.
        tape: What was drawn; what it does not say is plain.
        source: Draws instead of the tape, and the tape is written.
        after: Called when the world has ended.
    """

    scenario: Scenario
    tape: Tape = attrs.field(factory=dict)
    source: Source | None = attrs.field(default=None, kw_only=True)
    after: Callable[[], object] | None = attrs.field(default=None, kw_only=True)

    def run(
        self,
        handle: Subject | None = None,
        *,
        oracle: Oracle | None = None,
        always: Oracle | None = None,
        records: Records | None = None,
        oracles: Iterable[str] | None = None,
    ) -> Outcome:
        """Run it; the arguments are those of `simulator.check`. Without a handler the simulator's own one handles.

        Args:
            oracles: Names of the oracles that watch; all by default.
        """
        recorder = Recorder(self.source if self.source is not None else TapeSource(self.tape))
        dice = DrawnDice(recorder)
        permitted = dice.split("permitted")

        def prepare(world: World) -> None:
            world.faults.permits = lambda kind: not KINDS[kind].weight or permitted.chance(TIMED_FAULT)

        try:
            return played(
                self.scenario,
                handle,
                oracle=oracle,
                always=always,
                records=records,
                oracles=oracles,
                dice=dice,
                scheduler=Delays(dice.split("schedule")),
                prepare=prepare,
            )
        finally:
            self.tape = recorder.tape
            if self.after is not None:
                self.after()

    def check(self, handle: Subject | None = None, **given: Any) -> Outcome:
        """As `run`, but a world that fails is an `AssertionError`.

        Raises:
            Falsified: It failed.
        """
        outcome = self.run(handle, **given)
        if outcome.failed:
            raise Falsified(self.scenario.seed, outcome, f"Again:\n{self.pasted()}.check(...)")
        return outcome

    def pasted(self) -> str:
        """As one would write it in a test."""
        tape = "".join(f"        {purpose!r}: {draws!r},\n" for purpose, draws in self.tape.items())
        return f"Play(\n    {self.scenario.pasted()},\n    {{\n{tape}    }},\n)"

    def __repr__(self) -> str:
        return self.pasted()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """As Hypothesis prints the arguments of an example: before it runs, when nothing is drawn yet."""
        printer.text(self.pasted() if self.tape else "<a world: see below>")
