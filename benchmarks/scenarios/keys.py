"""How the keys are spread over the records: what random ones, many or a hot one cost beside keys that take turns."""

from __future__ import annotations

import attrs

from ..model import Comparison, Scenario, Workload
from . import lineup

TURNS = Workload()
UNIFORM = Workload(distribution="uniform")

IN_TURNS = lineup.ours(lineup.NOOP, TURNS, name="in turns")
AT_RANDOM = attrs.evolve(IN_TURNS, name="at random", workload=UNIFORM)
SKEWED = [
    attrs.evolve(IN_TURNS, name="all distinct", workload=Workload(keys=None)),
    attrs.evolve(IN_TURNS, name="Zipf", workload=Workload(distribution="zipf")),
    attrs.evolve(IN_TURNS, name="half of one key", workload=Workload(distribution="hot")),
]
IN_TURNS_CHECKPOINT = lineup.ours({"kind": "checkpoint"}, TURNS, name="checkpoint, in turns")
AT_RANDOM_CHECKPOINT = attrs.evolve(IN_TURNS_CHECKPOINT, name="checkpoint, at random", workload=UNIFORM)

SCENARIO = Scenario(
    name="keys",
    about="Our consumer with 1,000 keys that take turns or are drawn at random, and others; 256 in flight, commits on.",
    unit="records/s",
    candidates=[IN_TURNS, AT_RANDOM, *SKEWED, IN_TURNS_CHECKPOINT, AT_RANDOM_CHECKPOINT],
    comparisons=[
        Comparison(of=AT_RANDOM.name, to=IN_TURNS.name, ratio_min=0.8),
        Comparison(of=AT_RANDOM_CHECKPOINT.name, to=IN_TURNS_CHECKPOINT.name, ratio_min=0.8),
        *(Comparison(of=one.name, to=IN_TURNS.name) for one in SKEWED),
    ],
    records=1_000_000,
    records_embedded=60_000,
    plot="bars",
)
