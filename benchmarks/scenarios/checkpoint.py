"""Handlers that give way once: what a handler costs that really is asynchronous."""

from __future__ import annotations

from ..model import Comparison, Scenario
from . import lineup
from .bare import SAME_SETTINGS, WORKLOAD

OURS = lineup.ours({"kind": "checkpoint"}, WORKLOAD)

SCENARIO = Scenario(
    name="checkpoint",
    about="A handler of one checkpoint: 1,000 keys in key order, 256 in flight, commits on.",
    unit="records/s",
    candidates=[OURS, SAME_SETTINGS],
    comparisons=[Comparison(of=OURS.name, to=SAME_SETTINGS.name, ratio_min=0.2)],
    records=1_000_000,
    records_embedded=400_000,
    plot="bars",
)
