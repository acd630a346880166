"""The core: all state of a consumer, and every decision about it.

Tasks call it synchronously, and no call spans an await, so it needs no lock. It does no I/O, reads no clock and draws
no randomness: times and a `random.Random` are arguments. It composes the other modules of this package:

- `intake` takes in what was fetched; `lanes` says which record runs next; `runs` hands them out, one by one, and enters
  how their handlers ended;
- `ledger` and `commits` say what may be committed; `backpressure` says what to fetch;
- `retries` says what follows a failed attempt.

What the shell has to do about a change it reads from `Core.begun`, `Core.ended` and `Core.failures`.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Collection, Generator, Hashable, Iterable
from heapq import heappop, heappush

from ..client.port import Assigned, Committed, Records
from ..config import ConsumerConfig
from ..errors import HandlerFailed
from ..record import Partition, Record
from . import backpressure, intake, runs
from .commits import Commits
from .lanes import Lane, Scheduler
from .ledger import Ledger
from .offset_map import UnreadableMap, decode
from .retries import Decision
from .tenures import Run, Tenure, TenureState

log = logging.getLogger("trio_consumer")


class Core:
    """See the module.

    Attributes:
        tenures: The tenures that hold a partition now, `TenureState.ACTIVE` or `TenureState.CLOSING`.
        active: The run that looked at lanes last. Its own need not be marked: nobody has looked since.
        unsettled: Those of them that `flow` looks at: all that have incomplete offsets, and maybe others. The rest
            can't be full, so for them nothing changes but what changes for all.
        overdue: Runs of ended tenures whose handlers have not left yet, with their tenure.
        begun: Tenures that began since the shell last emptied the list.
        ended: Tenures that ended since the shell last emptied the list.
        failures: Records that are exhausted and halt the consumer.
        on_relief: Called when the queue of a throttled tenure became shorter.
        seeks: Where the client must fetch next; until it does, what comes of these partitions is dropped.
    """

    def __init__(self, config: ConsumerConfig, rng: random.Random) -> None:
        self.config = config
        self.rng = rng
        self.limits = backpressure.Limits(
            records=config.queued_records_max,
            records_per_partition=config.queued_records_max_per_partition,
            bytes=config.queued_bytes_max,
            bytes_per_partition=config.queued_bytes_max_per_partition,
        )
        self.scheduler = Scheduler()
        self.commits = Commits(config.commit_interval, config.commit_count, config.offset_map_characters_max)
        self.tenures: dict[Partition, Tenure] = {}
        self.unsettled: dict[Partition, Tenure] = {}
        self.active: Run | None = None
        self.overdue: dict[Run, Tenure] = {}
        self.begun: list[Tenure] = []
        self.ended: list[Tenure] = []
        self.failures: list[HandlerFailed] = []
        self.on_relief: Callable[[], object] = _nobody
        self.seeks: dict[Partition, int] = {}
        self.fetch_paused: set[Partition] = set()
        # Paused before their tenure began: the client keeps that, unless the pause came when it had just lost them.
        self._pause_doubtful: set[Partition] = set()
        self.full = False
        self._taken_in = 0  # records since `flow` looked
        self._taken_in_bytes = 0  # an upper bound
        self.stopping = False
        self.user_pause = UserPause()
        # What concerned all partitions when `flow` last looked; None if a tenure has begun since.
        self._settled_under: tuple[bool, bool, int] | None = None
        self._numbers = 0
        self._parked: list[tuple[float, int, Lane]] = []
        self._parkings = 0
        self.handled = 0
        self.skipped = 0
        self.restored = 0
        self.failed_attempts = 0
        self.cancelled_attempts = 0
        self.lost = 0
        self.maps_refused = 0

    # Tenures

    @property
    def tenures_begun(self) -> int:
        return self._numbers

    def assigned(self, event: Assigned) -> None:
        """A tenure of each of these partitions begins."""
        for partition, committed in event.partitions.items():
            if partition in self.tenures:
                log.warning("%s was assigned twice without a revoke; what ran of it runs again", partition)
                self.end(self.tenures[partition], lost=True)
            self.begin(partition, committed)

    def begin(self, partition: Partition, committed: Committed) -> Tenure:
        """Start a tenure from what the broker holds."""
        self._numbers += 1
        restored: tuple[tuple[int, int], ...] = ()
        if committed.error is not None:
            self._refuse_map(partition, committed.error)
        elif committed.offset is not None and committed.metadata:
            try:
                restored = decode(committed.metadata, committed.offset)
            except UnreadableMap as error:
                self._refuse_map(partition, str(error))
        tenure = Tenure(partition, self._numbers, Ledger(restored, start=committed.offset))
        # Not taken for acknowledged: a commit of an earlier tenure may still be on its way, and land after this was
        # read.
        tenure.committed = committed.offset
        tenure.held = self.config.tenure_start is not None
        self.tenures[partition] = tenure
        if partition in self.fetch_paused:
            self._pause_doubtful.add(partition)
        self.begun.append(tenure)
        self._settled_under = None
        self.reopen(tenure)
        return tenure

    def _refuse_map(self, partition: Partition, reason: str) -> None:
        self.maps_refused += 1
        log.warning(
            "%s: the offset map in its commit can't be used, records may be handled again: %s", partition, reason
        )

    def distrust(self, tenure: Tenure, reason: str) -> None:
        """What an offset map said about this partition cannot be true: replay."""
        tenure.ledger.distrust()
        self._refuse_map(tenure.partition, reason)

    def rewound(self, tenure: Tenure, offset: int) -> Tenure:
        """The log went back under us (truncated, or reset), to this offset or below: end the tenure and start over.

        What was fetched and is not done has gone with the tenure, so the client must fetch again from the lowest of it:
        see `seeks`. Nobody tells how far the log went back, so nothing above counts as done.
        """
        log.warning("%s: its offsets went back; what follows is handled again", tenure.partition)
        committable = tenure.ledger.committable
        self.end(tenure, lost=True)
        if committable is None or committable >= offset:
            return self.begin(tenure.partition, Committed())
        fresh = self.begin(tenure.partition, Committed(committable))
        fresh.committed = tenure.committed
        self.seeks[fresh.partition] = committable
        return fresh

    def close(self, partitions: Iterable[Partition]) -> list[Tenure]:
        """A revoke begins: from now on no handler of these tenures starts. Returns those that there are."""
        tenures = [self.tenures[partition] for partition in partitions if partition in self.tenures]
        for tenure in tenures:
            tenure.state = TenureState.CLOSING
            tenure.open = False
        return tenures

    def end(self, tenure: Tenure, *, lost: bool = False) -> None:
        """The tenure is over: no outcome of it counts any more. Handlers that still run are cancelled.

        Their lanes stay blocked for the next tenure of the partition, so that no key runs twice at once.
        """
        if tenure.state is TenureState.ENDED:
            return
        tenure.state = TenureState.ENDED
        tenure.open = False
        self.lost += lost
        self.commits.forget(tenure)
        for run in tenure.runs:
            self.overdue[run] = tenure
            run.cancel()
        tenure.lanes.clear()
        tenure.fresh.clear()
        tenure.ready.clear()
        tenure.retrying.clear()
        del self.tenures[tenure.partition]
        self.unsettled.pop(tenure.partition, None)
        self.seeks.pop(tenure.partition, None)
        self.ended.append(tenure)

    def reopen(self, tenure: Tenure) -> None:
        """Let handlers of the tenure start, or not, as its state says."""
        tenure.open = not (
            tenure.state is not TenureState.ACTIVE
            or tenure.held
            or self.stopping
            or self.user_pause.covers(tenure.partition)
        )
        self.scheduler.list(tenure)

    def reopen_all(self) -> None:
        for tenure in self.tenures.values():
            self.reopen(tenure)

    def stop(self) -> None:
        """No handler starts any more; those that run go on."""
        self.stopping = True
        self.reopen_all()

    @property
    def running(self) -> list[Run]:
        """All runs in progress, those of ended tenures included."""
        return [*self.overdue, *(run for tenure in self.tenures.values() for run in tenure.runs)]

    # Records in, runs out

    def records(self, event: Records, now: float) -> None:
        """Fetched records and positions."""
        intake.receive(self, event, now)
        self._taken_in += len(event.records)
        self._taken_in_bytes += len(event.records) * (event.bytes_max or self.limits.bytes)

    def take(self, run: Run) -> Generator[Record] | None:
        """The records of a run, one by one, that begins with the oldest one whose turn it is; ``None`` if none is
        ready. To ask for the next says that the handler of the one before has returned. Where it has not, close the
        generator and call `failed` or `cancelled`."""
        return runs.take(self, run)

    def failed(self, run: Run, record: Record, error: BaseException, now: float) -> Decision | None:
        """The run ended with a failed attempt at this record. ``None``: its tenure has ended, and the outcome counts
        for nothing."""
        return runs.failed(self, run, record, error, now)

    def cancelled(self, run: Run, record: Record) -> None:
        """The run ended because the attempt at this record was cancelled, which is neither success nor failure."""
        runs.cancelled(self, run, record)

    def blocked(self, partition: Partition, key: Hashable) -> bool:
        """True while a handler of an earlier tenure still runs this lane. Records without order wait for nobody."""
        if isinstance(key, Record):
            return False
        return any(tenure.partition == partition and run.key == key for run, tenure in self.overdue.items())

    def unblock(self, partition: Partition, key: Hashable) -> None:
        """A handler of an ended tenure has left: its lane is free for the tenure of today."""
        tenure = self.tenures.get(partition)
        waiting = None if tenure is None else tenure.lanes.get(key)
        if isinstance(waiting, Lane) and not isinstance(key, Record) and not self.blocked(partition, key):
            waiting.running = False
            self.scheduler.offer(waiting)

    def free(self, tenure: Tenure, key: Hashable) -> None:
        """A run has left this lane: it is ready if it has more, and forgotten if it has none."""
        lane = tenure.lanes.get(key)
        if isinstance(lane, Lane) and lane.records:
            lane.running = False
            self.scheduler.offer(lane)
        else:
            tenure.lanes.pop(key, None)

    def park(self, lane: Lane, due: float) -> None:
        """Set the lane aside until its head may be tried again; the worker goes on with others."""
        lane.running = True
        lane.tenure.retrying[lane] = None
        self._parkings += 1
        heappush(self._parked, (due, self._parkings, lane))

    def raise_if_broken(self, record: Record) -> None:
        """Raises what the lane function raised for this record, if it did."""
        tenure = self.tenures.get(Partition(record.topic, record.partition))
        error = None if tenure is None else tenure.broken.get(record.offset)
        if error is not None:
            raise error

    def retry_due_at(self) -> float | None:
        """When the next parked lane may be tried again."""
        while self._parked and self._parked[0][2].tenure.state is TenureState.ENDED:
            heappop(self._parked)
        return self._parked[0][0] if self._parked else None

    def unpark(self, now: float) -> None:
        """Make the parked lanes ready whose time has come."""
        while self._parked and self._parked[0][0] <= now:
            lane = heappop(self._parked)[2]
            if lane in lane.tenure.retrying:
                lane.running = False
                self.scheduler.offer(lane)

    # Fetching

    @property
    def flow_is_due(self) -> bool:
        """False if little was taken in since `flow` looked, nothing is paused, and no tenure has begun and the user has
        not changed anything meanwhile."""
        return (
            self._settled_under != (self.full, self.stopping, self.user_pause.version)
            or bool(self.fetch_paused)
            or self._taken_in > self.limits.unchecked
            or self._taken_in_bytes > self.limits.unchecked_bytes
        )

    def flow(self) -> tuple[list[Partition], list[Partition]]:
        """Which partitions to pause and which to resume, to follow the limits and the user's wish."""
        self._taken_in = self._taken_in_bytes = 0
        map_max = self.commits.map_characters_max
        self.full = backpressure.throttle(self.unsettled, self.limits, map_max, full=self.full)
        if self._settled_under != (under := (self.full, self.stopping, self.user_pause.version)):
            self._settled_under = under
            for tenure in self.tenures.values():
                if tenure.partition not in self.unsettled:
                    tenure.throttled = self.full
            self.unsettled = dict(self.tenures)
        pause: list[Partition] = []
        resume: list[Partition] = []
        for partition, tenure in self.unsettled.items():
            wanted = tenure.throttled or self.stopping or self.user_pause.covers(partition)
            paused = partition in self.fetch_paused
            if wanted and (not paused or partition in self._pause_doubtful):
                pause.append(partition)
            elif not wanted and paused:
                resume.append(partition)
        self._pause_doubtful.clear()
        self.fetch_paused.update(pause)
        self.fetch_paused.difference_update(resume)
        for tenure in tuple(self.unsettled.values()):
            if not tenure.ledger.incomplete_count:
                del self.unsettled[tenure.partition]
        return pause, resume

    def queued(self) -> int:
        """Records that wait for a handler."""
        return sum([tenure.queued for tenure in self.unsettled.values()])


def _nobody() -> None:
    """Nobody waits."""


class UserPause:
    """What the user paused: some partitions, or all but some.

    Attributes:
        version: Differs after every change.
    """

    __slots__ = ("_all", "_named", "version")

    def __init__(self) -> None:
        self.version = 0
        self._all = False
        self._named: set[Partition] = set()

    def covers(self, partition: Partition) -> bool:
        return (partition in self._named) is not self._all

    def pause(self, partitions: Collection[Partition] | None) -> None:
        self._set(partitions, paused=True)

    def resume(self, partitions: Collection[Partition] | None) -> None:
        self._set(partitions, paused=False)

    def _set(self, partitions: Collection[Partition] | None, *, paused: bool) -> None:
        self.version += 1
        if partitions is None:
            self._all, self._named = paused, set()
        elif paused is self._all:
            self._named.difference_update(partitions)
        else:
            self._named.update(partitions)
