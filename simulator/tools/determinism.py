"""Is a seed all that decides a world? Runs seeds here and in other processes, and compares what happened.

The other processes have another hash seed, and may be other Pythons. Where a digest differs, both trails are fetched
and the first line that differs is named. Run as ``python -m simulator.tools.determinism``, with what is wanted as JSON,
the module is the other process.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import attrs

from trio_consumer import ConfigurationError

from ..runtime.digest import Divergence, digest_of, first_divergence, trail
from ..world.scenario import Scenario
from .fuzz import Runner, load, silence
from .reproduce import planted, scenario_of

HASH_SEED, OTHER_HASH_SEED = "0", "1789"
DIVERGENCES_MAX = 5
"""So many are looked into."""

WITH_STEPS = "simulator.tools.determinism:run_with_steps"
"""Runs a scenario, and keeps which task ran when."""

Digests = Mapping[int, str]


@attrs.frozen
class Other:
    """A process to compare with.

    Args:
        python: Its interpreter.
        hash_seed: Its PYTHONHASHSEED.
    """

    python: str
    hash_seed: str


@attrs.frozen
class Difference:
    """A seed whose world was another one there.

    Args:
        seed: Which.
        other: Where.
        divergence: The first line that differs; ``None`` if both trails were the same the second time.
    """

    seed: int
    other: Other
    divergence: Divergence | None


@attrs.frozen
class Comparison:
    """What came out.

    Args:
        seeds: How many were compared.
        digest: Of all digests, to compare with another machine's.
        others: With which processes, and what Python each says it is.
        differing: How many seeds differed, by process, in the same order.
        differences: The first of them.
    """

    seeds: int
    digest: str
    others: tuple[tuple[Other, str], ...]
    differing: tuple[int, ...]
    differences: tuple[Difference, ...]

    @property
    def same(self) -> bool:
        return not any(self.differing)


def run_with_steps(scenario: Scenario) -> Any:
    """As `simulator.world.world.run_world`."""
    from ..world.world import run_world

    return run_world(scenario, record_steps=True)


def others_of(pythons: Sequence[str]) -> list[Other]:
    """This interpreter with another hash seed than this process may have, and each of the given ones."""
    return [Other(sys.executable, OTHER_HASH_SEED), *(Other(python, HASH_SEED) for python in pythons)]


def compare(
    start: int,
    seeds: int,
    given: Mapping[str, Any],
    *,
    pythons: Sequence[str] = (),
    runner: str = WITH_STEPS,
    look: Callable[[int], object] | None = None,
) -> Comparison:
    """Run the seeds everywhere at once and compare.

    Args:
        start: The first seed.
        seeds: How many.
        given: As for `simulator.tools.reproduce.scenario_of`.
        pythons: Further interpreters, with all that the simulator needs installed.
        runner: What runs a scenario.
        look: Called with the number of seeds that have run here.

    Raises:
        ConfigurationError: A process could not run the seeds.
    """
    if seeds < 1:
        raise ConfigurationError(f"--seeds {seeds}: give at least 1")
    wanted = {"start": start, "seeds": seeds, "given": as_json(given), "runner": runner}
    others = others_of(pythons)
    running: list[_Process] = []
    try:
        running.extend(_Process(other, wanted) for other in others)
        run = load(runner)
        here: dict[int, str] = {}
        for seed in range(start, start + seeds):
            with planted(given):
                here[seed] = digest_of(trail_of(seed, given, run))
            if look is not None:
                look(len(here))
        answers = [process.digests() for process in running]
    finally:
        for process in running:
            process.end()
    differing = [[seed for seed in here if found.get(seed) != here[seed]] for _, found in answers]
    differences = [
        Difference(seed, other, _divergence(other, wanted, trail_of(seed, given, run), seed))
        for other, wrong in zip(others, differing, strict=True)
        for seed in wrong[:DIVERGENCES_MAX]
    ]
    return Comparison(
        seeds=seeds,
        digest=digest_of(here.values()),
        others=tuple((other, says) for other, (says, _) in zip(others, answers, strict=True)),
        differing=tuple(map(len, differing)),
        differences=tuple(differences),
    )


def trail_of(seed: int, given: Mapping[str, Any], runner: Runner) -> list[str]:
    """The world of a seed, line by line. One that did not come to its end has the reason as its last line."""
    outcome = runner(scenario_of(seed, given))
    last = f"{outcome.steps} steps, {outcome.seconds:.9f} s, error {outcome.error!r}"
    return [" ".join(line.splitlines()) for line in (*trail(outcome.moments, outcome.taken), last)]


def as_json(given: Mapping[str, Any]) -> dict[str, Any]:
    """With lists for sets."""
    return {name: sorted(value) if isinstance(value, frozenset) else value for name, value in given.items()}


class _Process:
    """The other process. What it says goes to files, so that it never waits for us to read."""

    def __init__(self, other: Other, wanted: Mapping[str, Any]) -> None:
        self.other = other
        root = str(Path(__file__).parents[1])
        path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        self._files = ExitStack()
        self._out = self._files.enter_context(tempfile.TemporaryFile("w+"))  # noqa: SIM115  the stack closes it
        self._err = self._files.enter_context(tempfile.TemporaryFile("w+"))  # noqa: SIM115  the stack closes it
        try:
            self._process = subprocess.Popen(
                [other.python, "-m", __name__, json.dumps(wanted)],
                env={**os.environ, "PYTHONHASHSEED": other.hash_seed, "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=self._out,
                stderr=self._err,
            )
        except OSError as error:
            self._files.close()
            raise self._unusable(error.strerror or str(error)) from error

    def lines(self) -> list[str]:
        """What it printed, once it has ended."""
        if code := self._process.wait():
            said = _text(self._err).strip().splitlines()
            raise self._unusable(said[-1] if said else f"exit code {code}")
        return _text(self._out).splitlines()

    def digests(self) -> tuple[str, Digests]:
        """Which Python it says it is, and the digest of each seed."""
        says, *lines = self.lines()
        pairs = [line.split() for line in lines]
        return says, {int(seed): digest for seed, digest in pairs}

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._files.close()

    def _unusable(self, why: str) -> ConfigurationError:
        return ConfigurationError(
            f"--python {self.other.python!r} can't run the seeds ({why}): give a CPython >= 3.11 that has "
            "trio-consumer's dependencies"
        )


def _text(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


def _divergence(other: Other, wanted: Mapping[str, Any], here: Sequence[str], seed: int) -> Divergence | None:
    process = _Process(other, {**wanted, "trail": seed})
    try:
        return first_divergence(here, process.lines()[1:])
    finally:
        process.end()


def answer(wanted: Mapping[str, Any]) -> Iterator[str]:
    """What the other process prints: which Python it is, and then a digest a line, or one trail."""
    yield f"{platform.python_implementation()} {platform.python_version()}"
    given = {
        name: frozenset(value) if name in ("faults", "muted") else value for name, value in wanted["given"].items()
    }
    runner = load(wanted["runner"])
    with planted(given):
        if "trail" in wanted:
            yield from trail_of(wanted["trail"], given, runner)
            return
        for seed in range(wanted["start"], wanted["start"] + wanted["seeds"]):
            yield f"{seed} {digest_of(trail_of(seed, given, runner))}"


if __name__ == "__main__":
    silence()
    for said in answer(json.loads(sys.argv[1])):
        sys.stdout.write(said + "\n")
