"""How much may wait, and which partitions to fetch from.

Every limit is a fullness: 1.0 is the limit. A partition's intake stops when one of its own limits or one of the totals
is reached, and starts again when all of them are down to `RESUME`. A partition that nothing else holds back is stopped
by a stuck lane only at its own limit.

Totals of records hold at every instant: two fetched batches may still be on their way when the intake stops, and are
reserved. A partition's share and bytes may be exceeded by what is on its way.

Records that wait for a retry have limits of the same size of their own, so that failures cannot hold back fresh
records.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from ..record import Partition
from .tenures import Tenure

RESUME = 0.7
"""Part of a limit below which a stopped intake starts again."""
MAP_SHARE = 0.75
"""Part of the offset map's limit at which the intake of its partition stops."""
BATCH_RECORDS_MAX = 4_000
"""Records of one fetched batch. Larger batches cost fewer changes between the two threads, and more latency."""


@attrs.frozen(kw_only=True)
class Limits:
    """The limits of `ConsumerConfig` that concern the intake."""

    records: int
    records_per_partition: int
    bytes: int
    bytes_per_partition: int

    @property
    def batch(self) -> int:
        """Records to ask the client for at once."""
        return max(1, min(BATCH_RECORDS_MAX, self.records // 8, self.records_per_partition))

    @property
    def records_reserved(self) -> int:
        """What may be queued before the intake stops: the limit less two batches on their way."""
        return max(1, self.records - 2 * self.batch + 1)


def bytes_queued(tenure: Tenure, limit: int) -> int:
    """An upper bound of the bytes that wait, exact where the bound would pass the limit."""
    bound = tenure.queued * tenure.largest
    return bound if bound < limit else tenure.queued_bytes()


def fullness_of(tenure: Tenure, limits: Limits, map_characters_max: int) -> float:
    """How full the fullest of a partition's own limits is; 1.0 is full."""
    full = max(tenure.queued, len(tenure.retrying)) / limits.records_per_partition
    full = max(full, bytes_queued(tenure, limits.bytes_per_partition) / limits.bytes_per_partition)
    if map_characters_max:
        full = max(full, tenure.ledger.map_characters(map_characters_max) / (map_characters_max * MAP_SHARE))
    return full


def fullness_total(tenures: Iterable[Tenure], limits: Limits) -> float:
    """How full the fullest of the totals is; 1.0 is full."""
    queued = retrying = size = 0
    for tenure in tenures:
        queued += tenure.queued
        retrying += len(tenure.retrying)
        size += bytes_queued(tenure, limits.bytes_per_partition)
    return max(max(queued, retrying) / limits.records_reserved, size / limits.bytes)


def throttle(tenures: Mapping[Partition, Tenure], limits: Limits, map_characters_max: int, *, full: bool) -> bool:
    """Sets `Tenure.throttled` of each; returns whether a total is full, given whether it was."""
    total = fullness_total(tenures.values(), limits)
    full = total > RESUME if full else total >= 1
    for tenure in tenures.values():
        own = fullness_of(tenure, limits, map_characters_max)
        tenure.throttled = full or (own > RESUME if tenure.throttled else own >= 1)
    return full
