"""Workloads, and scenarios of other sizes, candidates and options."""

from __future__ import annotations

from collections import Counter

import attrs
import pytest

from benchmarks.model import Comparison, Distribution, Workload
from tests.benchmarks.support import candidate, scenario


@pytest.mark.parametrize("distribution", ["turns", "uniform", "zipf", "hot"])
@pytest.mark.parametrize("keys", [1, 7, 12, 30, None])
@pytest.mark.parametrize("records", [1, 29, 30])
@pytest.mark.parametrize("partitions", [1, 3, 12])
def test_workload_counts_what_it_yields(
    records: int, keys: int | None, partitions: int, distribution: Distribution
) -> None:
    workload = Workload(records=records, keys=keys, partitions=partitions, distribution=distribution)
    produced = list(workload)
    counted = Counter(partition for partition, _, _ in produced)
    assert workload.counts == [counted[number] for number in range(partitions)]
    assert workload.key_counts == Counter(key for _, key, _ in produced)
    assert len(produced) == records
    assert len({(partition, key) for partition, key, _ in produced}) == len(workload.key_counts)
    assert {len(key) + len(value) for _, key, value in produced} == {workload.record_bytes}


@pytest.mark.parametrize(("keys", "distinct"), [(7, 7), (40, 30), (None, 30)])
def test_keys_take_turns(keys: int | None, distinct: int) -> None:
    assert len(Workload(records=30, keys=keys).key_counts) == distinct


def test_the_seed_decides_what_is_drawn() -> None:
    workload = Workload(records=1_000, keys=100, distribution="uniform")
    assert list(workload) == list(attrs.evolve(workload))
    assert list(workload) != list(attrs.evolve(workload, seed=2))


def test_half_of_the_records_have_the_hot_key() -> None:
    (_, hot), *others = Workload(records=1_000, keys=11, distribution="hot").key_counts.most_common()
    assert hot == 500
    assert [count for _, count in others] == [50] * 10


def test_a_zipf_distribution() -> None:
    counts = [count for _, count in Workload(records=100_000, keys=3, distribution="zipf").key_counts.most_common()]
    # 6 : 3 : 2 of 11 parts.
    assert [round(count * 11 / 100_000, 1) for count in counts] == [6.0, 3.0, 2.0]


def test_a_sized_scenario_gives_each_its_share() -> None:
    sized = scenario(candidate("a"), candidate("b", share=0.3), candidate("c", share=0.01)).sized(10)
    assert [one.workload.records for one in sized.candidates] == [10, 3, 1]
    assert {one.workload.keys for one in sized.candidates} == {7}


def test_only_some_candidates() -> None:
    comparisons = [Comparison(of="a", to="b"), Comparison(of="a", to="c")]
    three = scenario(candidate("a"), candidate("b"), candidate("c"), comparisons=comparisons)
    assert three.only([]) == three
    two = three.only(["a", "c"])
    assert [one.name for one in two.candidates] == ["a", "c"]
    assert two.comparisons == [Comparison(of="a", to="c")]


def test_other_options() -> None:
    given = {"handler": {"kind": "sleep", "seconds": 1}, "concurrency": 2}
    two = scenario(candidate("a", options=given), candidate("b")).having({"handler.seconds": 3, "concurrency": 4})
    assert two.candidates[0].options == {"handler": {"kind": "sleep", "seconds": 3}, "concurrency": 4}
    assert two.candidates[1].options == {}
    assert given["handler"] == {"kind": "sleep", "seconds": 1}
