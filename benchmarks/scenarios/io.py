"""Handlers that ask another process and wait for its answer, over real sockets."""

from __future__ import annotations

from ..model import Comparison, Scenario, Workload
from . import lineup

HANDLER = {"kind": "io", "bytes": 100}
WORKLOAD = Workload()

OURS = lineup.ours(HANDLER, WORKLOAD, concurrency=64)
TASKS = lineup.tasks(HANDLER, WORKLOAD, concurrency=64)

SCENARIO = Scenario(
    name="io",
    about="A handler that sends 100 bytes to another process and waits for them: 1,000 keys, 64 in flight.",
    unit="records/s",
    candidates=[OURS, TASKS],
    comparisons=[Comparison(of=OURS.name, to=TASKS.name)],
    records=50_000,
    records_embedded=50_000,
    plot="bars",
)
