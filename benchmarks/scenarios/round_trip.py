"""What a distant broker costs, whose round trips take 10 ms more: fetching and commits have to overlap handling."""

from __future__ import annotations

import attrs

from ..model import Comparison, Scenario, Workload
from . import lineup

DELAY_SECONDS = 0.01
WORKLOAD = Workload()

NEAR = [
    lineup.ours(lineup.NOOP, WORKLOAD, name="no-op"),
    lineup.ours({"kind": "checkpoint"}, WORKLOAD, name="checkpoint"),
]
FAR = [attrs.evolve(one, name=f"{one.name}, 10 ms", delay_seconds=DELAY_SECONDS) for one in NEAR]

SCENARIO = Scenario(
    name="round_trip",
    about="Our consumer with 10 ms added to each round trip to the broker, beside none: 1,000 keys, 256 in flight.",
    unit="records/s",
    candidates=[one for pair in zip(FAR, NEAR, strict=True) for one in pair],
    comparisons=[Comparison(of=far.name, to=near.name, ratio_min=0.8) for far, near in zip(FAR, NEAR, strict=True)],
    records=1_000_000,
    records_embedded=200_000,
    plot="bars",
)
