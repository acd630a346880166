"""What a record costs against the number of partitions, which are all looked at for limits and commits."""

from __future__ import annotations

from .scaling import point, scenario

PARTITIONS = (1, 10, 100, 1_000)
SMALL_BATCH = 400
"""Records that a client hands out at once where it keeps up with the producers."""

SCENARIO = scenario(
    "scale_partitions",
    "Cost of a record against the number of partitions (no-op handler, no broker).",
    [
        *(point("full batches", number, partitions=number) for number in PARTITIONS),
        *(point(f"batches of {SMALL_BATCH}", number, partitions=number, batch=SMALL_BATCH) for number in PARTITIONS),
    ],
    records=300_000,
)
