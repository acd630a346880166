"""Handlers that compute: the consumer may take no more than the rest of one processor."""

from __future__ import annotations

from ..model import Comparison, Scenario, Workload
from . import lineup

HANDLER = {"kind": "cpu", "seconds": 0.0001}
WORKLOAD = Workload()

OURS = lineup.ours(HANDLER, WORKLOAD, concurrency=16)
TASKS = lineup.tasks(HANDLER, WORKLOAD, concurrency=16)
AIOKAFKA = lineup.aiokafka(HANDLER, WORKLOAD, concurrency=16, share=1.0)

SCENARIO = Scenario(
    name="cpu",
    about="A handler that computes for 0.1 ms without giving way: 1,000 keys, 16 in flight.",
    unit="records/s",
    candidates=[OURS, TASKS, AIOKAFKA],
    comparisons=[Comparison(of=OURS.name, to=TASKS.name), Comparison(of=OURS.name, to=AIOKAFKA.name)],
    records=50_000,
    records_embedded=50_000,
    plot="bars",
)
