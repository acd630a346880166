"""Handlers that wait: how near the consumer comes to Trio itself."""

from __future__ import annotations

from ..model import Candidate, Comparison, Scenario, Workload

OPTIONS = {"concurrency": 1_000, "seconds": 0.005}
WORKLOAD = Workload(keys=1_000)

OURS = Candidate(
    name="trio_consumer",
    about="handler that sleeps 5 ms, key order, 1,000 in flight, commits and offset map",
    entry="candidates.ours:sleep",
    workload=WORKLOAD,
    options=OPTIONS,
    commits=True,
)
TASKS = Candidate(
    name="bare Trio tasks",
    about="1,000 tasks that sleep 5 ms in a loop, no Kafka",
    entry="candidates.bare:sleeping_tasks",
    workload=WORKLOAD,
    options=OPTIONS,
)

SCENARIO = Scenario(
    name="sleep",
    about="Our consumer with a handler that sleeps 5 ms, 1,000 in flight, beside as many Trio tasks that only sleep.",
    unit="records/s",
    candidates=[OURS, TASKS],
    comparisons=[Comparison(of=OURS.name, to=TASKS.name, ratio_min=0.7)],
    records=200_000,
    records_embedded=200_000,
)
