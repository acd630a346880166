"""Points of curves: what our consumer costs for each record, against something that should make no difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..model import Candidate, Scenario, Workload

FLAT_MAX = 1.3
"""The dearest point of a curve ÷ its cheapest one, at most."""
UNIT = "CPU µs/record"
CONSUME = "candidates.scale:consume"


def point(
    series: str,
    at: int,
    *,
    keys: int | None = None,
    partitions: int = 12,
    concurrency: int = 256,
    handler: str = "noop",
    share: float = 1.0,
    entry: str = CONSUME,
    **options: Any,
) -> Candidate:
    """Our consumer behind a client without a broker.

    Args:
        series: Name of the curve.
        at: Its x.
        keys: See `Workload`; distinct ones by default, so that no lane has two records at a time.
        partitions: See `Workload`.
        concurrency: Handlers in flight.
        handler: Its kind.
        share: See `Candidate`.
        entry: See `Candidate`.
        options: Of `candidates.scale`.
    """
    return Candidate(
        name=f"{series}, {at:,}",
        about="without a broker",
        entry=entry,
        workload=Workload(keys=keys, partitions=partitions),
        options={"handler": {"kind": handler}, "keys": keys, "concurrency": concurrency, **options},
        brokerless=True,
        share=share,
        series=series,
        at=at,
    )


def scenario(name: str, about: str, candidates: Sequence[Candidate], *, records: int) -> Scenario:
    """Of these points. The curves of our consumer should be flat; others are there to be compared with."""
    ours = [one.series for one in candidates if one.entry == CONSUME]
    return Scenario(
        name=name,
        about=about,
        unit=UNIT,
        candidates=candidates,
        records=records,
        records_embedded=records,
        plot="curves",
        flat_max=dict.fromkeys(ours, FLAT_MAX),
    )
