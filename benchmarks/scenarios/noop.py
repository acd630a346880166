"""What a consumer itself costs: a handler that does nothing, beside the bare loops and the peers."""

from __future__ import annotations

from ..model import Comparison, Scenario
from . import lineup
from .bare import AT_DEFAULTS, SAME_SETTINGS, WORKLOAD

OURS = lineup.ours(lineup.NOOP, WORKLOAD)
AIOKAFKA = lineup.aiokafka(lineup.NOOP, WORKLOAD)
AIOKAFKA_FAST = lineup.aiokafka_fast(lineup.NOOP, WORKLOAD)
PYRALLEL = lineup.pyrallel(lineup.NOOP, WORKLOAD)
JAVA = lineup.java(lineup.NOOP, WORKLOAD)

SCENARIO = Scenario(
    name="noop",
    about="A no-op handler: 1,000 keys, 256 in flight, commits on, in key order by those that have one.",
    unit="records/s",
    candidates=[OURS, SAME_SETTINGS, AT_DEFAULTS, AIOKAFKA, AIOKAFKA_FAST, PYRALLEL, JAVA],
    comparisons=[
        Comparison(of=OURS.name, to=SAME_SETTINGS.name, ratio_min=0.5),
        Comparison(of=OURS.name, to=AT_DEFAULTS.name, ratio_min=2.5),
        Comparison(of=OURS.name, to=PYRALLEL.name, ratio_min=80),
        Comparison(of=OURS.name, to=JAVA.name, ratio_min=10),
        Comparison(of=OURS.name, to=AIOKAFKA.name, ratio_min=3),
        Comparison(of=OURS.name, to=AIOKAFKA_FAST.name),
    ],
    records=1_000_000,
    records_embedded=400_000,
    plot="bars",
)
