"""Where a candidate's time goes: py-spy samples its process from outside while it does the work of a measurement.

Each candidate is run twice: all samples of threads that run tell of time, and in a second run those of threads that
hold the interpreter lock tell who has it. The rates of such runs are not to be quoted. Sampling sees Python functions;
what C code does in them (librdkafka's bindings, the garbage collector) is time of the function that called it. How long
the collector ran is measured by the candidate's own process.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import attrs

from .model import Job, Measurement
from .process import CHILD_SECONDS_MAX, ROOT, read_answer
from .tables import Table

SAMPLES_PER_SECOND = 250
FUNCTIONS_MAX = 30
_LINE = re.compile(r":\d+\)$")
Key = TypeVar("Key")
_IMPORTING = "_find_and_load"
"""In the stack of an import: the candidate's start, which is not what is asked for."""


class ProfilerMissing(Exception):
    """There is no py-spy; the message has the remedy."""


@attrs.frozen(kw_only=True)
class Profile:
    """Samples of one run.

    Args:
        by_thread: Seconds that each thread ran.
        by_function: Seconds in each function itself, without those that it called, by thread and function.
    """

    by_thread: Mapping[str, float]
    by_function: Mapping[tuple[str, str], float]


class Profiler:
    """Runs candidates, as `process.run_child` does, under py-spy: in turns for time and for the interpreter lock.

    Attributes:
        found: Tables of each candidate that was run for both, in order.
    """

    def __init__(self) -> None:
        beside = Path(sys.executable).with_name("py-spy")
        found = str(beside) if beside.exists() else shutil.which("py-spy")
        if not found:
            raise ProfilerMissing("a profile needs py-spy: pip install 'trio-consumer[bench]'")
        self._py_spy = found
        self._timed: dict[str, tuple[Profile, Measurement]] = {}
        self.found: list[tuple[str, list[Table]]] = []

    def run(self, job: Job, command: Sequence[str]) -> Measurement:
        """Measure a job, and keep what was sampled."""
        if "java" in Path(command[0]).name:
            return Measurement(value=None, skipped="py-spy samples Python only")
        # The harness runs each candidate of a scenario once before it runs any for the second time.
        locked = job.name in self._timed
        with tempfile.TemporaryDirectory(prefix="profile-") as directory:
            samples = Path(directory, "samples")
            spy = [self._py_spy, "record", "-o", str(samples), "-f", "raw", "--threads"]
            spy += ["--rate", str(SAMPLES_PER_SECOND), *(["--gil"] if locked else []), "--", *command]
            done = subprocess.run(
                spy,
                cwd=ROOT,
                input=json.dumps(attrs.asdict(attrs.evolve(job, profile=True))),
                capture_output=True,
                text=True,
                timeout=CHILD_SECONDS_MAX,
                check=False,
            )
            if not samples.exists():
                return Measurement(value=None, problems=[f"py-spy gave no samples: {done.stderr.strip()[-500:]}"])
            profile = read(samples.read_text(encoding="utf-8").splitlines())
        # py-spy's own last line follows that of the candidate.
        answers = [line for line in done.stdout.splitlines() if line.startswith("{")]
        found = read_answer(answers[-1] if answers else done.stdout)
        if locked:
            self.found.append((job.name, tables(*self._timed.pop(job.name), profile)))
        else:
            self._timed[job.name] = profile, found
        return found


def read(lines: Iterable[str]) -> Profile:
    """Of py-spy's raw format: a stack, outermost frame first, and how often it was seen."""
    by_thread: Counter[str] = Counter()
    by_function: Counter[tuple[str, str]] = Counter()
    names: dict[str, str] = {}
    for line in lines:
        stack, _, count = line.rpartition(" ")
        thread, *frames = stack.split(";")
        if not frames or any(frame.startswith(_IMPORTING) for frame in frames):
            continue
        number, _, name = thread.partition(": ")
        # A thread is seen without its name at first.
        names[number] = name or names.get(number, "without a name")
        by_thread[number] += int(count)
        by_function[number, _LINE.sub(")", frames[-1])] += int(count)
    return Profile(
        by_thread=_in_seconds((names[number], count) for number, count in by_thread.items()),
        by_function=_in_seconds(((names[number], frame), count) for (number, frame), count in by_function.items()),
    )


def _in_seconds(samples: Iterable[tuple[Key, int]]) -> dict[Key, float]:
    """The sums of each key, the largest first."""
    sums: Counter[Key] = Counter()
    for key, count in samples:
        sums[key] += count
    return {key: count / SAMPLES_PER_SECOND for key, count in sums.most_common()}


def tables(time: Profile, measured: Measurement, lock: Profile) -> list[Table]:
    """By thread and by function, as seconds of the run and its parts; the second run tells of the lock."""
    total = sum(time.by_thread.values()) or 1.0
    threads = [
        (name, f"{seconds:.2f}", f"{seconds / total:.0%}", f"{lock.by_thread.get(name, 0.0):.2f}")
        for name, seconds in time.by_thread.items()
    ]
    collected = measured.detail.get("gc_seconds")
    if collected is not None:
        threads.append(("in any of them: garbage collector", f"{collected:.2f}", f"{collected / total:.0%}", ""))
    functions = [
        (function, f"{seconds:.2f}", f"{seconds / total:.1%}", thread)
        for (thread, function), seconds in list(time.by_function.items())[:FUNCTIONS_MAX]
    ]
    return [
        Table(head=("thread", "runs, s", "part", "holds the lock, s"), rows=threads, words=0),
        Table(head=("self time of", "s", "part", "thread"), rows=functions),
    ]
