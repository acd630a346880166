"""Fetched records into lanes: the part of the core that runs once per record on the way in.

It keeps to the order of the batch, skips what an offset map says is complete, and leaves each lane either ready,
running or parked. A record whose lane function raises gets a lane of its own, where each attempt fails with that
exception.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import groupby, islice, pairwise
from operator import attrgetter
from typing import TYPE_CHECKING

from ..client.port import Records
from ..config import Order
from ..record import Partition, Record
from .lanes import Lane
from .ledger import OffsetsRewound
from .tenures import Tenure, TenureState

if TYPE_CHECKING:
    from .engine import Core

ARRIVALS_MAX = 1_024
"""Batches of a tenure whose time of arrival is kept."""

_coordinates = attrgetter("topic", "partition")
_offset, _key, _value = attrgetter("offset"), attrgetter("key"), attrgetter("value")


def receive(core: Core, event: Records, now: float) -> None:
    """Take in one event of the client.

    A batch that would pass the total limit is dropped and fetched again later. Two batches always fit on top of what
    does not stop the intake, but partitions that are assigned meanwhile bring more.
    """
    tenures = core.tenures
    room = core.limits.records - core.queued()
    for partition, end in event.ends.items():
        if (tenure := tenures.get(partition)) is not None:
            tenure.end = end
    for partition, batch in _by_partition(event):
        tenure = tenures.get(partition)
        # What comes without a tenure is fetched again by the next one, from the committed offset.
        if tenure is None or tenure.state is not TenureState.ACTIVE or partition in core.seeks:
            continue
        if len(batch) > room:
            position = tenure.ledger.position
            core.seeks[partition] = batch[0].offset if position is None else position
            continue
        room -= len(batch)
        _deliver(core, tenure, batch, event.bytes_max, now)
    for partition, position in event.positions.items():
        # The position of a tenure whose records are not taken in would pass what nobody handled.
        tenure = tenures.get(partition)
        if tenure is not None and tenure.state is TenureState.ACTIVE and partition not in core.seeks:
            tenure.ledger.advance(position)
            core.commits.touch(tenure)


def _by_partition(event: Records) -> Iterator[tuple[Partition, Sequence[Record]]]:
    """The batch in stretches of one partition. Most batches are one, which `Records.positions` tells for nothing."""
    if len(event.positions) == 1 and event.records:
        yield next(iter(event.positions)), event.records
        return
    for coordinates, group in groupby(event.records, _coordinates):
        yield Partition(*coordinates), list(group)


def _deliver(core: Core, tenure: Tenure, batch: Sequence[Record], bytes_max: int, now: float) -> None:
    offsets = [record.offset for record in batch]
    _check_map(core, tenure)
    try:
        complete = tenure.ledger.deliver(offsets)
    except OffsetsRewound:
        if (at := _descent(offsets)) is not None:  # the log went back between two fetches of one batch
            _deliver(core, tenure, batch[:at], bytes_max, now)
            if (tenure := core.tenures[tenure.partition]).partition not in core.seeks:
                _deliver(core, tenure, batch[at:], bytes_max, now)
            return
        end, tenure = tenure.end, core.rewound(tenure, min(offsets))
        tenure.end = end
        if tenure.partition in core.seeks:
            return
        complete = tenure.ledger.deliver(offsets)
    if complete:
        core.restored += len(complete)
        known = set(complete)
        batch = [record for record in batch if record.offset not in known]
    _note_arrival(tenure, offsets[-1], now)
    tenure.largest = max(tenure.largest, bytes_max or _longest(map(_key, batch)) + _longest(map(_value, batch)))
    _add(core, tenure, batch)


def _descent(offsets: Sequence[int]) -> int | None:
    """Index of the first offset that is not above the one before."""
    return next((index for index, (before, one) in enumerate(pairwise(offsets), 1) if one <= before), None)


def _note_arrival(tenure: Tenure, last: int, now: float) -> None:
    arrivals, committable = tenure.arrivals, tenure.ledger.committable or 0
    while arrivals and arrivals[0][0] < committable:
        arrivals.popleft()
    if len(arrivals) >= ARRIVALS_MAX:
        # One record has held the rest back for long. Its own batch stays exact; of the others every second one passes
        # for as young as the next.
        tenure.arrivals = arrivals = deque(islice(arrivals, 0, None, 2))
    arrivals.append((last, now))


def _longest(values: Iterable[bytes | None]) -> int:
    return max(map(len, filter(None, values)), default=0)


def _check_map(core: Core, tenure: Tenure) -> None:
    """An offset map that names offsets past the log's end is not of this log."""
    top = tenure.ledger.restored_top
    if top is not None and tenure.end is not None and top > tenure.end:
        core.distrust(tenure, f"it ends at {top}, the log at {tenure.end}")


def _add(core: Core, tenure: Tenure, batch: Sequence[Record]) -> None:
    lanes, order = tenure.lanes, core.config.order
    if not isinstance(order, Order):
        _add_by_function(core, tenure, batch, order)
        return
    keyed = order is Order.KEY
    for record in batch:
        key = record.key if keyed else None
        lane = lanes.get(key)
        if lane is None:
            lane = _new_lane(core, tenure, key)
            lane.records.append(record)
            core.scheduler.offer(lane)
        else:
            lane.records.append(record)
            if not lane.serial:
                core.scheduler.offer(lane)


def _add_by_function(core: Core, tenure: Tenure, batch: Sequence[Record], order: Callable[[Record], Hashable]) -> None:
    for record in batch:
        try:
            key = order(record)
            lane = tenure.lanes.get(key)
        except Exception as error:
            tenure.broken[record.offset] = error
            lane = Lane(None, tenure, serial=True)
        else:
            if lane is None:
                lane = _new_lane(core, tenure, key)
        lane.records.append(record)
        core.scheduler.offer(lane)


def _new_lane(core: Core, tenure: Tenure, key: Hashable) -> Lane:
    serial = (
        key is not None
        or core.config.order is Order.PARTITION
        or (core.config.order is not Order.UNORDERED and core.config.null_key == "partition")
    )
    lane = tenure.lanes[key] = Lane(key, tenure, serial=serial)
    if serial and core.overdue and core.blocked(tenure.partition, key):
        lane.running = True
    return lane
