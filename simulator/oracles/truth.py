"""What really happened, from the history alone: what each oracle compares the consumer's acts with.

Two truths, and a commit must agree with both.

- The *log's* truth: which records are there to be handled, and which of them anybody has resolved. It holds whatever
  the consumer was told.
- The *tenure's* truth: what this process was given, and what came of it. It holds whatever the log has become.

The log's truth demands less than "all that was ever produced", because real Kafka loses records without anybody's
fault. Excused are

- records below the log's start, and compacted ones: gone before they were read;
- records at offsets that are used a second time, after a truncation or in a re-created topic: clients go on at their
  old position, and committed offsets may lie beyond;
- records that ``auto.offset.reset=latest`` or an administrator passed by;
- records of transactions that are undecided or were aborted, under read_committed.

Resolved are records whose handler succeeded, whoever ran it; that the dead-letter topic acknowledged; or whose attempts
were exhausted where ``exhausted="skip"``. An exception or a cancellation resolves nothing.

What a process does after its death does not count. The truth is told of an event before the oracles are. It believes
that an event of the client is told in the very step in which the consumer learns of it, and one of a handler in the
step in which it starts or ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from trio_consumer import Partition
from trio_consumer.core.offset_map import UnreadableMap, decode

from ..world import history as h
from .causes import Causes
from .expectations import Expectations
from .logs import INFINITY, NEVER, Log
from .pending import Ranges
from .tenures import Asked, Call, Phase, Process, Tenure

MOMENT_SECONDS = 2.0
"""So long a record may wait for its first attempt without anybody's asking why."""
OVERTAKEN = ("ILLEGAL_GENERATION", "STALE_MEMBER_EPOCH")
"""A commit met a rebalance. The client may then take its partitions for lost, and join again."""


class Truth:
    """See the module.

    Attributes:
        expectations: What the scenario promises.
        logs: By partition; one is made when it is first heard of.
        topics: Topics that exist: their id and their number of partitions.
        processes: By name.
        commits: What was asked for, by number.
        started: The call that `history.HandlerStarted` told of last.
        ended: The call that `history.HandlerEnded` told of last; ``None`` if it was never told that it started.
        skipped: Whether that one was the last attempt of a record that is skipped then.
        now: Virtual time.
        phase: Of the world: ``""``, ``faults``, ``heal`` or ``end``.
        healed: When the faults stopped; infinity until then.
        causes: What the faults so far may have caused.
    """

    def __init__(self, expectations: Expectations) -> None:
        self.expectations = expectations
        self.logs: dict[Partition, Log] = {}
        self.topics: dict[str, tuple[int, int]] = {}
        self.processes: dict[str, Process] = {}
        self.commits: dict[int, Asked] = {}
        self.started: Call
        self.ended: Call | None = None
        self.skipped = False
        self.now = 0.0
        self.phase = ""
        self.healed = INFINITY
        self.causes = Causes()
        self._decoded: dict[tuple[int, str], Ranges | None] = {}

    def log(self, partition: Partition) -> Log:
        found = self.logs.get(partition)
        if found is None:
            found = self.logs[partition] = Log(partition)
        return found

    def exists(self, partition: Partition) -> bool:
        return partition.number < self.topics.get(partition.topic, (0, 0))[1]

    def process(self, name: str) -> Process:
        found = self.processes.get(name)
        if found is None:
            found = self.processes[name] = Process(name, {one: len(log.values) - 1 for one, log in self.logs.items()})
        return found

    def tenure(self, process: str, partition: Partition) -> Tenure | None:
        """What the process has of the partition now."""
        found = self.processes.get(process)
        return None if found is None else found.holding.get(partition)

    def ranges(self, offset: int, metadata: str) -> Ranges | None:
        """What an offset map says; ``None`` if it can't be read."""
        if not metadata:
            return ()
        found = self._decoded.get((offset, metadata), ...)
        if found is ...:
            try:
                found = decode(metadata, offset)
            except UnreadableMap:
                found = None
            self._decoded[offset, metadata] = found
        return found

    # Logs

    def _created(self, event: h.TopicCreated) -> None:
        known = self.topics.get(event.topic)
        if known is None or known[0] != event.topic_id:
            self._empty(event.topic)
        self.topics[event.topic] = (event.topic_id, event.partitions)
        for number in range(event.partitions):
            self.log(Partition(event.topic, number))

    def _deleted(self, event: h.TopicDeleted) -> None:
        self.topics.pop(event.topic, None)
        self._empty(event.topic)

    def _empty(self, topic: str) -> None:
        for partition, log in self.logs.items():
            if partition.topic == topic:
                log.empty()

    def _appended(self, event: h.Appended) -> None:
        log, offset = self.logs.get(event.partition) or self.log(event.partition), event.offset
        log.end = end = offset + 1
        if offset < log.high:
            return
        log.high = end
        if event.visible:
            log.show(offset)
        else:
            log.hidden.add(offset)

    def _decided(self, event: h.Decided) -> None:
        log = self.log(event.partition)
        shown = event.committed or not self.expectations.read_committed
        if log.end - 1 in log.hidden:  # what ended it was appended just before
            log.control.add(log.end - 1)
        for offset in event.offsets:
            if shown and offset in log.hidden:
                log.hidden.discard(offset)
                log.show(offset)

    def _start_moved(self, event: h.LogStartMoved) -> None:
        log = self.log(event.partition)
        log.start = max(log.start, event.start)
        log.excuse_below(event.start)

    def _compacted(self, event: h.Compacted) -> None:
        log = self.log(event.partition)
        for offset in event.removed:
            log.hide(offset)

    def _truncated(self, event: h.Truncated) -> None:
        self.log(event.partition).cut(event.end)

    # Processes

    def _process_started(self, event: h.ProcessStarted) -> None:
        self.process(event.process)

    def _process_killed(self, event: h.ProcessKilled) -> None:
        process = self.process(event.process)
        process.alive = False
        process.running.clear()
        self._drop_tenures(process)

    def _process_ended(self, event: h.ProcessEnded) -> None:
        process = self.process(event.process)
        process.alive = False
        process.ended = True
        process.left = {tenure: tenure.phase for tenure in process.holding.values()}
        self._drop_tenures(process)

    def _drop_tenures(self, process: Process) -> None:
        for tenure in process.holding.values():
            tenure.move_on(Phase.DEAD, self.now)
        process.holding = {}

    def _frozen(self, event: h.ProcessFrozen) -> None:
        process = self.process(event.process)
        process.frozen = True
        process.was_frozen = self.now
        self.causes.impaired.add(event.process)

    def _thawed(self, event: h.ProcessThawed) -> None:
        process = self.process(event.process)
        process.frozen = False
        process.was_frozen = self.now

    # What the client delivers

    def _assigned(self, event: h.AssignmentDelivered) -> None:
        process = self.process(event.process)
        process.acts += 1
        for partition, number in event.tenures.items():
            log = self.log(partition)
            if (old := process.holding.get(partition)) is not None:
                old.move_on(Phase.LOST, self.now)
            committed = event.committed.get(partition, (-1, ""))
            restored = self.ranges(*committed) or ()
            window = max(process.windows.get(partition, 0), log.given_back)
            tenure = Tenure(number, process, partition, committed, restored, window, self.now)
            if process.was_frozen == NEVER:  # else it may be told late of what was read before
                process.windows[partition] = len(log.values) - 1
            process.holding[partition] = tenure
            if log.newest is None or number > log.newest.number:
                log.newest = tenure

    def _revoked(self, event: h.RevokeDelivered) -> None:
        process = self.process(event.process)
        process.acts += 1
        for partition in event.partitions:
            if (tenure := process.holding.get(partition)) is not None:
                tenure.move_on(Phase.REVOKING, self.now)
                tenure.revoked = self.now

    def _released(self, event: h.Released) -> None:
        holding = self.process(event.process).holding
        for partition in event.partitions:
            if (tenure := holding.pop(partition, None)) is not None:
                tenure.move_on(Phase.RELEASED, self.now)
                log = self.log(partition)
                if log.newest is tenure and not self.causes.evicts(event.process):
                    log.given_back = len(log.values) - 1

    def _lost(self, event: h.LossDelivered) -> None:
        process = self.process(event.process)
        process.acts += 1
        for partition in event.partitions:
            if (tenure := process.holding.pop(partition, None)) is not None:
                tenure.move_on(Phase.LOST, self.now)

    def _delivered(self, event: h.RecordsDelivered) -> None:
        process = self.process(event.process)
        tenure = process.holding.get(event.partition)
        if event.offsets:
            process.acts += 1
        if tenure is not None:
            tenure.deliver(event.offsets, event.position, event.end, self.now)
            if event.offsets:
                process.queued = sum([one.queued for one in process.holding.values()])
                process.parked = process.count_parked()

    def _reset(self, event: h.PositionReset) -> None:
        self.process(event.process).resets.add(event.partition)
        if self.expectations.offset_reset == "latest":
            self.log(event.partition).excuse_below(event.after)

    # Commits

    def _commit_asked(self, event: h.CommitAsked) -> None:
        asked = self.commits[event.number] = Asked(event, self.process(event.process))
        for tenure in asked.tenures.values():
            if tenure is not None:
                tenure.unanswered += 1

    def _commit_anew(self, event: h.CommitMadeAnew) -> None:
        asked = self.commits.get(event.number)
        if asked is not None:
            asked.anew = True

    def _commit_answered(self, event: h.CommitAnswered) -> None:
        asked = self.commits.get(event.number)
        if asked is None:
            return
        asked.answered = event.error
        for partition, tenure in asked.tenures.items():
            if tenure is None:
                continue
            tenure.unanswered -= 1
            if asked.epochs[partition] == tenure.epoch:
                offset, metadata = asked.offsets[partition]
                tenure.answer(asked.number, event.error, offset, self.ranges(offset, metadata) or ())

    def _applied(self, event: h.CommitApplied) -> None:
        if event.group != self.expectations.group:
            return
        log = self.log(event.partition)
        log.hold(event.offset, event.metadata, self.now)
        asked = self.commits.get(event.number)
        if asked is not None:
            asked.applied.add(event.partition)
            # A live member's commit is taken for any partition, also once it has moved on: then it proves nothing.
            tenure = asked.tenures.get(event.partition)
            if tenure is not None and tenure is log.newest and not asked.anew and not asked.in_revoke:
                tenure.landed = True
        elif not event.number:  # somebody else's decision
            log.excuse_below(event.offset)

    def _refused(self, event: h.CommitRefused) -> None:
        process = self.processes.get(event.process)
        if process is not None and event.error == "OFFSET_METADATA_TOO_LARGE":
            process.too_large = True
        elif process is not None and event.error in OVERTAKEN:
            process.overtaken = self.now

    def _forgotten(self, event: h.OffsetsForgotten) -> None:
        if event.group == self.expectations.group:
            log = self.log(event.partition)
            log.forget(event.after)
            if event.after > event.before:
                log.excuse_below(event.after)

    # Handlers

    def _started(self, event: h.HandlerStarted) -> None:
        process = self.processes.get(event.process) or self.process(event.process)
        tenure = process.holding.get(event.partition)
        process.acts += 1
        log = self.logs.get(event.partition) or self.log(event.partition)
        call = Call(event, process, tenure, log, self.now)
        self.started = process.running[event.call] = call
        if tenure is not None:
            call.plain = (
                log.newest is tenure
                and tenure.phase is Phase.ACTIVE
                and tenure.epoch == 0
                and event.attempt == 1
                and event.offset in tenure.incomplete
                and event.offset not in tenure.failures
                and not call.twice
                and not process.wary
                and len(process.running) <= self.expectations.concurrency
                and (
                    self.now - tenure.began < MOMENT_SECONDS or self.now - tenure.arrived(call.offset) < MOMENT_SECONDS
                )
                and (self.expectations.faults or event.offset not in log.done)
            )
            tenure.flying.add(event.offset)
            tenure.waiting.discard(event.offset)

    def _handler_ended(self, event: h.HandlerEnded) -> None:
        process = self.processes.get(event.process) or self.process(event.process)
        call = self.ended = process.running.pop(event.call, None)
        self.skipped = False
        if call is None:
            return
        process.acts += 1
        process.finished.append(call)
        call.ended = self.now
        call.outcome = event.outcome
        if len(process.running) + 1 >= self.expectations.concurrency:
            process.busy = self.now
        tenure, offset = call.tenure, call.offset
        counts = call.counted = call.counts
        expected = self.expectations
        done = event.outcome == "succeeded"
        if counts and event.outcome == "failed" and expected.exhausted == "skip":
            done = self.skipped = expected.attempts is not None and call.attempt >= expected.attempts
        if done:
            log = call.log
            log.pending.discard(offset)
            log.done.add(offset)
            if not self.skipped:
                log.succeeded.add(offset)
        if not counts or tenure is None:
            return
        tenure.flying.discard(offset)
        if done and call.epoch != tenure.epoch:
            tenure.older.discard(offset)
        elif done:
            tenure.incomplete.discard(offset)
            tenure.older.discard(offset)
            tenure.done.add(offset)
            tenure.bad.pop(offset, None)
        if done or call.epoch != tenure.epoch:
            return
        tenure.bad[offset] = event.outcome
        if event.outcome == "failed":
            tenure.failures[offset] = tenure.failures.get(offset, 0) + 1
            tenure.waiting.add(offset)
            process.parked = max(process.parked, process.count_parked())

    def _dead_lettered(self, event: h.DeadLettered) -> None:
        log = self.log(event.partition)
        log.pending.discard(event.offset)
        log.done.add(event.offset)

    # The world

    def _fault(self, event: h.FaultFired) -> None:
        self.causes.note(event.kind, event.target)

    def _phase_began(self, event: h.PhaseBegan) -> None:
        self.phase = event.phase
        if event.phase == "heal":
            self.healed = self.now

    def listeners(self) -> Mapping[type, Callable[[Any], None]]:
        """What it wants to be told of, and how."""
        return {
            h.TopicCreated: self._created,
            h.TopicDeleted: self._deleted,
            h.Appended: self._appended,
            h.Decided: self._decided,
            h.LogStartMoved: self._start_moved,
            h.Compacted: self._compacted,
            h.Truncated: self._truncated,
            h.ProcessStarted: self._process_started,
            h.ProcessKilled: self._process_killed,
            h.ProcessEnded: self._process_ended,
            h.ProcessFrozen: self._frozen,
            h.ProcessThawed: self._thawed,
            h.AssignmentDelivered: self._assigned,
            h.RevokeDelivered: self._revoked,
            h.Released: self._released,
            h.LossDelivered: self._lost,
            h.RecordsDelivered: self._delivered,
            h.PositionReset: self._reset,
            h.CommitAsked: self._commit_asked,
            h.CommitMadeAnew: self._commit_anew,
            h.CommitAnswered: self._commit_answered,
            h.CommitApplied: self._applied,
            h.CommitRefused: self._refused,
            h.OffsetsForgotten: self._forgotten,
            h.HandlerStarted: self._started,
            h.HandlerEnded: self._handler_ended,
            h.DeadLettered: self._dead_lettered,
            h.FaultFired: self._fault,
            h.PhaseBegan: self._phase_began,
        }
