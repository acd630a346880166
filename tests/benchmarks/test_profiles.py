"""What is made of the samples of a profile."""

from __future__ import annotations

from benchmarks.model import Measurement
from benchmarks.profiles import SAMPLES_PER_SECOND, read, tables

STACKS = f"""\
thread (7): MainThread;<module> (a.py:1);run (a.py:2);step (b.py:10) {2 * SAMPLES_PER_SECOND}
thread (7): MainThread;<module> (a.py:1);run (a.py:2);step (b.py:11) {SAMPLES_PER_SECOND}
thread (7): MainThread;<module> (a.py:1);_find_and_load (<frozen importlib._bootstrap>:3);exec (c.py:1) 500
thread (8);fetch (d.py:5) {SAMPLES_PER_SECOND}
thread (8): client;fetch (d.py:5) {SAMPLES_PER_SECOND}
"""


def test_samples_are_sorted_by_thread_and_function() -> None:
    profile = read(STACKS.splitlines())
    assert profile.by_thread == {"MainThread": 3.0, "client": 2.0}
    assert profile.by_function == {("MainThread", "step (b.py)"): 3.0, ("client", "fetch (d.py)"): 2.0}


def test_tables_of_a_profile() -> None:
    lock = read([f"thread (9): MainThread;run (a.py:2) {SAMPLES_PER_SECOND}"])
    threads, functions = tables(read(STACKS.splitlines()), Measurement(value=1.0, detail={"gc_seconds": 0.5}), lock)
    assert [tuple(row) for row in threads.rows] == [
        ("MainThread", "3.00", "60%", "1.00"),
        ("client", "2.00", "40%", "0.00"),
        ("in any of them: garbage collector", "0.50", "10%", ""),
    ]
    assert tuple(functions.rows[0]) == ("step (b.py)", "3.00", "60.0%", "MainThread")
