"""Small scenarios, and what the harness would measure of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import marks
from benchmarks.model import Candidate, Comparison, Job, Measurement, Scenario, Workload

WORKLOAD = Workload(records=30, keys=7, partitions=3)


def candidate(name: str, **changes: Any) -> Candidate:
    return Candidate(**{"name": name, "about": "", "entry": "candidates.x:y", "workload": WORKLOAD, **changes})


def scenario(*candidates: Candidate, comparisons: Sequence[Comparison] = (), **changes: Any) -> Scenario:
    given = {"name": "s", "about": "", "unit": "records/s", "records": 30, "records_embedded": 30}
    return Scenario(**{**given, "candidates": candidates, "comparisons": comparisons, **changes})


def job(**changes: Any) -> Job:
    given = {"entry": "candidates.x:y", "bootstrap_servers": "", "topic": "t", "counts": [1], "record_bytes": 1}
    return Job(**{**given, "group": "g", "marks": "", **changes})


def marked_job(directory: Path, counts: Sequence[int], **changes: Any) -> Job:
    """With its two files."""
    paths = {"marks": str(directory / "marks"), "spans": str(directory / "spans")}
    for name, size in (("marks", 1), ("spans", 16)):
        marks.create(paths[name], size * sum(counts))
    return job(**{**paths, "counts": list(counts), **changes})


def measured(*values: float | None) -> list[Measurement]:
    return [Measurement(value=value) for value in values]
