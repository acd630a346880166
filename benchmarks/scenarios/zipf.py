"""What key order costs when few keys have most of the records: as much as the hottest key's records take in a row.

That is what the distribution allows, so it is reported beside what was reached. No sleep of a Trio program ends in time
to the millisecond, with any order; see `sweep`.
"""

from __future__ import annotations

from ..model import Comparison, Scenario, Workload
from . import bounded

WORKLOAD = Workload(keys=1_000, partitions=24, distribution="zipf")
HANDLER = {"kind": "sleep", "seconds": 0.01}
CONCURRENCY = 24

KEY = bounded.ours(HANDLER, WORKLOAD, concurrency=CONCURRENCY, name="KEY")
UNORDERED = bounded.ours(HANDLER, WORKLOAD, concurrency=CONCURRENCY, name="UNORDERED", order="unordered")
KEY_BOUND, UNORDERED_BOUND = bounded.bound_of(KEY), bounded.bound_of(UNORDERED)

SCENARIO = Scenario(
    name="zipf",
    about="1,000 keys with a Zipf distribution, a handler that sleeps 10 ms, 24 in flight: in key order, and without.",
    unit="records/s",
    candidates=[KEY, UNORDERED, KEY_BOUND, UNORDERED_BOUND],
    comparisons=[
        Comparison(of=KEY.name, to=UNORDERED.name, about="KEY ÷ UNORDERED"),
        Comparison(of=KEY_BOUND.name, to=UNORDERED_BOUND.name, about="KEY ÷ UNORDERED, as the distribution allows"),
        Comparison(of=KEY.name, to=KEY_BOUND.name, about="KEY ÷ its bound"),
        Comparison(of=UNORDERED.name, to=UNORDERED_BOUND.name, about="UNORDERED ÷ its bound"),
    ],
    records=12_000,
    records_embedded=12_000,
    plot="bars",
)
