"""The harness on an embedded cluster. No time is taken here."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from benchmarks import __main__ as command
from benchmarks import runtimes
from benchmarks.clusters import DelayUnavailable
from benchmarks.harness import Harness
from benchmarks.marks import Marks
from benchmarks.model import Candidate, Job, Measurement, Runtime, Workload
from benchmarks.process import run_child
from benchmarks.scenarios import SCENARIOS
from benchmarks.scenarios.lineup import NOOP
from benchmarks.topics import TopicUnusable, fill, unique, wrong_commits
from tests.benchmarks.support import WORKLOAD, candidate, job, scenario
from tests.support import committed, produce
from trio_consumer import Partition
from trio_consumer.client.embedded import EmbeddedCluster

CONSUMER = candidate("ours", entry="candidates.ours:consume", options={"handler": NOOP, "concurrency": 4}, commits=True)
TASKS = candidate(
    "tasks",
    entry="candidates.bare:working_tasks",
    options={"handler": {"kind": "checkpoint"}, "concurrency": 10},
    brokerless=True,
)


def silent(line: str) -> None:
    pass


# Processes


def child(source: str) -> Measurement:
    return run_child(job(), (sys.executable, "-c", source))


def test_a_child_answers_on_its_last_line() -> None:
    answer = child('import sys; sys.stdin.read(); print(\'chatter\'); print(\'{"value": 2.5, "detail": {"x": 1}}\')')
    assert answer == Measurement(value=2.5, detail={"x": 1})


@pytest.mark.parametrize("source", ["raise SystemExit(3)", "print('nonsense')", "print('{\"speed\": 1}')", ""])
def test_a_child_that_fails_is_a_problem_not_a_value(source: str) -> None:
    answer = child(f"import sys; sys.stdin.read(); {source}")
    assert answer.value is None
    assert len(answer.problems) == 1


@pytest.mark.parametrize(
    "one", [one for scenario in SCENARIOS.values() for one in scenario.candidates if one.runtime != "java"]
)
def test_every_entry_exists(one: Candidate) -> None:
    module, _, function = one.entry.partition(":")
    source = Path(command.__file__).parent.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8")
    assert f"def {function}(" in source


def test_comparisons_name_candidates() -> None:
    for one in SCENARIOS.values():
        names = [candidate.name for candidate in one.candidates]
        assert len(set(names)) == len(names)
        assert {name for ratio in one.comparisons for name in (ratio.of, ratio.to)} <= set(names)


# Topics


def test_fill_refuses_what_the_cluster_dropped(embedded: EmbeddedCluster) -> None:
    fill(embedded, unique("small"), WORKLOAD)
    with pytest.raises(TopicUnusable, match="fewer --records"):
        fill(embedded, unique("large"), Workload(records=6, partitions=1, value_bytes=900_000))


def test_wrong_commits(embedded: EmbeddedCluster) -> None:
    embedded.create_topic("t", 2)
    produce(embedded.bootstrap_servers, "t", [(None, b"x")] * 3, partition=0)
    group = unique("group")
    assert committed(embedded.bootstrap_servers, group, [Partition("t", 0)])[Partition("t", 0)].offset is None
    assert len(wrong_commits(embedded.bootstrap_servers, group, "t", [3, 0])) == 1
    assert wrong_commits(embedded.bootstrap_servers, group, "t", [0, 0]) == []


# Rounds


def test_rounds_are_interleaved_and_topics_shared(embedded: EmbeddedCluster) -> None:
    told: list[str] = []
    bare = candidate("bare", entry="candidates.bare:consume", order_promised=False)
    three = scenario(bare, attrs.evolve(bare, name="again"), TASKS)
    result = Harness(embedded, rounds=2, warm_ups=1, report=told.append).run(three)
    names = ("bare", "again", "tasks")
    assert told[0] == "producing 30 records to 3 partitions"
    assert [line.rpartition(":")[0] for line in told[1:]] == [
        f"s {title}: {name}" for title in ("warm-up 1", "round 1", "round 2") for name in names
    ]
    assert result.valid
    assert [len(list(filter(None, one.values))) for one in result.candidates] == [2, 2, 2]


@pytest.mark.parametrize("kind", ["noop", "checkpoint", "sleep", "sweep", "cpu", "io"])
def test_our_consumer_with_each_handler(embedded: EmbeddedCluster, kind: str) -> None:
    options = {"handler": {"kind": kind, "seconds": 0.0001, "bytes": 10}, "concurrency": 4, "order": "unordered"}
    result = Harness(embedded, rounds=1, warm_ups=1, report=silent).run(
        scenario(attrs.evolve(CONSUMER, options=options, order_promised=False))
    )
    assert result.candidates[0].problems == []
    assert result.candidates[0].values != [None]


def test_what_needs_no_records_gets_no_topic(embedded: EmbeddedCluster) -> None:
    told: list[str] = []
    Harness(embedded, rounds=1, warm_ups=0, report=told.append).run(scenario(TASKS))
    assert [line.partition(":")[0] for line in told] == ["s round 1"]


class Lossy:
    """Runs candidates as the harness does, but takes one mark away from each."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def run(self, job: Job, command: Sequence[str]) -> Measurement:
        self.jobs.append(job)
        found = run_child(job, command)
        Marks(job.marks, job.counts).rows[0][0] = 0
        return found


def test_one_that_lost_in_the_warm_up_is_not_measured(embedded: EmbeddedCluster) -> None:
    lossy = Lossy()
    result = Harness(embedded, rounds=2, warm_ups=1, report=silent, run=lossy.run).run(scenario(CONSUMER))
    assert len(lossy.jobs) == 1
    assert lossy.jobs[0].spans
    assert result.candidates[0].problems == ["1 records were not handled"]
    assert result.candidates[0].values == [None, None]


class Careless:
    """Handles and commits, but says nothing of the order."""

    def run(self, job: Job, command: Sequence[str]) -> Measurement:
        return run_child(attrs.evolve(job, spans=""), command)


def test_the_order_must_be_known_of_those_that_promise_it(embedded: EmbeddedCluster) -> None:
    loose = attrs.evolve(CONSUMER, name="loose", order_promised=False)
    two = scenario(CONSUMER, loose)
    result = Harness(embedded, rounds=1, warm_ups=1, report=silent, run=Careless().run).run(two)
    strict, other = result.candidates
    assert len(strict.problems) == 1
    assert "nothing is known of the order" in strict.problems[0]
    assert other.problems == []


class Uncommitted:
    """Marks everything and commits nothing."""

    def run(self, job: Job, command: Sequence[str]) -> Measurement:
        marks = Marks(job.marks, job.counts)
        for row in marks.rows:
            for offset in range(len(row)):
                row[offset] += 1
        return Measurement(value=1.0)


def test_what_was_not_committed_is_a_problem(embedded: EmbeddedCluster) -> None:
    result = Harness(embedded, rounds=1, warm_ups=0, report=silent, run=Uncommitted().run).run(scenario(CONSUMER))
    assert len(result.candidates[0].problems) == 1
    assert "not committed to their end" in result.candidates[0].problems[0]


# What can't be measured here


class Absent:
    def command(self) -> list[str]:
        raise runtimes.RuntimeMissing("no Java; install it")

    def set_up(self, tell: runtimes.Tell) -> None:
        self.command()


class Present:
    def command(self) -> list[str]:
        return ["true"]

    def set_up(self, tell: runtimes.Tell) -> None:
        tell("installing")


def test_setting_up_runtimes() -> None:
    told: list[str] = []
    assert not runtimes.set_up({"java": Absent(), "aiokafka": Present()}, told.append)
    assert told == ["java: missing: no Java; install it", "installing", "aiokafka: ready"]
    assert runtimes.set_up({"aiokafka": Present()}, told.append)


def test_a_missing_runtime_is_skipped_with_its_reason(embedded: EmbeddedCluster) -> None:
    def command_of(runtime: Runtime) -> list[str]:
        return Absent().command() if runtime == "java" else runtimes.command(runtime)

    told: list[str] = []
    two = scenario(candidate("peer", runtime="java"), TASKS)
    result = Harness(embedded, rounds=2, warm_ups=1, report=told.append, command_of=command_of).run(two)
    assert result.candidates[0].skipped == "no Java; install it"
    assert result.valid
    assert told[0] == "peer: skipped: no Java; install it"
    assert not any("producing" in line for line in told)


def test_a_distance_that_the_cluster_does_not_have(embedded: EmbeddedCluster) -> None:
    far = attrs.evolve(CONSUMER, delay_seconds=0.01)
    result = Harness(embedded, rounds=1, warm_ups=0, report=silent).run(scenario(far))
    assert "no way with a delay" in result.candidates[0].skipped


def test_a_distance(embedded: EmbeddedCluster) -> None:
    asked: list[float] = []

    @contextmanager
    def delayed(seconds: float) -> Iterator[str]:
        asked.append(seconds)
        if seconds > 1:
            raise DelayUnavailable("too far")
        yield embedded.bootstrap_servers

    harness = Harness(embedded, rounds=1, warm_ups=0, report=silent, delayed=delayed)
    two = scenario(
        attrs.evolve(CONSUMER, delay_seconds=0.01), attrs.evolve(CONSUMER, name="farther", delay_seconds=2.0), TASKS
    )
    near, far, _ = harness.run(two).candidates
    assert asked == [0.01, 2.0]
    assert near.problems == []
    assert far.skipped == "too far"
