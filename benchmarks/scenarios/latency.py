"""What the consumer adds to a record's way, at half load and at four fifths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ..model import Candidate, Scenario, Workload

WORKLOAD = Workload(keys=None, seed=50)
"""Of this scenario alone, by its seed: a measurement adds records to the topic, which others must not see."""

ADDED_P50_MS_MAX = 1.0
ADDED_P99_MS_MAX = 10.0


@attrs.frozen(kw_only=True)
class Load:
    """What is handled, and what its capacity depends on.

    Args:
        name: Short.
        handler: See `candidates.handlers`.
        concurrency: Handlers in flight, at most.
        waits: True if records wait for their lane: where handlers take no time, none does.
    """

    name: str
    handler: Mapping[str, Any]
    concurrency: int
    waits: bool


HANDLERS = (
    # Capacity is what so many handlers can do; the processor has time to spare.
    Load(name="5 ms", handler={"kind": "sleep", "seconds": 0.005}, concurrency=64, waits=True),
    # Capacity is what the processor can do.
    Load(name="no-op", handler={"kind": "noop"}, concurrency=256, waits=False),
)
PARTS = {"50 %": 0.5, "80 %": 0.8}
WITH_TARGETS = "50 %"


def _candidate(load: Load, part: str) -> Candidate:
    targets = {"added_p99_ms": ADDED_P99_MS_MAX}
    if load.waits:
        targets |= {"next_p50_ms": ADDED_P50_MS_MAX, "next_p99_ms": ADDED_P99_MS_MAX}
    return Candidate(
        name=f"{load.name}, {part}",
        about=f"{load.name} handler, key order, {load.concurrency} in flight, at {part} of capacity; less a bare loop",
        entry="candidates.latency:added",
        workload=WORKLOAD,
        options={"handler": dict(load.handler), "concurrency": load.concurrency, "load": PARTS[part]},
        value_max=ADDED_P50_MS_MAX if part == WITH_TARGETS else None,
        detail_max=targets if part == WITH_TARGETS else {},
    )


SCENARIO = Scenario(
    name="latency",
    about="From a record to its handler, at a part of capacity: what we add to a bare loop (dashed in the plot).",
    unit="ms",
    candidates=[_candidate(load, part) for load in HANDLERS for part in PARTS],
    records=50_000,
    records_embedded=50_000,
    plot="latency",
)
