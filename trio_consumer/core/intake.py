"""Fetched records on their way in: which of them count, and what they tell about the log.

It keeps to the order of the batch and skips what an offset map says is complete. Which lane a record belongs to is
asked when its turn comes (`runs`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice, pairwise
from operator import attrgetter
from typing import TYPE_CHECKING

from ..client.port import Records
from ..record import Partition, Record
from .ledger import OffsetsRewound
from .tenures import Tenure, TenureState

if TYPE_CHECKING:
    from .engine import Core

ARRIVALS_MAX = 1_024
"""Batches of a tenure whose time of arrival is kept."""

_number, _coordinates = attrgetter("partition"), attrgetter("topic", "partition")
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
    one_topic = len({partition.topic for partition in event.positions}) == 1
    for _, group in groupby(event.records, _number if one_topic else _coordinates):
        batch = list(group)
        yield Partition(batch[0].topic, batch[0].partition), batch


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
    core.unsettled[tenure.partition] = tenure
    _note_arrival(tenure, offsets[-1], now)
    tenure.largest = max(tenure.largest, bytes_max or _longest(map(_key, batch)) + _longest(map(_value, batch)))
    tenure.fresh.extend(batch)
    core.scheduler.list(tenure)


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
