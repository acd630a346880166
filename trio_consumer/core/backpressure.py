"""How much may wait, and which partitions to fetch from.

Every limit is a fullness: 1.0 is the limit. A partition's intake stops when one of its own limits or one of the totals
is reached, and starts again when all of them are down to `RESUME`. A partition that nothing else holds back is stopped
by a stuck lane only at its own limit.

Totals of records hold at every instant: two fetched batches may still be on their way when the intake stops, and are
reserved. A partition's share and bytes may be exceeded by what is on its way.

Records that are parked for a retry have limits of the same size of their own, so that failures cannot hold back fresh
records. What is queued when such a limit stops the intake may still be parked on top of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

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
    def unchecked(self) -> int:
        """Records that may be taken in before the limits are looked at again, which costs a walk over partitions."""
        return self.batch // 8

    @property
    def unchecked_bytes(self) -> int:
        """The same in bytes."""
        return self.bytes_per_partition // 16

    @property
    def records_reserved(self) -> int:
        """What may be queued before the intake stops: the limit less two batches on their way and what is unchecked."""
        return max(1, self.records - 2 * self.batch - self.unchecked + 1)


def bytes_waiting(tenures: Collection[Tenure], limit: int) -> int:
    """Bytes that are queued, or those that are parked if they are more.

    They are an upper bound, since an exact figure costs a walk; exact where the bound would reach the limit.
    """
    queued = sum(tenure.queued * tenure.largest for tenure in tenures)
    if queued >= limit:
        queued = sum(tenure.queued_bytes() for tenure in tenures)
    parked = sum(len(tenure.retrying) * tenure.largest for tenure in tenures)
    if parked >= limit:
        parked = sum(tenure.parked_bytes() for tenure in tenures)
    return max(queued, parked)


def fullness_of(tenure: Tenure, limits: Limits, map_characters_max: int) -> float:
    """How full the fullest of a partition's own limits is; 1.0 is full."""
    full = max(tenure.queued, len(tenure.retrying)) / limits.records_per_partition
    full = max(full, bytes_waiting((tenure,), limits.bytes_per_partition) / limits.bytes_per_partition)
    # Where nothing is incomplete the map cannot grow; what makes it large lies ahead, and only fetching gets there.
    if map_characters_max and tenure.ledger.incomplete_count:
        full = max(full, tenure.ledger.map_characters(map_characters_max) / (map_characters_max * MAP_SHARE))
    return full


def fullness_total(tenures: Collection[Tenure], limits: Limits) -> float:
    """How full the fullest of the totals is; 1.0 is full."""
    queued = sum(tenure.queued for tenure in tenures)
    retrying = sum(len(tenure.retrying) for tenure in tenures)
    return max(max(queued, retrying) / limits.records_reserved, bytes_waiting(tenures, limits.bytes) / limits.bytes)


def throttle(tenures: Mapping[Partition, Tenure], limits: Limits, map_characters_max: int, *, full: bool) -> bool:
    """Sets `Tenure.throttled` of each; returns whether a total is full, given whether it was."""
    total = fullness_total(tenures.values(), limits)
    full = total > RESUME if full else total >= 1
    for tenure in tenures.values():
        own = fullness_of(tenure, limits, map_characters_max)
        tenure.throttled = full or (own > RESUME if tenure.throttled else own >= 1)
    return full
