"""The bounds that handlers set."""

from __future__ import annotations

from math import isclose

import pytest

from benchmarks.bounds import handler_seconds, makespan_seconds
from benchmarks.candidates.bound import rate
from benchmarks.model import Scenario, Workload
from benchmarks.scenarios import sweep, zipf
from benchmarks.work import sweep_seconds
from tests.benchmarks.support import job

SLEEP = {"kind": "sleep", "seconds": 0.01}


@pytest.mark.parametrize(
    ("keys", "concurrency", "order", "seconds"),
    [
        (None, 10, "key", 1.0),  # nothing but the handlers
        (1, 10, "key", 10.0),  # one lane
        (4, 10, "key", 2.5),  # fewer lanes than handlers
        (4, 2, "key", 5.0),
        (1, 10, "unordered", 1.0),
        (None, 10, "partition", 2.0),  # five partitions
    ],
)
def test_the_longest_lane_or_all_of_them(keys: int | None, concurrency: int, order: str, seconds: float) -> None:
    workload = Workload(records=1_000, keys=keys, partitions=5)
    found = makespan_seconds(workload, SLEEP, concurrency=concurrency, order=order)  # type: ignore[arg-type]
    assert isclose(found, seconds)


def test_the_sweep_is_bounded_by_its_own_sleeps() -> None:
    workload = Workload(records=10_000, keys=1_000, partitions=1, distribution="uniform")
    found = makespan_seconds(workload, {"kind": "sweep"}, concurrency=16, order="key")
    assert isclose(found, sum(map(sweep_seconds, range(10_000))) / 16)
    assert isclose(found, 1.25, rel_tol=0.001)


def test_a_handler_whose_time_is_not_known_has_no_bound() -> None:
    with pytest.raises(ValueError, match="noop"):
        handler_seconds({"kind": "noop"}, 0)


@pytest.mark.parametrize("scenario", [sweep.SCENARIO, zipf.SCENARIO], ids=lambda one: one.name)
def test_a_bound_is_that_of_the_work_beside_it(scenario: Scenario) -> None:
    candidates = {one.name: one for one in scenario.sized(1_000).candidates}
    pairs = [(one, candidates[f"bound, {name}"]) for name, one in candidates.items() if f"bound, {name}" in candidates]
    assert pairs
    for consumer, bound in pairs:
        assert consumer.workload == bound.workload
        given = consumer.options
        seconds = makespan_seconds(
            consumer.workload, given["handler"], concurrency=given["concurrency"], order=given["order"]
        )
        found = rate(job(counts=bound.workload.counts, options=bound.options))
        assert found.value is not None
        assert isclose(found.value, consumer.workload.records / seconds)


def test_key_order_costs_what_the_hottest_key_takes() -> None:
    workload = Workload(records=12_000, keys=1_000, partitions=24, distribution="zipf")
    hottest = max(workload.key_counts.values())
    assert hottest > workload.records / 24
    assert isclose(makespan_seconds(workload, SLEEP, concurrency=24, order="key"), hottest * 0.01)
