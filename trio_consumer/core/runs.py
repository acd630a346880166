"""Runs: the records that one worker handles, one after the other, and what follows from how each handler ended.

A run is a generator. What it yields is in flight until it is asked for the next record, which says that the handler has
returned; where the handler did not, the worker closes the generator and calls `failed` or `cancelled`. There are two
kinds. One goes through a tenure's fresh records, claims the lane of each as it is reached, and puts those aside whose
lane is taken: a lane object exists only where somebody waits behind another record. The other goes through such a lane.

Invariants:

- A run has one record in flight as long as it is in `Tenure.runs`. Its lane is marked as taken before any other run
  looks: by the next run that goes on, which it can only while the handler of this one waits. So handlers that never
  wait mark nothing.
- No record starts while the tenure is not open, and no outcome of an ended tenure counts.
- A lane that another record waits in is offered when its handler has left, and the run that did it ends, so that the
  worker looks for the oldest head again and wakes others for the rest.
- A run is short where handlers wait, so that the other partitions get their turns.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Hashable
from typing import TYPE_CHECKING

from ..config import Order
from ..errors import HandlerFailed
from ..record import Record
from .lanes import RUN_RECORDS_MAX, RUN_WAITS_MAX, Lane
from .retries import Decision, decide
from .tenures import Run, Tenure, TenureState

if TYPE_CHECKING:
    from .engine import Core

log = logging.getLogger("trio_consumer")


def take(core: Core, run: Run) -> Generator[Record] | None:
    """Start a run with the oldest head of the tenure whose turn it is; ``None`` if nothing is ready."""
    tenure = core.scheduler.turn()
    if tenure is None:
        return None
    if core.active is not run:
        _switch(core, run)
    tenure.runs[run] = None
    run.tenure = tenure
    lane = core.scheduler.pick(tenure)
    return _through_fresh(core, run, tenure) if lane is None else _through_lane(core, run, tenure, lane)


def _switch(core: Core, run: Run) -> None:
    """Another run is about to look at lanes: the handler of the one before waits, so its lane is marked as taken."""
    before = core.active
    if before is not None and before.record is not None and before.tenure.state is not TenureState.ENDED:
        before.tenure.lanes.setdefault(before.key, before)
    core.active = run


def _through_fresh(core: Core, run: Run, tenure: Tenure) -> Generator[Record]:
    fresh, lanes, complete = tenure.fresh, tenure.lanes, tenure.ledger.complete
    keyed, stuck, ring = core.config.order is Order.KEY, bool(core.overdue), core.scheduler.ring
    resolved = waits = 0
    try:
        while fresh and resolved < RUN_RECORDS_MAX and waits < RUN_WAITS_MAX:
            record = fresh.popleft()
            key = record.key
            if key is None or not keyed:
                key = _lane_key(core, tenure, record)
            if (lanes and key in lanes) or (stuck and core.blocked(tenure.partition, key)):
                _wait_behind(tenure, key, record)
                continue
            run.key, run.record = key, record
            yield record
            if core.active is not run:
                _switch(core, run)
                waits += len(ring) > 1
            if not tenure.open:
                resolved += _resolve(core, run, record)
                return
            complete(record.offset)
            run.resolved = resolved = resolved + 1
            if not tenure.dirty:  # the run may last: what it has done so far can be committed
                core.commits.touch(tenure)
            if tenure.throttled:
                core.on_relief()
            if lanes and (found := lanes.get(key)) is not None:
                if found is not run:
                    core.free(tenure, key)
                    return
                del lanes[key]
    finally:
        _leave(core, run, resolved)


def _through_lane(core: Core, run: Run, tenure: Tenure, lane: Lane) -> Generator[Record]:
    # What follows a handler is written out in both loops: a call for each record would cost what they save.
    records, complete, ring = lane.records, tenure.ledger.complete, core.scheduler.ring
    run.key = lane.key
    resolved = waits = 0
    try:
        while records and resolved < RUN_RECORDS_MAX and waits < RUN_WAITS_MAX:
            run.record = record = records.popleft()
            yield record
            if core.active is not run:
                waits += len(ring) > 1
            if not tenure.open:
                resolved += _resolve(core, run, record)
                return
            complete(record.offset)
            run.resolved = resolved = resolved + 1
            if not tenure.dirty:
                core.commits.touch(tenure)
            if tenure.throttled:
                core.on_relief()
        core.free(tenure, lane.key)
    finally:
        _leave(core, run, resolved)


def _lane_key(core: Core, tenure: Tenure, record: Record) -> Hashable:
    """The key of a record's lane. A record without order has a lane of its own, and so has one whose lane function
    raises, or names what can't be hashed: each attempt fails with that exception."""
    order = core.config.order
    if not isinstance(order, Order):
        try:
            key = order(record)
            hash(key)
        except Exception as error:
            tenure.broken[record.offset] = error
            return record
    elif order is Order.UNORDERED:
        return record
    else:
        key = None if order is Order.PARTITION else record.key
    serial = key is not None or order is Order.PARTITION or core.config.null_key == "partition"
    return key if serial else record


def _wait_behind(tenure: Tenure, key: Hashable, record: Record) -> None:
    found = tenure.lanes.get(key)
    if isinstance(found, Lane):
        found.records.append(record)
        return
    tenure.lanes[key] = lane = Lane(key, tenure, (record,))
    lane.running = True


def _leave(core: Core, run: Run, resolved: int) -> None:
    """The run is over, however its last record ended."""
    core.handled += resolved
    core.commits.resolved += resolved
    run.record, run.resolved = None, 0
    del run.tenure.runs[run]
    core.overdue.pop(run, None)


def _resolve(core: Core, run: Run, record: Record) -> int:
    """A handler has returned while no other may start. Returns how many records that resolved."""
    tenure = run.tenure
    if tenure.state is TenureState.ENDED:
        core.overdue.pop(run, None)
        core.unblock(tenure.partition, run.key)
        return 0
    tenure.ledger.complete(record.offset)
    core.commits.touch(tenure)
    core.free(tenure, run.key)
    return 1


def cancelled(core: Core, run: Run, record: Record) -> None:
    """The run ended because the attempt at this record was cancelled, which is neither success nor failure."""
    tenure = run.tenure
    core.cancelled_attempts += 1
    if tenure.state is TenureState.ENDED:
        core.unblock(tenure.partition, run.key)
        return
    _held_lane(tenure, run.key).records.appendleft(record)
    core.free(tenure, run.key)


def failed(core: Core, run: Run, record: Record, error: BaseException, now: float) -> Decision | None:
    """The run ended with a failed attempt at this record.

    Returns what was decided, or ``None`` where the tenure has ended and the outcome counts for nothing.
    """
    tenure = run.tenure
    core.failed_attempts += 1
    if tenure.state is TenureState.ENDED:
        core.unblock(tenure.partition, run.key)
        return None
    decision = decide(record.attempt, core.config.attempts, core.config.exhausted)
    if decision is Decision.SKIP:
        log.warning("%s@%d skipped after %d attempts", tenure.partition, record.offset, record.attempt, exc_info=error)
        tenure.ledger.complete(record.offset)
        tenure.broken.pop(record.offset, None)
        core.skipped += 1
        core.commits.resolved += 1
        core.commits.touch(tenure)
        core.free(tenure, run.key)
        return decision
    if decision is Decision.HALT:
        failure = HandlerFailed(tenure.partition, record.offset, record.attempt, error)
        failure.__cause__ = error
        core.failures.append(failure)
        due = float("inf")  # not before a restart
    else:
        due = now + core.config.backoff.delay(record.attempt, core.rng)
    lane = _held_lane(tenure, run.key)
    lane.records.appendleft(_again(record))
    core.park(lane, due)
    return decision


def _held_lane(tenure: Tenure, key: Hashable) -> Lane:
    """The lane that a run has taken, as an object."""
    found = tenure.lanes.get(key)
    if not isinstance(found, Lane):
        tenure.lanes[key] = found = Lane(key, tenure)
        found.running = True
    return found


def _again(record: Record) -> Record:
    """The same for its next attempt."""
    return Record(
        record.topic, record.partition, record.offset, record.key, record.value,
        record.headers, record.timestamp, record.attempt + 1,
    )  # fmt: skip
