"""The process of one measurement, seen from outside."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from .model import Job, Measurement

CHILD_SECONDS_MAX = 300.0
"""A candidate stops by itself when nothing happens any more; this is for one that cannot."""
ROOT = Path(__file__).parents[1]
"""Of the repository: where processes are run."""


def run_child(job: Job, command: Sequence[str]) -> Measurement:
    """Measure a job in a process of its own. Whatever goes wrong there is a problem of the measurement."""
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
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
    return read_answer(done.stdout)


def read_answer(told: str) -> Measurement:
    """From what a process has printed."""
    try:
        answer: Mapping[str, object] = json.loads(told.strip().rpartition("\n")[2])
        return Measurement(**answer)  # type: ignore[arg-type]
    except (ValueError, TypeError) as error:
        return Measurement(value=None, problems=[f"its answer can't be read: {error}"])
