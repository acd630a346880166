"""How many partitions the records are spread over, on the brokers' side too."""

from __future__ import annotations

import attrs

from ..model import Comparison, Scenario, Workload
from . import lineup
from .bare import SAME_SETTINGS

PARTITIONS = (1, 12, 100, 1_000)


def _at(partitions: int) -> Workload:
    return Workload(keys=max(1_000, 2 * partitions), partitions=partitions)


OURS = [
    attrs.evolve(
        lineup.ours(lineup.NOOP, _at(number)), name=f"{number:,} partitions", series="trio_consumer", at=number
    )
    for number in PARTITIONS
]
BARE = [
    attrs.evolve(SAME_SETTINGS, name=f"bare, {number:,}", workload=_at(number), series="bare", at=number)
    for number in PARTITIONS
]

SCENARIO = Scenario(
    name="partitions",
    about="A no-op handler, and a bare loop, with the records in 1 to 1,000 partitions.",
    unit="records/s",
    candidates=[one for pair in zip(OURS, BARE, strict=True) for one in pair],
    comparisons=[Comparison(of=ours.name, to=bare.name) for ours, bare in zip(OURS, BARE, strict=True)],
    records=500_000,
    records_embedded=40_000,
    plot="curves",
)
