"""What a record costs against the number of keys: from lanes that always have more records to lanes of one."""

from __future__ import annotations

from .scaling import point, scenario

KEYS = (10, 100, 1_000, 10_000, 100_000, 1_000_000)

SCENARIO = scenario(
    "scale_keys",
    "Cost of a record against the number of keys, which take turns (no-op handler, no broker).",
    # As many records as there are keys at the end; the others need fewer.
    [point("trio_consumer", keys, keys=keys, share=1.0 if keys == KEYS[-1] else 0.3) for keys in KEYS],
    records=1_000_000,
)
