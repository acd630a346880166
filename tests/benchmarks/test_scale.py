"""What the scale scenarios measure with, on few records. No time is checked here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from benchmarks.candidates import memory, scale
from benchmarks.candidates.prepared import KEY_BYTES
from benchmarks.model import Job, Workload
from benchmarks.report import FLATNESS, as_text, summary
from benchmarks.results import judge
from benchmarks.scenarios import SCENARIOS
from tests.benchmarks.support import candidate, marked_job, measured, scenario
from trio_consumer import Record

RECORDS = 600


def scale_job(directory: Path, *, keys: int | None = None, partitions: int = 3, **options: Any) -> Job:
    given = {"handler": {"kind": "noop"}, "keys": keys, "concurrency": 4, **options}
    workload = Workload(records=RECORDS, keys=keys, partitions=partitions)
    return marked_job(directory, workload.counts, record_bytes=KEY_BYTES + 10, options=given)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"keys": 5},
        {"keys": 2, "partitions": 4},
        {"batch": 7},
        {"handler": {"kind": "checkpoint"}},
        {"wave": 50},
        {"wave": 70},
        {"held": 0},
        {"held": 30},
        {"held": 30, "scattered": True},
    ],
    ids=str,
)
def test_a_point_is_valid(tmp_path: Path, options: dict[str, Any]) -> None:
    found = scale.consume(scale_job(tmp_path, **options))
    assert found.problems == []
    assert found.value is not None
    assert found.value >= 0
    assert found.detail["commits"] > 0


def test_tasks_are_measured_likewise(tmp_path: Path) -> None:
    found = scale.tasks(scale_job(tmp_path, handler={"kind": "checkpoint"}))
    assert found.value is not None
    assert found.value >= 0


async def test_a_wave_waits_until_all_of_it_has_come() -> None:
    handled, room = [], []

    async def handler(record: Record) -> None:
        handled.append(record.offset)
        await trio.lowlevel.checkpoint()

    waves = scale.Waves(handler, 3, 5)

    async def ask(handed: int) -> None:
        room.append(await waves.room(handed))

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, 0)
            await wait_all_tasks_blocked()
            for offset in range(3):
                nursery.start_soon(waves.handle, Record("t", 0, offset))
            nursery.start_soon(ask, 2)
            await wait_all_tasks_blocked()
            assert (room, handled) == ([3, 1], [])
            nursery.start_soon(ask, 3)  # all of the wave is in
            await wait_all_tasks_blocked()
            assert (room, sorted(handled)) == ([3, 1, 3], [0, 1, 2])
            for offset in (3, 4):
                nursery.start_soon(waves.handle, Record("t", 0, offset))
            await wait_all_tasks_blocked()
            assert len(handled) == 3
            nursery.start_soon(ask, 5)  # the last one, which is smaller
            await wait_all_tasks_blocked()
            assert sorted(handled) == [0, 1, 2, 3, 4]


def test_an_empty_lane_leaves_nothing(tmp_path: Path) -> None:
    found = memory.idle(scale_job(tmp_path))
    assert found.problems == []
    assert found.value is not None


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name.startswith("scale_")])
def test_curves_have_their_points(name: str) -> None:
    points = SCENARIOS[name].candidates
    assert all(one.series and one.at is not None and one.brokerless for one in points)
    assert len({(one.series, one.at) for one in points}) == len(points) == len({one.name for one in points})


@pytest.mark.parametrize(
    ("values", "ratio", "reached"),
    [
        ([[1.0, 9.0, 1.2], [1.4, 1.5, 1.3], [1.0, 1.1, 1.2]], 1.4 / 1.1, True),  # of medians
        ([[1.0], [1.5]], 1.5, False),
        ([[1.0], [None]], None, False),
    ],
)
def test_a_curve_is_flat_or_not(values: list[list[float | None]], ratio: float | None, reached: bool) -> None:
    points = [candidate(f"p{number}", series="ours", at=number) for number in range(len(values))]
    stranger = candidate("other", series="other", at=1)
    rounds = [measured(*one, 100.0) for one in zip(*values, strict=True)]
    result = judge(scenario(*points, stranger, flat_max={"ours": 1.3}), rounds)
    (curve,) = result.curves
    assert curve.ratio == ratio
    assert curve.reached is reached
    (row,) = summary([result], targets=True).rows
    assert row[0] == f"s: ours, {FLATNESS}"
    assert row[-1] == ("reached" if reached else "MISSED")
    assert FLATNESS in as_text(result, targets=True)
