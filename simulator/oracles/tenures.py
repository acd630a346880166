"""Processes, their tenures, their handlers' calls and their commits, as the history tells them.

Nothing of the log is known here: a tenure's truth is what its process was given, and what came of it.
"""

from __future__ import annotations

from bisect import bisect_left
from enum import Enum
from itertools import pairwise

from trio_consumer import Partition
from trio_consumer.core.offset_map import contains

from ..world import history as h
from .logs import INFINITY, NEVER, Log
from .pending import Pending, Ranges


class Phase(Enum):
    """Of a tenure, as its process was told."""

    ACTIVE = "active"
    REVOKING = "revoking"
    RELEASED = "released"
    LOST = "lost"
    DEAD = "dead"


class Call:
    """One call of a handler.

    Attributes:
        number: Unique in the world.
        process: Where.
        tenure: The tenure of its start; ``None`` if the process had none.
        log: Of the partition.
        twice: True if the same record was being handled in this tenure already.
        plain: True if it is a first attempt at a record that had come a moment ago, within the limits, and nothing has
            happened to its tenure: nearly every start is.
        ended: When it ended; infinity until then.
        outcome: How it ended; ``""`` until then.
        counted: Once it has ended: whether its outcome still meant something for its tenure.
    """

    __slots__ = (
        "attempt", "began", "counted", "ended", "epoch", "key", "log", "number", "offset", "outcome", "partition",
        "plain", "process", "tenure", "twice",
    )  # fmt: skip

    def __init__(self, event: h.HandlerStarted, process: Process, tenure: Tenure | None, log: Log, now: float) -> None:
        self.number = event.call
        self.process = process
        self.tenure = tenure
        self.epoch = 0 if tenure is None else tenure.epoch
        self.partition = event.partition
        self.offset = event.offset
        self.key = event.key
        self.attempt = event.attempt
        self.log = log
        self.began = now
        self.ended = INFINITY
        self.outcome = ""
        self.counted = False
        self.twice = tenure is not None and event.offset in tenure.flying
        self.plain = False

    @property
    def counts(self) -> bool:
        """Whether its outcome still means something for its tenure."""
        tenure = self.tenure
        if tenure is None or not tenure.held:
            return False
        return self.epoch == tenure.epoch or self.offset < tenure.low

    def __str__(self) -> str:
        return f"{self.partition}@{self.offset}"


class Tenure:
    """One partition in one process, from its assignment to its end.

    Where offsets go back within a tenure (truncated log, reset) it starts over: a new ``epoch``, in which nothing
    counts of what was done from there on. What lies below is still to be handled.

    Attributes:
        number: Of the tenure.
        process: Whose.
        partition: Which.
        phase: How far it is.
        since: When the phase began.
        began: When it was delivered.
        revoked: When its revoke was delivered; the beginning of time if it was not.
        start: The committed offset that came with it; ``None`` if there was none, or it started over.
        restored: What the offset map that came with it says, unless it is of another log.
        doubted: The same, once it may be of another log: believed or not, nobody is to blame.
        trusted: False once it may not be believed for certain.
        position: Next offset to be delivered; ``None`` before anything is known.
        end: Log end, as the client told it; -1 if it did not.
        incomplete: Delivered and not resolved here.
        older: The same, of earlier epochs and below where the tenure started over.
        landed: True once a broker has taken a commit of it before its revoke, so that it was the owner then.
        low: The lowest offset that it started over from; infinity if it never did.
        done: Resolved here, and not known to be covered by a commit that was acknowledged.
        flying: Offsets whose handlers run.
        waiting: Offsets that failed and wait for their next attempt.
        failures: How often each offset has failed.
        bad: Last outcome of what is not resolved, where it was a failure or a cancellation.
        arrivals: Last offset and time of each batch.
        epoch: How often it has started over.
        window: How many values the log had when it can first have been read for this tenure.
        acknowledged: Last commit of it that was acknowledged, else what it began with.
        trouble: True if the newest commit of it that was answered had failed.
        newest: Number of that commit.
        unanswered: Commits of it that are on their way.
    """

    __slots__ = (
        "acknowledged", "arrivals", "bad", "began", "done", "doubted", "end", "epoch", "failures", "flying",
        "incomplete", "landed", "low", "newest", "number", "older", "partition", "phase", "position", "process",
        "restored", "revoked", "since", "start", "trouble", "trusted", "unanswered", "waiting", "window",
    )  # fmt: skip

    def __init__(
        self,
        number: int,
        process: Process,
        partition: Partition,
        committed: tuple[int, str],
        restored: Ranges,
        window: int,
        now: float,
    ) -> None:
        self.number = number
        self.process = process
        self.partition = partition
        self.phase = Phase.ACTIVE
        self.since = self.began = now
        self.revoked = NEVER
        self.window = window
        self.epoch = -1
        self.unanswered = 0
        self.landed = False
        self.low: float = INFINITY
        self.older = Pending()
        self._begin(committed[0] if committed[0] >= 0 else None, restored)

    def _begin(self, start: int | None, restored: Ranges) -> None:
        self.epoch += 1
        self.start = start
        self.restored = restored
        self.doubted: Ranges = ()
        self.trusted = True
        self.position: int | None = None
        self.end = -1
        self.incomplete = Pending()
        self.done: set[int] = set()
        self.flying: set[int] = set()
        self.waiting: set[int] = set()
        self.failures: dict[int, int] = {}
        self.bad: dict[int, str] = {}
        self.arrivals: list[tuple[int, float]] = []
        self.acknowledged: tuple[int | None, Ranges] = (start, restored)
        self.trouble = False
        self.newest = 0

    @property
    def held(self) -> bool:
        """True while the process has it."""
        return self.phase is Phase.ACTIVE or self.phase is Phase.REVOKING

    @property
    def head(self) -> int | None:
        """The lowest offset that was delivered and is not resolved here."""
        head, older = self.incomplete.head, self.older.head
        return head if older is None else older

    @property
    def known(self) -> int | None:
        """No commit may go beyond."""
        return self.start if self.position is None else self.position

    @property
    def queued(self) -> int:
        """Records that wait for their first handler, or for another after a cancellation."""
        return len(self.incomplete) - len(self.flying) - len(self.waiting)

    def move_on(self, phase: Phase, now: float) -> None:
        """It is in this phase from now on."""
        self.phase = phase
        self.since = now

    def deliver(self, offsets: tuple[int, ...], position: int, end: int, now: float) -> None:
        """Records came, or the position moved."""
        if offsets and offsets[-1] - offsets[0] < len(offsets) - 1:  # the log went back between two fetches
            at = next(index for index, (before, one) in enumerate(pairwise(offsets), 1) if one <= before)
            self.deliver(offsets[:at], offsets[at - 1] + 1, end, now)
            offsets = offsets[at:]
        if offsets and self.position is not None and offsets[0] < self.position:
            self._start_over(offsets[0])
        if end >= 0:
            self.end = end
        first = offsets[0] if offsets else position
        if self.position is None and self.start is not None and 0 <= first < self.start:
            self.restored, self.trusted = (), False  # the client starts below the committed offset: replay
        if offsets:
            self.arrivals.append((offsets[-1], now))
            position = max(position, offsets[-1] + 1)
            if self.restored or self.doubted:
                offsets = self._less_restored(offsets)
            self.incomplete.extend(offsets)
        if position > (-1 if self.position is None else self.position):
            self.position = position

    def _start_over(self, offset: int) -> None:
        older = [one for one in (*self.older, *self.incomplete) if one < offset]
        self.low = min(self.low, offset)
        self._begin(None, ())
        self.older = Pending()
        self.older.extend(sorted(older))

    def _less_restored(self, offsets: tuple[int, ...]) -> tuple[int, ...]:
        restored = self.restored
        if restored and self.end >= 0 and restored[-1][1] > max(self.end, offsets[0]):
            # It reaches beyond the log's end, as the consumer may know it or not.
            self.doubted, self.restored, self.trusted = restored, (), False
        if self.restored:
            self.done.update(offset for offset in offsets if contains(restored, offset))
        return tuple(offset for offset in offsets if not contains(restored or self.doubted, offset))

    def answer(self, number: int, error: str, offset: int, ranges: Ranges) -> None:
        """A commit of it was answered."""
        if number > self.newest:
            self.newest = number
            self.trouble = bool(error)
            if not error:
                self.acknowledged = offset, ranges
                if len(self.done) > 16:
                    self.done = {one for one in self.done if one >= offset}

    def arrived(self, offset: int) -> float:
        """When this offset was delivered."""
        at = bisect_left(self.arrivals, (offset, NEVER))
        return self.arrivals[at][1] if at < len(self.arrivals) else self.began

    def uncovered(self) -> int | None:
        """Something that was resolved here and that no acknowledged commit covers; ``None`` if there is nothing."""
        offset, ranges = self.acknowledged
        for one in self.done:
            if (offset is None or one >= offset) and not contains(ranges, one):
                return one
        return None

    def __str__(self) -> str:
        return f"{self.partition} (tenure {self.number})"


class Process:
    """One life of a member.

    Attributes:
        name: Of the process.
        alive: False once it was killed or has ended.
        ended: True once it has ended by itself.
        frozen: True while it is.
        was_frozen: When it last was; the beginning of time if never.
        holding: Its tenures, by partition.
        running: Its handlers, by number of the call; also of tenures that have ended.
        finished: Its handlers that have ended, in order of time.
        acts: How much has happened to it: assignments, deliveries, handlers.
        wary: True if some oracle wants to know when it next starts a handler.
        busy: When all of its workers last had something to do.
        queued: Records that waited for a handler after the last delivery.
        parked: Records that waited for another attempt, at most, since the last delivery.
        resets: Partitions whose position the client has reset.
        windows: By partition, how many values the log had when its last tenure here began, else when the process did.
        too_large: True once a commit was refused for its metadata.
        overtaken: When a commit of it was last refused for an older generation; the beginning of time if never.
        left: What it still had when it ended by itself, and in which phase.
    """

    __slots__ = (
        "acts", "alive", "busy", "ended", "finished", "frozen", "holding", "left", "name", "overtaken", "parked",
        "queued", "resets", "running", "too_large", "wary", "was_frozen", "windows",
    )  # fmt: skip

    def __init__(self, name: str, windows: dict[Partition, int]) -> None:
        self.name = name
        self.alive = True
        self.ended = False
        self.frozen = False
        self.was_frozen = NEVER
        self.holding: dict[Partition, Tenure] = {}
        self.running: dict[int, Call] = {}
        self.finished: list[Call] = []
        self.acts = 0
        self.wary = False
        self.busy = NEVER
        self.queued = 0
        self.parked = 0
        self.resets: set[Partition] = set()
        self.windows = windows
        self.too_large = False
        self.overtaken = NEVER
        self.left: dict[Tenure, Phase] = {}

    def count_parked(self) -> int:
        """Records that wait for another attempt now."""
        return sum([len(tenure.waiting) for tenure in self.holding.values()])


class Asked:
    """One commit that a consumer asked for.

    Attributes:
        number: Of the commit.
        process: Whose.
        offsets: What it says.
        tenures: The tenures that it was made in; ``None`` where the partition was not its own.
        in_revoke: Whether it was made between a revoke and its release.
        epochs: How often each of these had started over.
        applied: Partitions for which a broker has taken it.
        answered: What the consumer was told: an error, or ``""``; ``None`` as long as it was told nothing.
        anew: True if the client made the request anew, later than it was asked to.
    """

    __slots__ = ("anew", "answered", "applied", "epochs", "in_revoke", "number", "offsets", "process", "tenures")

    def __init__(self, event: h.CommitAsked, process: Process) -> None:
        self.number = event.number
        self.process = process
        self.offsets = event.offsets
        self.tenures = {partition: process.holding.get(partition) for partition in event.offsets}
        self.epochs = {partition: one.epoch for partition, one in self.tenures.items() if one is not None}
        self.in_revoke = event.in_revoke
        self.applied: set[Partition] = set()
        self.answered: str | None = None
        self.anew = False
