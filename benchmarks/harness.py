"""The harness: produces once, measures the candidates round by round, and judges nothing but validity.

The order of a run::

    produce each workload once → warm-up: A B C, values thrown away → round 1: A B C → round 2: A B C → ...

The warm-up warms the broker (its page cache and compiler) rather than the candidate, whose process is a fresh one each
time. It also checks the order of each key, which a measurement has no time for. What each measurement checks: every
record was handled exactly once (by the marks in a file that the candidate's process shares with us), and the group has
committed the end of every partition (seen by us, at the broker). A candidate that fails either is reported with the
reason, and one that failed in the warm-up is not measured again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import attrs

from . import marks, runtimes, topics
from .checks import order_problems
from .clusters import DelayUnavailable
from .figures import number
from .marks import Marks, Spans
from .model import Candidate, Job, Measurement, Runtime, Scenario, Workload
from .process import run_child
from .results import ScenarioResult, judge

Report = Callable[[str], object]
"""Takes a line about the progress."""
Delayed = Callable[[float], AbstractContextManager[str]]
"""Opens another way to the brokers, with so many seconds added to each round trip: their address on that way."""
Run = Callable[[Job, Sequence[str]], Measurement]
"""Measures a job by a process with these arguments."""
CommandOf = Callable[[Runtime], Sequence[str]]
"""The process of a runtime; raises `runtimes.RuntimeMissing`."""


def _cannot_delay(seconds: float) -> AbstractContextManager[str]:
    raise DelayUnavailable("this cluster has no way with a delay")


class Harness:
    """Runs scenarios on one cluster.

    Args:
        cluster: Where the topics are made.
        rounds: How often each candidate is measured.
        warm_ups: Rounds before those, whose values are thrown away.
        report: Told what happens, line by line.
        delayed: The way to the cluster for candidates with a delay.
        run: How to run a candidate's process.
        command_of: Which process that is.
    """

    def __init__(
        self,
        cluster: topics.Cluster,
        *,
        rounds: int,
        warm_ups: int,
        report: Report,
        delayed: Delayed = _cannot_delay,
        run: Run = run_child,
        command_of: CommandOf = runtimes.command,
    ) -> None:
        self._cluster = cluster
        self._rounds = rounds
        self._warm_ups = warm_ups
        self._report = report
        self._delayed = delayed
        self._run_child = run
        self._command_of = command_of
        self._topics: dict[Workload, str] = {}
        self._groups = 0

    def run(self, scenario: Scenario) -> ScenarioResult:
        """Measure all candidates of a scenario."""
        settled: dict[str, Measurement] = {}
        commands = {one.name: self._command(one, settled) for one in scenario.candidates}
        for candidate in scenario.candidates:
            if not candidate.brokerless and candidate.name not in settled:
                self._topic_of(candidate.workload)
        warm_ups = [
            self._round(scenario, commands, settled, f"warm-up {turn + 1}", warm_up=True)
            for turn in range(self._warm_ups)
        ]
        rounds = [
            self._round(scenario, commands, settled, f"round {turn + 1}", warm_up=False) for turn in range(self._rounds)
        ]
        return judge(scenario, rounds, warm_ups)

    def _command(self, candidate: Candidate, settled: dict[str, Measurement]) -> Sequence[str]:
        try:
            return self._command_of(candidate.runtime)
        except runtimes.RuntimeMissing as error:
            self._report(f"{candidate.name}: skipped: {error}")
            settled[candidate.name] = Measurement(value=None, skipped=str(error))
            return ()

    def _round(
        self,
        scenario: Scenario,
        commands: dict[str, Sequence[str]],
        settled: dict[str, Measurement],
        title: str,
        *,
        warm_up: bool,
    ) -> list[Measurement]:
        """One measurement of each. `settled` has those that need none any more, and gets those of a failed warm-up."""
        measured = []
        for candidate in scenario.candidates:
            found = settled.get(candidate.name)
            if found is None:
                found = self._measure(candidate, commands[candidate.name], warm_up=warm_up)
                if found.skipped or (warm_up and found.problems):
                    settled[candidate.name] = attrs.evolve(found, value=None)
                self._report(f"{scenario.name} {title}: {candidate.name}: {_told(found, scenario.unit)}")
            measured.append(found)
        return measured

    def _topic_of(self, workload: Workload) -> str:
        if workload not in self._topics:
            topic = topics.unique("benchmark")
            self._report(f"producing {workload.records:,} records to {workload.partitions} partitions")
            topics.fill(self._cluster, topic, workload)
            self._topics[workload] = topic
        return self._topics[workload]

    def _measure(self, candidate: Candidate, command: Sequence[str], *, warm_up: bool) -> Measurement:
        delay = candidate.delay_seconds
        try:
            with self._delayed(delay) if delay else nullcontext(self._cluster.bootstrap_servers) as bootstrap_servers:
                return self._measure_by(bootstrap_servers, candidate, command, warm_up=warm_up)
        except DelayUnavailable as error:
            return Measurement(value=None, skipped=str(error))

    def _measure_by(
        self, bootstrap_servers: str, candidate: Candidate, command: Sequence[str], *, warm_up: bool
    ) -> Measurement:
        workload = candidate.workload
        topic = "" if candidate.brokerless else self._topic_of(workload)
        self._groups += 1
        with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
            job = Job(
                name=candidate.name,
                entry=candidate.entry,
                bootstrap_servers=bootstrap_servers,
                topic=topic,
                counts=workload.counts,
                record_bytes=workload.record_bytes,
                group=f"{topic or topics.unique('benchmark')}-{self._groups}",
                marks=str(Path(directory, "marks")),
                spans=str(Path(directory, "spans")) if warm_up else "",
                options=candidate.options,
            )
            marks.create(job.marks, job.records)
            if job.spans:
                marks.create(job.spans, 16 * job.records)
            found = self._run_child(job, command)
            if candidate.commits and found.value is not None:
                found = attrs.evolve(found, problems=[*found.problems, *self._wrong(candidate, job)])
            return found

    def _wrong(self, candidate: Candidate, job: Job) -> list[str]:
        """What a consumer did wrong."""
        found = Marks(job.marks, job.counts).problems()
        if job.spans and candidate.order_promised and not found:
            found += order_problems(Spans(job.spans, job.counts), candidate.workload)
        return [*found, *topics.wrong_commits(self._cluster.bootstrap_servers, job.group, job.topic, job.counts)]


def _told(found: Measurement, unit: str) -> str:
    if found.skipped:
        return f"skipped: {found.skipped}"
    value = [] if found.value is None else [f"{number(found.value)} {unit}"]
    return "; ".join([*found.problems, *value]) or "no value"
