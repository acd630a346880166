"""The harness: produces once, measures the candidates round by round, and judges nothing but validity.

The order of a run::

    produce each workload once → warm-up: A B C, values thrown away → round 1: A B C → round 2: A B C → ...

The warm-up warms the broker (its page cache and compiler) rather than the candidate, whose process is a fresh one each
time. It also checks the order of each key, which a measurement has no time for. What each measurement checks: every
record was handled exactly once (seen by the candidate's process), and the group has committed the end of every
partition (seen by us, at the broker). A candidate that fails either is reported with the reason, not timed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

import attrs

from . import topics
from .figures import Spread, ratios, reached, spread
from .model import Candidate, Comparison, Job, Measurement, Scenario, Workload

CHILD_SECONDS_MAX = 300.0
"""A candidate stops by itself when nothing happens any more; this is for one that cannot."""

Report = Callable[[str], object]
"""Takes a line about the progress."""


@attrs.frozen(kw_only=True)
class CandidateResult:
    """All rounds of one candidate."""

    candidate: Candidate
    rounds: Sequence[Measurement]

    @property
    def values(self) -> list[float | None]:
        return [one.value if one.valid else None for one in self.rounds]

    @property
    def problems(self) -> list[str]:
        """Each once."""
        return list(dict.fromkeys(problem for one in self.rounds for problem in one.problems))

    @property
    def detail(self) -> dict[str, Spread]:
        names = dict.fromkeys(name for one in self.rounds for name in one.detail)
        found = {name: spread(one.detail.get(name) for one in self.rounds if one.valid) for name in names}
        return {name: value for name, value in found.items() if value is not None}

    @property
    def reached(self) -> bool | None:
        most = self.candidate.value_max
        return None if most is None else reached(spread(self.values), most=most)


@attrs.frozen(kw_only=True)
class ComparisonResult:
    """One ratio, round by round."""

    comparison: Comparison
    values: Sequence[float | None]

    @property
    def reached(self) -> bool | None:
        least = self.comparison.ratio_min
        return None if least is None else reached(spread(self.values), least=least)


@attrs.frozen(kw_only=True)
class ScenarioResult:
    """One scenario of a run."""

    scenario: Scenario
    candidates: Sequence[CandidateResult]
    comparisons: Sequence[ComparisonResult]

    @property
    def valid(self) -> bool:
        return not any(one.problems for one in self.candidates)


class Harness:
    """Runs scenarios on one cluster.

    Args:
        cluster: Where the topics are made.
        rounds: How often each candidate is measured.
        warm_ups: Rounds before those, whose values are thrown away.
        report: Told what happens, line by line.
    """

    def __init__(self, cluster: topics.Cluster, *, rounds: int, warm_ups: int, report: Report) -> None:
        self._cluster = cluster
        self._rounds = rounds
        self._warm_ups = warm_ups
        self._report = report
        self._topics: dict[Workload, str] = {}
        self._groups = 0

    def run(self, scenario: Scenario) -> ScenarioResult:
        """Measure all candidates of a scenario."""
        for candidate in scenario.candidates:
            self._topic_of(candidate.workload)
        warm_ups = [self._round(scenario, f"warm-up {number + 1}", warm_up=True) for number in range(self._warm_ups)]
        rounds = [self._round(scenario, f"round {number + 1}") for number in range(self._rounds)]
        return judge(scenario, rounds, warm_ups)

    def _round(self, scenario: Scenario, title: str, *, warm_up: bool = False) -> list[Measurement]:
        measured = []
        for candidate in scenario.candidates:
            found = self._measure(candidate, warm_up=warm_up)
            measured.append(found)
            told = "; ".join(found.problems) or f"{found.value:,.0f} {scenario.unit}"
            self._report(f"{scenario.name} {title}: {candidate.name}: {told}")
        return measured

    def _topic_of(self, workload: Workload) -> str:
        if workload not in self._topics:
            topic = topics.unique("benchmark")
            self._report(f"producing {workload.records:,} records to {workload.partitions} partitions")
            topics.fill(self._cluster, topic, workload)
            self._topics[workload] = topic
        return self._topics[workload]

    def _measure(self, candidate: Candidate, *, warm_up: bool) -> Measurement:
        workload, topic = candidate.workload, self._topic_of(candidate.workload)
        self._groups += 1
        job = Job(
            entry=candidate.entry,
            bootstrap_servers=self._cluster.bootstrap_servers,
            topic=topic,
            counts=workload.counts,
            record_bytes=workload.record_bytes,
            group=f"{topic}-{self._groups}",
            check_order=warm_up,
            options=candidate.options,
        )
        found = run_child(job)
        if candidate.commits and found.value is not None:
            wrong = topics.wrong_commits(self._cluster.bootstrap_servers, job.group, topic, workload.counts)
            found = attrs.evolve(found, problems=[*found.problems, *wrong])
        return found


def run_child(job: Job, command: Sequence[str] = (sys.executable, "-m", f"{__package__}.child")) -> Measurement:
    """Measure a job in a process of its own."""
    try:
        done = subprocess.run(
            command,
            input=json.dumps(attrs.asdict(job)),
            stdout=subprocess.PIPE,
            text=True,
            timeout=CHILD_SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Measurement(value=None, problems=[f"still running after {CHILD_SECONDS_MAX:g} s"])
    if done.returncode:
        return Measurement(value=None, problems=[f"its process ended with {done.returncode}: see its error output"])
    try:
        answer: Mapping[str, object] = json.loads(done.stdout.strip().rpartition("\n")[2])
        return Measurement(**answer)  # type: ignore[arg-type]
    except (ValueError, TypeError) as error:
        return Measurement(value=None, problems=[f"its answer can't be read: {error}"])


def judge(
    scenario: Scenario, rounds: Sequence[Sequence[Measurement]], warm_ups: Sequence[Sequence[Measurement]] = ()
) -> ScenarioResult:
    """Sort what was measured by candidate, and compare.

    A candidate that did wrong in a warm-up has no value in any round.

    Args:
        scenario: What was measured.
        rounds: One measurement for each candidate, in the scenario's order.
        warm_ups: The same.
    """
    results = []
    for index, candidate in enumerate(scenario.candidates):
        wrong = [problem for one in warm_ups for problem in one[index].problems]
        mine = [attrs.evolve(one[index], problems=[*wrong, *one[index].problems]) for one in rounds]
        results.append(CandidateResult(candidate=candidate, rounds=mine))
    values = {result.candidate.name: result.values for result in results}
    comparisons = [
        ComparisonResult(comparison=one, values=ratios(values[one.of], values[one.to])) for one in scenario.comparisons
    ]
    return ScenarioResult(scenario=scenario, candidates=results, comparisons=comparisons)
