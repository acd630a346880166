"""`Statistics` from the state of the core: derived at the moment of asking, never counted along."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from ..config import Order
from ..record import Partition, Record
from ..statistics import Blocking, PartitionStatistics, Statistics
from .engine import Core
from .lanes import Lane
from .tenures import Tenure


def picture(core: Core, now: float, *, client_errors: Mapping[str, int], revokes_overrun: int) -> Statistics:
    """The consumer at this instant."""
    tenures, running = core.tenures.values(), core.running
    return Statistics(
        partitions={tenure.partition: _of_partition(core, tenure, now) for tenure in tenures},
        queued=core.queued(),
        queued_bytes=sum(tenure.queued_bytes() for tenure in tenures),
        parked=sum(len(tenure.retrying) for tenure in tenures),
        in_flight=len(running),
        handled=core.handled + sum(run.resolved for run in running),
        skipped=core.skipped,
        restored=core.restored,
        failed_attempts=core.failed_attempts,
        cancelled_attempts=core.cancelled_attempts,
        tenures=core.tenures_begun,
        tenures_lost=core.lost,
        commits=core.commits.acknowledged,
        commit_errors=dict(core.commits.errors),
        client_errors=dict(client_errors),
        offset_maps_refused=core.maps_refused,
        offset_maps_cut=core.commits.cut,
        revokes_overrun=revokes_overrun,
    )


def _of_partition(core: Core, tenure: Tenure, now: float) -> PartitionStatistics:
    ledger = tenure.ledger
    lag = None if tenure.end is None or tenure.committed is None else max(0, tenure.end - tenure.committed)
    return PartitionStatistics(
        tenure=tenure.number,
        position=ledger.position,
        committed=tenure.committed,
        committable=ledger.committable,
        end=tenure.end,
        lag=lag,
        incomplete=ledger.incomplete_count,
        completed_ahead=ledger.completed_count,
        gaps=len(ledger.snapshot().completed),
        blocking=_blocking(core, tenure, now),
        queued=tenure.queued,
        parked=len(tenure.retrying),
        in_flight=len(tenure.runs),
        paused=tenure.partition in core.fetch_paused,
        offset_map_characters=tenure.map_characters,
    )


def _blocking(core: Core, tenure: Tenure, now: float) -> Blocking | None:
    head = tenure.ledger.head
    if head is None:
        return None
    since = next((time for last, time in tenure.arrivals if last >= head), now)
    lane, state, attempt = _where(core, tenure, head)
    return Blocking(offset=head, age=max(0.0, now - since), lane=lane, state=state, attempt=attempt)


def _where(core: Core, tenure: Tenure, offset: int) -> tuple[Hashable, str, int]:
    """The lane of an incomplete record, what it waits for, and its attempt."""
    for run in tenure.runs:
        if run.record is not None and run.record.offset == offset:
            return _name(run.key), "in-flight", run.record.attempt
    for lane in tenure.waiting_lanes():
        for record in lane.records:
            if record.offset == offset:
                return _name(lane.key), _waits_for(core, tenure.partition, lane), record.attempt
    fresh = next((record for record in tenure.fresh if record.offset == offset), None)
    if fresh is None or core.config.order is not Order.KEY:
        return None, "queued", 1  # what a lane function says of it is not known before its turn
    return fresh.key, "stuck" if core.blocked(tenure.partition, fresh.key) else "queued", 1


def _name(key: Hashable) -> Hashable:
    """A record without order is the key of its own lane."""
    return None if isinstance(key, Record) else key


def _waits_for(core: Core, partition: Partition, lane: Lane) -> str:
    if lane in lane.tenure.retrying:
        return "parked"
    return "stuck" if lane.running and core.blocked(partition, lane.key) else "queued"
