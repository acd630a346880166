"""What a record costs against the number of records that wait in their lanes when the first of them is handled."""

from __future__ import annotations

from .scaling import point, scenario

QUEUED = (1_000, 10_000, 100_000)

SCENARIO = scenario(
    "scale_queued",
    "Cost of a record against the number of records that wait in lanes of their own (no-op handler, no broker).",
    [point("trio_consumer", number, wave=number, concurrency=1) for number in QUEUED],
    records=200_000,
)
