"""The checker is checked: each planted bug must be caught, by the oracle that it names, within so many seeds.

A seed counts only if the code without the bug passes it: what an oracle says of a bug is worth nothing where it says it
of the right code too.
"""

from __future__ import annotations

import multiprocessing
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import attrs

from trio_consumer import ConfigurationError

from ..world.draw import draw
from ..world.history import Violated
from ..world.world import Outcome, World, run_world
from .bug import Bug
from .catalogue import BUGS

SEEDS_MAX = 400
"""A bug that so many seeds do not catch has survived."""
WORLD = "world"
"""Stands for an oracle where the world itself did not come to its end, for instance because a task ran for ever."""

Progress = Callable[["Row"], object]


@attrs.frozen(kw_only=True)
class Row:
    """What became of one bug.

    Args:
        bug: Its name.
        expected: The oracle that must catch it.
        caught: The oracle that did, or ``""`` if it survived.
        seed: The first seed with which an oracle that may catch it did; -1 if it survived.
        seeds: How many seeds that took.
        others: Oracles that found something before and may not have.
        dirty: Seeds on which the right code fails too.
    """

    bug: str
    expected: str
    caught: str = ""
    seed: int = -1
    seeds: int = 0
    others: tuple[str, ...] = ()
    dirty: tuple[int, ...] = ()

    @property
    def killed(self) -> bool:
        return bool(self.caught)


def run_bugs(
    names: Iterable[str] | None = None,
    *,
    seeds_max: int = SEEDS_MAX,
    start: int = 0,
    jobs: int = 1,
    progress: Progress | None = None,
) -> list[Row]:
    """Plant the bugs one after the other and run worlds until they are caught.

    Args:
        names: Which; all by default.
        seeds_max: Seeds to try for each.
        start: The first seed.
        jobs: Processes to use.
        progress: Called with each row as soon as it is known.

    Raises:
        ConfigurationError: There is no such bug.
        EditDoesNotApply: The code is no longer what a bug was written for.
    """
    chosen = list(BUGS if names is None else names)
    for name in chosen:
        if name not in BUGS:
            raise ConfigurationError(f"bug {name!r} is unknown: give one of {', '.join(BUGS)}")
    for name in chosen:
        with BUGS[name].planted():
            pass
    rows = []
    for row in _rows(chosen, partial(hunt, seeds_max=seeds_max, start=start), jobs):
        rows.append(row)
        if progress is not None:
            progress(row)
    return rows


def _rows(names: Sequence[str], one: Callable[[str], Row], jobs: int) -> Iterator[Row]:
    if jobs == 1:
        yield from map(one, names)
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(one, names)


def hunt(name: str, *, seeds_max: int = SEEDS_MAX, start: int = 0) -> Row:
    """Run worlds with this bug until it is caught."""
    bug = BUGS[name]
    others: dict[str, None] = {}
    dirty: list[int] = []
    for seed in range(start, start + seeds_max):
        found = findings(bug, seed)
        if not found:
            continue
        if passed := findings(None, seed, like=bug):
            dirty.append(seed)
            others.update(dict.fromkeys(passed))
            continue
        caught = bug.oracle if bug.oracle in found else next((one for one in found if one in bug.accepted), "")
        if caught:
            return Row(
                bug=name,
                expected=bug.oracle,
                caught=caught,
                seed=seed,
                seeds=seed - start + 1,
                others=tuple(others),
                dirty=tuple(dirty),
            )
        others.update(dict.fromkeys(found))
    return Row(bug=name, expected=bug.oracle, others=tuple(others), dirty=tuple(dirty))


def findings(bug: Bug | None, seed: int, *, like: Bug | None = None) -> tuple[str, ...]:
    """The oracles that found something in the world of this seed, in order, each once.

    Args:
        bug: What is planted, or ``None`` for the right code.
        seed: Of the world.
        like: The bug whose world it is, if it is not planted.
    """
    of = bug or like
    scenario = draw(seed, **(of.given if of else {}))
    if bug is None:
        return _named(run_world(scenario))

    def prepare(world: World) -> None:
        def found(violated: Violated) -> None:
            if violated.oracle == bug.oracle:  # what comes after it is of no interest
                world.nursery.cancel_scope.cancel()

        world.history.listen(Violated, found)

    with bug.planted():
        return _named(run_world(scenario, prepare=prepare))


def _named(outcome: Outcome) -> tuple[str, ...]:
    names = dict.fromkeys(violated.oracle for violated in outcome.violations)
    if outcome.error:
        names[WORLD] = None
    return tuple(names)


def median_seeds(rows: Iterable[Row]) -> float:
    """Of the bugs that were caught."""
    return statistics.median([row.seeds for row in rows if row.killed] or [0])
