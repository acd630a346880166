"""What a queued record weighs beyond its key and value."""

from __future__ import annotations

from ..model import Candidate, Scenario, Workload

LIMIT_BYTES = 1_024


def _candidate(reading: str, keys: str, workload: Workload) -> Candidate:
    return Candidate(
        name=f"{keys}, {reading}",
        about=f"growth of the {'resident set' if reading == 'resident' else 'allocations of Python'} per record",
        entry=f"candidates.memory:{reading}",
        workload=workload,
        value_max=LIMIT_BYTES,
    )


SCENARIO = Scenario(
    name="memory",
    about="Memory of a queued record beyond its key and value, behind a handler that never returns.",
    unit="bytes/record",
    candidates=[
        _candidate(reading, keys, workload)
        for reading in ("resident", "traced")
        for keys, workload in (("1,000 keys", Workload(keys=1_000)), ("distinct keys", Workload(keys=None)))
    ],
    records=100_000,
    records_embedded=100_000,
)
