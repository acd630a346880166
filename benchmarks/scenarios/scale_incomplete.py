"""What a record costs against the number of incomplete offsets that stuck lanes hold below it."""

from __future__ import annotations

from .scaling import point, scenario

INCOMPLETE = (0, 1_000, 10_000, 100_000)

SCENARIO = scenario(
    "scale_incomplete",
    "Cost of a record against the incomplete offsets that a stuck lane in each of 12 partitions holds (no-op handler, "
    "no broker).",
    [
        *(point("in a row", number, held=number) for number in INCOMPLETE),
        *(point("every second offset at random", number, held=number, scattered=True) for number in INCOMPLETE),
    ],
    records=400_000,
)
