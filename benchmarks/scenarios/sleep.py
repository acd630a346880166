"""Handlers that wait: how near a consumer comes to Trio itself."""

from __future__ import annotations

from ..model import Comparison, Scenario, Workload
from . import lineup

HANDLER = {"kind": "sleep", "seconds": 0.005}
WORKLOAD = Workload()

OURS = lineup.ours(HANDLER, WORKLOAD, concurrency=1_000)
TASKS = lineup.tasks(HANDLER, WORKLOAD, concurrency=1_000)
JAVA = lineup.java(HANDLER, WORKLOAD, concurrency=1_000, share=1.0)

SCENARIO = Scenario(
    name="sleep",
    about="A handler that sleeps 5 ms: 1,000 keys in key order, 1,000 in flight, commits on.",
    unit="records/s",
    candidates=[OURS, TASKS, JAVA],
    comparisons=[
        Comparison(of=OURS.name, to=TASKS.name, ratio_min=0.85),
        Comparison(of=OURS.name, to=JAVA.name, ratio_min=1.4),
    ],
    records=200_000,
    records_embedded=200_000,
    plot="bars",
)
