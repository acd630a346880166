"""Many seeds, on several processes: which seed runs where.

Seeds are dealt out in turn, so that the same seeds run whatever the number of jobs, and each seed decides its world
alone. A job reports each world in a few plain values. One that dies, or does not come to the end of a world in time, is
replaced by another, and the world that it was in counts as a failure.

With one job everything runs in this process, for profilers and debuggers; then a world that never ends is not noticed.
"""

from __future__ import annotations

import importlib
import logging
import signal
import time
import traceback
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, TypeAlias

from trio_consumer import ConfigurationError

from ..world.history import Violated
from ..world.scenario import Scenario
from .reproduce import planted, scenario_of
from .tally import Found, Plan, Tally, Verdict

Runner: TypeAlias = "Callable[[Scenario], Any]"
"""Runs a scenario and returns its `Outcome`."""
Look: TypeAlias = "Callable[[Tally], object]"
"""Is shown what there is so far."""

WORLD_SECONDS_MAX = 120.0
"""Real seconds that a world may take on a job of its own; an honest one takes hundredths of one."""
LOOK_SECONDS = 0.5
"""Real seconds in which a job that says nothing is looked after."""
_READY, _DONE = "ready", "done"


def load(name: str) -> Runner:
    """The function of this name.

    Raises:
        ConfigurationError: There is none.
    """
    module, _, function = name.partition(":")
    try:
        found: Runner = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"{name!r} can't be imported ({error}): give module:function") from error
    return found


def silence() -> None:
    """No logs of the consumer: worlds are full of what it warns of, and the history tells it better."""
    logging.getLogger("trio_consumer").setLevel(logging.CRITICAL + 1)


def judge(seed: int, given: Mapping[str, Any], runner: Runner) -> Verdict:
    """Run one seed. Nothing that a world raises gets out."""
    try:
        scenario = scenario_of(seed, given)
        outcome = runner(scenario)
    except Exception:
        return Verdict(seed, error=traceback.format_exc())
    return verdict_of(seed, outcome)


def verdict_of(seed: int, outcome: Any) -> Verdict:
    """What of an `Outcome` is reported."""
    return Verdict(
        seed=seed,
        found=found_in(outcome.moments),
        error=outcome.error,
        fired=dict(outcome.fired),
        transitions=dict(outcome.transitions),
        steps=outcome.steps,
        seconds=outcome.seconds,
        scheduler=outcome.scenario.scheduler,
        protocol=outcome.scenario.protocol,
    )


def found_in(moments: Collection[Any]) -> tuple[Found, ...]:
    """The violations of a history."""
    return tuple(Found(time, *event) for time, event in moments if type(event) is Violated)


def fuzz(plan: Plan, look: Look | None = None) -> Tally:
    """Run a plan to its end.

    Args:
        plan: What to run.
        look: Called now and then with what there is so far.
    """
    load(plan.runner)  # an error now, not in each job
    tally = Tally(plan)
    try:
        if plan.jobs == 1:
            _alone(plan, tally, look)
        else:
            _Jobs(plan, tally, look).run()
    finally:
        tally.end()
    if look is not None:
        look(tally)
    return tally


def _alone(plan: Plan, tally: Tally, look: Look | None) -> None:
    runner = load(plan.runner)
    with planted(plan.given):
        for seed in plan.dealt(0):
            tally.add(judge(seed, plan.given, runner))
            if look is not None:
                look(tally)
            if tally.enough or (plan.seconds is not None and tally.seconds >= plan.seconds):
                return


class _Job:
    """A process that runs its share of the seeds."""

    def __init__(self, plan: Plan, number: int, begin: int = 0) -> None:
        self.number = number
        self.done = begin
        context = get_context("spawn")
        self.results, theirs = context.Pipe(duplex=False)
        self.process: SpawnProcess = context.Process(target=_work, args=(theirs, plan, number, begin), daemon=True)
        self.process.start()
        theirs.close()
        self.heard = time.monotonic()

    def stop(self) -> int | None:
        """End the process; its exit code."""
        self.process.kill()
        self.process.join()
        code = self.process.exitcode
        self.results.close()
        self.process.close()
        return code


class _Jobs:
    """All processes of a plan, and what they report."""

    def __init__(self, plan: Plan, tally: Tally, look: Look | None) -> None:
        self._plan = plan
        self._tally = tally
        self._look = look
        self._jobs: list[_Job] = []
        self._began: float | None = None

    def run(self) -> None:
        plan, tally = self._plan, self._tally
        most = plan.jobs if plan.seeds is None else min(plan.jobs, plan.seeds)
        try:
            self._jobs = [_Job(plan, number) for number in range(most)]
            while self._jobs and not tally.enough:
                if self._over():
                    return
                self._listen()
                if self._look is not None:
                    self._look(tally)
        finally:
            for job in self._jobs:
                job.stop()

    def _over(self) -> bool:
        """Whether the time is over. It begins when the first job has."""
        if self._plan.seconds is None or self._began is None:
            return False
        return time.monotonic() - self._began >= self._plan.seconds

    def _listen(self) -> None:
        ready = connection.wait([job.results for job in self._jobs], timeout=LOOK_SECONDS)
        now = time.monotonic()
        for job in list(self._jobs):
            if job.results in ready:
                job.heard = now
                self._hear(job)
            elif now - job.heard > WORLD_SECONDS_MAX:
                self._replace(job, f"the world had not come to its end after {WORLD_SECONDS_MAX:g} real seconds")

    def _hear(self, job: _Job) -> None:
        try:
            said: Verdict | str = job.results.recv()
        except (EOFError, OSError):
            self._replace(job, "the process that ran the world died")
            return
        if isinstance(said, Verdict):
            self._tally.add(said)
            job.done += 1
        elif said == _READY:
            self._began = self._began or time.monotonic()
        else:
            job.process.join()
            job.stop()
            self._jobs.remove(job)

    def _replace(self, job: _Job, why: str) -> None:
        """Blame the world that it was in, and go on with the next one."""
        code = job.stop()
        seed = next(self._plan.dealt(job.number, job.done))
        self._tally.add(Verdict(seed, error=f"{why} (exit code {code})"))
        self._jobs.remove(job)
        if next(self._plan.dealt(job.number, job.done + 1), None) is not None:
            self._jobs.append(_Job(self._plan, job.number, job.done + 1))


def _work(results: Connection, plan: Plan, job: int, begin: int) -> None:
    """What a job does: its seeds in order, and a report of each."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it ends it
    silence()
    runner = load(plan.runner)
    with suppress(BrokenPipeError), planted(plan.given):
        results.send(_READY)
        for seed in plan.dealt(job, begin):
            results.send(judge(seed, plan.given, runner))
        results.send(_DONE)
