"""What a candidate's process shares with the harness, and what the harness reads from it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.checks import order_problems
from benchmarks.marks import MARK_MAX, Marks, Spans
from benchmarks.model import Workload
from benchmarks.pace import Pace
from benchmarks.process import ROOT
from tests.benchmarks.support import marked_job


def test_marks(tmp_path: Path) -> None:
    given = marked_job(tmp_path, [2, 0, 1])
    marks = Marks(given.marks, given.counts)
    assert not marks.complete
    marks.add(0, 0)
    marks.rows[2][0] += 1
    assert not marks.complete
    assert marks.handled == 2
    assert marks.problems() == ["1 records were not handled"]
    marks.add(0, 1)
    assert marks.complete
    assert marks.complete
    assert marks.problems() == []
    marks.add(0, 0)
    assert marks.problems() == ["1 records were handled more than once"]
    assert Path(given.marks).read_bytes() == bytes([2, 1, 1])


def test_a_mark_counts_to_its_end(tmp_path: Path) -> None:
    given = marked_job(tmp_path, [1])
    marks = Marks(given.marks, given.counts)
    for _ in range(MARK_MAX + 5):
        marks.add(0, 0)
    assert marks.rows[0][0] == MARK_MAX


def test_marks_survive_a_killed_process(tmp_path: Path) -> None:
    given = marked_job(tmp_path, [3])
    source = f"""
import os
from benchmarks.marks import Marks
Marks({given.marks!r}, [3]).add(0, 1)
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", source], cwd=ROOT, check=False)
    assert Marks(given.marks, given.counts).problems() == ["2 records were not handled"]


def test_pace_waits_for_the_last_record(tmp_path: Path) -> None:
    given = marked_job(tmp_path, [2])
    marks = Marks(given.marks, given.counts)
    pace = Pace(marks)
    assert not pace.look()
    marks.add(0, 0)
    assert not pace.look()
    assert pace.measurement().value is None
    marks.add(0, 1)
    assert pace.look()
    found = pace.measurement(["wrong"], {"x": 1.0})
    assert found.value
    assert found.value > 0
    assert found.problems == ["wrong"]
    assert set(found.detail) == {"cpu_us_per_record", "x"}


# Two keys, a and b, in one partition: a, b, a, b.

WORKLOAD = Workload(records=4, keys=2, partitions=1)


def order_of(tmp_path: Path, *steps: str) -> list[str]:
    """What is wrong when the handlers begin ("+2") and end ("-2") in this order, by offset."""
    given = marked_job(tmp_path, [4])
    spans = Spans(given.spans, given.counts)
    for step in steps:
        (spans.begin if step[0] == "+" else spans.end)(0, int(step[1:]))
    return order_problems(spans, WORKLOAD)


def test_keys_may_overlap_each_other(tmp_path: Path) -> None:
    assert order_of(tmp_path, "+1", "+0", "-0", "+2", "-1", "+3", "-2", "-3") == []


def test_records_of_a_key_that_overlap(tmp_path: Path) -> None:
    assert order_of(tmp_path, "+0", "+2", "-0", "-2", "+1", "-1", "+3", "-3") == ["1 records of a key overlapped"]


def test_records_of_a_key_out_of_order(tmp_path: Path) -> None:
    found = order_of(tmp_path, "+0", "-0", "+3", "-3", "+1", "-1", "+2", "-2")
    assert found == ["1 records of a key came out of order"]


def test_an_order_that_nobody_noted(tmp_path: Path) -> None:
    found = order_of(tmp_path, "+0", "-0", "+1", "-1", "+2", "-2", "+3")
    assert len(found) == 1
    assert found[0].startswith("of 1 records it is not known")
