"""What runs again after a crash, with a lane that was stuck from the start."""

from __future__ import annotations

import attrs

from ..model import Candidate, Scenario, Workload
from . import lineup

HANDLER = {"kind": "sleep", "seconds": 0.02}
"""With 256 in flight, half of the records take many commit intervals, and one interval handles a small part of them."""
STUCK = (0, 0)
WORKLOAD = Workload(keys=1_000)


def _candidate(consumer: Candidate) -> Candidate:
    return attrs.evolve(
        consumer,
        about=f"{consumer.about}; killed when half is handled",
        entry="candidates.crash:repeats",
        options={
            "runtime": consumer.runtime,
            "entry": consumer.entry,
            "consumer": dict(consumer.options),
            "stuck": list(STUCK),
        },
        runtime="python",
        commits=False,
    )


OURS = attrs.evolve(_candidate(lineup.ours(HANDLER, WORKLOAD)), detail_max={"beyond_bound": 0.0})

SCENARIO = Scenario(
    name="crash",
    about="Records that run again after SIGKILL near the middle, with one lane stuck from the start.",
    unit="records",
    candidates=[
        OURS,
        _candidate(lineup.aiokafka(HANDLER, WORKLOAD, share=1.0)),
        _candidate(lineup.pyrallel(HANDLER, WORKLOAD, share=0.25)),
        _candidate(lineup.java(HANDLER, WORKLOAD, share=1.0)),
    ],
    records=200_000,
    records_embedded=50_000,
)
