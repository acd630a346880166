"""The arithmetic and the judgement of the benchmarks. No time is taken here."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from benchmarks import __main__ as command
from benchmarks import report
from benchmarks.candidates.tally import OrderCheck, Tally
from benchmarks.figures import Spread, ratios, reached, spread
from benchmarks.harness import Harness, judge, run_child
from benchmarks.model import Candidate, Comparison, Job, Measurement, Scenario, Workload
from benchmarks.scenarios import SCENARIOS
from benchmarks.topics import TopicUnusable, fill, unique, wrong_commits
from tests.support import committed, produce
from trio_consumer import Partition, Record
from trio_consumer.client.embedded import EmbeddedCluster

WORKLOAD = Workload(records=30, keys=7, partitions=3)


def candidate(name: str, **changes: Any) -> Candidate:
    return Candidate(**{"name": name, "about": "", "entry": "candidates.x:y", "workload": WORKLOAD, **changes})


def scenario(*candidates: Candidate, comparisons: Sequence[Comparison] = ()) -> Scenario:
    return Scenario(
        name="s",
        about="",
        unit="records/s",
        candidates=candidates,
        comparisons=comparisons,
        records=30,
        records_embedded=30,
    )


def job(entry: str = "candidates.x:y") -> Job:
    return Job(entry=entry, bootstrap_servers="", topic="t", counts=[1], record_bytes=1, group="g")


# Figures


def test_spread() -> None:
    assert spread([3.0, None, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0, 3)
    assert spread([1.0, 2.0]) == Spread(1.5, 1.0, 2.0, 2)
    assert spread([None]) is None
    assert Spread(2.0, 1.0, 3.0, 3).width == 1.0


def test_ratios_are_taken_within_a_round() -> None:
    # The machine was twice as slow in the second round; the ratio did not change.
    assert ratios([100.0, 50.0, 100.0], [200.0, 100.0, 200.0]) == [0.5, 0.5, 0.5]


def test_a_missing_value_takes_its_round_out() -> None:
    assert ratios([1.0, None, 3.0, 4.0], [2.0, 2.0, None, 0.0]) == [0.5, None, None, None]
    with pytest.raises(ValueError, match="zip"):
        ratios([1.0], [1.0, 2.0])


def test_targets() -> None:
    assert reached(spread([0.3, 0.4, 0.5]), least=0.4)
    assert not reached(spread([0.3, 0.39, 0.5]), least=0.4)
    assert reached(spread([700.0]), most=1024)
    assert not reached(spread([1025.0]), most=1024)
    assert not reached(None, least=0.0)


# Workloads


@pytest.mark.parametrize("keys", [1, 7, 12, 30, None])
@pytest.mark.parametrize("records", [1, 29, 30])
@pytest.mark.parametrize("partitions", [1, 3, 12])
def test_workload_counts_what_it_yields(records: int, keys: int | None, partitions: int) -> None:
    workload = Workload(records=records, keys=keys, partitions=partitions)
    produced = list(workload)
    counted = Counter(partition for partition, _, _ in produced)
    assert workload.counts == [counted[number] for number in range(partitions)]
    assert len({key for _, key, _ in produced}) == min(records, records if keys is None else keys)
    assert len({(partition, key) for partition, key, _ in produced}) == len({key for _, key, _ in produced})
    assert {len(key) + len(value) for _, key, value in produced} == {workload.record_bytes}


def test_sized_scenario() -> None:
    sized = scenario(candidate("a"), candidate("b")).sized(5)
    assert [one.workload.records for one in sized.candidates] == [5, 5]
    assert {one.workload.keys for one in sized.candidates} == {7}


# Judgement


def measured(*values: float | None) -> list[Measurement]:
    return [Measurement(value=value) for value in values]


def test_judge_compares_round_by_round() -> None:
    two = scenario(candidate("a"), candidate("b"), comparisons=[Comparison(of="a", to="b", ratio_min=0.5)])
    result = judge(two, [measured(10.0, 20.0), measured(6.0, 10.0), measured(1.0, 10.0)])
    assert [one.values for one in result.candidates] == [[10.0, 6.0, 1.0], [20.0, 10.0, 10.0]]
    assert result.comparisons[0].values == [0.5, 0.6, 0.1]
    assert result.comparisons[0].reached
    assert result.valid


def test_a_value_with_a_problem_counts_for_nothing() -> None:
    two = scenario(candidate("a"), candidate("b"), comparisons=[Comparison(of="a", to="b")])
    lost = Measurement(value=1e9, problems=["1 records were not handled"], detail={"commits": 7})
    result = judge(two, [[lost, Measurement(value=1.0)], measured(2.0, 1.0)])
    assert result.candidates[0].values == [None, 2.0]
    assert result.candidates[0].problems == ["1 records were not handled"]
    assert result.candidates[0].detail == {}
    assert result.comparisons[0].values == [None, 2.0]
    assert not result.valid


def test_what_went_wrong_in_a_warm_up_counts_for_all_rounds() -> None:
    one = scenario(candidate("a"))
    bad = Measurement(value=1.0, problems=["2 records of a key overlapped"])
    result = judge(one, [measured(1.0), measured(1.0)], [[bad]])
    assert result.candidates[0].values == [None, None]
    assert result.candidates[0].problems == ["2 records of a key overlapped"]


def test_a_limit_of_a_value() -> None:
    result = judge(scenario(candidate("a", value_max=10.0)), [measured(9.0), measured(10.0), measured(99.0)])
    assert result.candidates[0].reached
    result = judge(scenario(candidate("a", value_max=9.9)), [measured(9.0), measured(10.0), measured(99.0)])
    assert result.candidates[0].reached is False


# What a candidate's process checks


def test_tally() -> None:
    tally = Tally([2, 0, 1])
    assert not tally.complete
    tally.marks[0][0] += 1
    tally.marks[2][0] += 1
    assert not tally.complete
    assert tally.handled == 2
    assert tally.problems() == ["1 records were not handled"]
    tally.marks[0][1] += 1
    assert tally.complete
    assert tally.complete
    assert tally.problems() == []
    tally.marks[0][0] += 1
    assert tally.problems() == ["1 records were handled more than once"]


async def test_order_check() -> None:
    nested: list[Record] = []

    async def handle(record: Record) -> None:
        if nested:
            await check(nested.pop())

    check = OrderCheck(handle)
    await check(Record("t", 0, 0, b"a"))
    await check(Record("t", 0, 1, b"b"))
    await check(Record("t", 0, 2, b"a"))
    assert check.problems() == []
    await check(Record("t", 0, 1, b"a"))
    assert check.problems() == ["1 records of a key came out of order"]
    nested.append(Record("t", 0, 4, b"c"))
    await check(Record("t", 0, 3, b"c"))
    assert check.problems() == ["1 records of a key overlapped", "1 records of a key came out of order"]


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


@pytest.mark.parametrize("one", [one for scenario in SCENARIOS.values() for one in scenario.candidates])
def test_every_entry_exists(one: Candidate) -> None:
    module, _, function = one.entry.partition(":")
    source = Path(command.__file__).parent.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8")
    assert f"def {function}(" in source


def test_comparisons_name_candidates() -> None:
    for one in SCENARIOS.values():
        names = [candidate.name for candidate in one.candidates]
        assert len(set(names)) == len(names)
        assert {name for ratio in one.comparisons for name in (ratio.of, ratio.to)} <= set(names)


# On a cluster


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


def test_rounds_are_interleaved_and_topics_shared(embedded: EmbeddedCluster) -> None:
    told: list[str] = []
    pause = candidate("tasks", entry="candidates.bare:sleeping_tasks", options={"concurrency": 10, "seconds": 0})
    two = scenario(pause, attrs.evolve(pause, name="again"))
    result = Harness(embedded, rounds=2, warm_ups=1, report=told.append).run(two)
    assert [line.rpartition(":")[0] for line in told[1:]] == [
        f"s {title}: {name}" for title in ("warm-up 1", "round 1", "round 2") for name in ("tasks", "again")
    ]
    assert told[0] == "producing 30 records to 3 partitions"
    assert result.valid


# Reports


def test_reports() -> None:
    two = scenario(
        candidate("a", value_max=5.0), candidate("b"), comparisons=[Comparison(of="a", to="b", ratio_min=0.5)]
    )
    wrong = Measurement(value=1.0, problems=["lost"])
    result = judge(two, [measured(10.0, 20.0), [wrong, Measurement(value=4.0)]])
    table = report.as_table(result, targets=True)
    assert "at least 0.5: reached" in table
    assert "at most 5: MISSED" in table
    assert "NOT VALID: a: lost" in table
    assert "reached" not in report.as_table(result, targets=False)
    found = json.loads(json.dumps(report.as_json([result], "here", {"python": "3"}, rounds=2)))
    assert found["scenarios"][0]["ratios"][0]["values"] == [0.5, None]
    assert found["scenarios"][0]["candidates"][0]["problems"] == ["lost"]
    assert found["scenarios"][0]["valid"] is False


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["list"]) == 0
    told = capsys.readouterr().out
    assert [name for name in SCENARIOS if f"\n{name} " not in f"\n{told}"] == []


@pytest.mark.parametrize(
    "arguments", [[], ["no-such"], ["bare", "--records", "0"], ["bare", "--kafka", "--bootstrap", "b"]]
)
def test_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(arguments)
    assert caught.value.code == 2


def test_columns_without_a_value_are_left_out() -> None:
    one = scenario(candidate("a"))
    assert "CPU" not in report.as_table(judge(one, [measured(1.0)]), targets=True)
    with_cpu = [[Measurement(value=1.0, detail={"cpu_us_per_record": 2.5})]]
    assert "2.50" in report.as_table(judge(one, with_cpu), targets=True)
