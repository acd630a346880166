"""What the consumer itself costs: a handler that does nothing, beside the bare loop."""

from __future__ import annotations

from ..model import Candidate, Comparison, Scenario
from .bare import AT_DEFAULTS, SAME_SETTINGS, WORKLOAD

OURS = Candidate(
    name="trio_consumer",
    about="async no-op handler, key order, 256 in flight, commits and offset map",
    entry="candidates.ours:noop",
    workload=WORKLOAD,
    options={"concurrency": 256},
    commits=True,
)

SCENARIO = Scenario(
    name="noop",
    about="Our consumer with an async no-op handler, key order, 1,000 keys, 256 in flight, commits on.",
    unit="records/s",
    candidates=[OURS, SAME_SETTINGS, AT_DEFAULTS],
    comparisons=[
        Comparison(of=OURS.name, to=SAME_SETTINGS.name, ratio_min=0.4),
        Comparison(of=OURS.name, to=AT_DEFAULTS.name, ratio_min=1.0),
    ],
    records=1_000_000,
    records_embedded=400_000,
)
