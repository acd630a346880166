"""What a queued record weighs beyond its key and value, and what is left of a lane that has become empty."""

from __future__ import annotations

from ..model import Candidate, Scenario, Workload
from .lineup import NOOP

QUEUED_BYTES_MAX = 400
IDLE_BYTES_MAX = 1
"""Of each key that was ever seen: nothing, but for what a reading errs."""
MANY_KEYS, DISTINCT_KEYS = Workload(keys=1_000), Workload(keys=None)
READINGS = {"resident": "the resident set", "traced": "the allocations of Python"}


def _queued(reading: str, keys: str, workload: Workload, value_max: float | None) -> Candidate:
    return Candidate(
        name=f"queued record, {keys}, {reading}",
        about=f"growth of {READINGS[reading]} for each record, behind a handler that never returns",
        entry=f"candidates.memory:{reading}",
        workload=workload,
        value_max=value_max,
    )


IDLE = Candidate(
    name="idle lane",
    about="growth of the allocations of Python for each key that was seen and has nothing queued any more",
    entry="candidates.memory:idle",
    workload=DISTINCT_KEYS,
    options={"handler": dict(NOOP), "concurrency": 256},
    value_max=IDLE_BYTES_MAX,
    brokerless=True,
)

SCENARIO = Scenario(
    name="memory",
    about="Bytes of a queued record beyond its key and value, and of a lane that has become empty.",
    unit="bytes",
    candidates=[
        *(_queued(reading, "1,000 keys", MANY_KEYS, QUEUED_BYTES_MAX) for reading in READINGS),
        *(_queued(reading, "distinct keys", DISTINCT_KEYS, None) for reading in READINGS),
        IDLE,
    ],
    records=100_000,
    records_embedded=100_000,
)
