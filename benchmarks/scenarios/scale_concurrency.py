"""What a record costs against the number of handlers in flight, beside as many bare Trio tasks."""

from __future__ import annotations

from .scaling import point, scenario

CONCURRENCY = (1, 10, 100, 1_000, 10_000)

SCENARIO = scenario(
    "scale_concurrency",
    "Cost of a record against the number of handlers that may be in flight (no broker).",
    [
        *(point("no-op", number, concurrency=number) for number in CONCURRENCY),
        *(point("one checkpoint", number, concurrency=number, handler="checkpoint") for number in CONCURRENCY),
        *(
            point(
                "bare Trio tasks, one checkpoint",
                number,
                concurrency=number,
                handler="checkpoint",
                entry="candidates.scale:tasks",
            )
            for number in CONCURRENCY
        ),
    ],
    records=300_000,
)
