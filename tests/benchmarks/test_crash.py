"""Repeats after a crash: what is counted, and how a member is expelled. No time is taken here."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

from benchmarks import marks
from benchmarks.candidates.crash import COMMIT_SECONDS, Crash, compare, kill_when, repeats
from benchmarks.candidates.expel import error_of, request
from benchmarks.marks import Marks, Spans
from benchmarks.model import Job
from benchmarks.scenarios.crash import SCENARIO

COUNTS = [3, 2]
KILLED_NS = 10_000_000_000
LONG_AGO = KILLED_NS - int(COMMIT_SECONDS * 1e9) - 1
RECENT = LONG_AGO + 1


def job(directory: Path, **changes: Any) -> Job:
    path = directory / "marks"
    marks.create(str(path), sum(COUNTS))
    there = {"entry": "x:y", "bootstrap_servers": "", "topic": "t", "counts": COUNTS, "record_bytes": 1, "group": "g"}
    return Job(**{**there, "marks": str(path), **changes})


def spans(directory: Path, name: str, taken: dict[tuple[int, int], tuple[int, int]]) -> Spans:
    """As a process leaves them: begin and end of the handler of some records."""
    data = bytearray(16 * sum(COUNTS))
    for (partition, offset), times in taken.items():
        struct.pack_into("=QQ", data, 16 * (sum(COUNTS[:partition]) + offset), *times)
    path = directory / name
    path.write_bytes(data)
    return Spans(str(path), COUNTS)


def test_compare(tmp_path: Path) -> None:
    first = spans(
        tmp_path,
        "first",
        {
            (0, 0): (1, 0),  # stuck
            (0, 1): (1, LONG_AGO),  # done, and told in time
            (0, 2): (1, RECENT),  # done, but not told
            (1, 0): (RECENT, 0),  # in flight
        },
    )
    second = spans(tmp_path, "second", {(0, 0): (20, 21), (0, 2): (20, 22), (1, 0): (20, 22), (1, 1): (20, 22)})
    assert compare(COUNTS, first, second, KILLED_NS) == Crash(
        repeated=3, handled_twice=1, in_flight=2, in_interval=1, handled=2
    )


def test_the_bound_is_what_was_in_flight_and_what_an_interval_handles() -> None:
    at_it = Crash(repeated=7, handled_twice=4, in_flight=3, in_interval=4, handled=100)
    assert at_it.measurement.value == 7
    assert at_it.measurement.detail["beyond_bound"] == 0
    assert attrs.evolve(at_it, repeated=9).measurement.detail["beyond_bound"] == 2


WRITER = """
import json, sys, time
job = json.load(sys.stdin)
with open(job["marks"], "r+b") as file:
    file.write(bytes([1, 1, 1]))
{then}
"""


def test_the_process_is_killed_when_it_is_time(tmp_path: Path) -> None:
    one = job(tmp_path)
    seen = Marks(one.marks, COUNTS)
    command = [sys.executable, "-c", WRITER.format(then="time.sleep(600)")]
    assert kill_when(command, one, lambda: seen.handled == 3) is not None
    assert seen.handled == 3


def test_a_process_that_ends_before_is_not_killed(tmp_path: Path) -> None:
    one = job(tmp_path)
    seen = Marks(one.marks, COUNTS)
    assert kill_when([sys.executable, "-c", WRITER.format(then="")], one, lambda: seen.complete) is None


def test_a_peer_that_is_not_set_up_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = repeats(job(tmp_path, options={"runtime": "aiokafka"}))
    assert "python -m benchmarks setup" in found.skipped
    assert not found.problems


def test_each_candidate_supervises_a_consumer_of_its_own() -> None:
    assert {one.entry for one in SCENARIO.candidates} == {"candidates.crash:repeats"}
    assert len({one.options["entry"] for one in SCENARIO.candidates}) == len(SCENARIO.candidates)
    assert {tuple(one.options["stuck"]) for one in SCENARIO.candidates} == {(0, 0)}


# Expelling


def test_request_and_answer() -> None:
    asked = request("ab", ["m", "nn"])
    assert struct.unpack_from(">ihhi", asked) == (len(asked) - 4, 13, 3, 1)
    assert asked.endswith(b"\0\2ab" + b"\0\0\0\2" + b"\0\1m\xff\xff" + b"\0\2nn\xff\xff")
    assert error_of(struct.pack(">iih", 1, 0, 25) + b"\0\0\0\0") == 25
