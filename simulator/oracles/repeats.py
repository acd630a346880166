"""No more runs again than has to."""

from __future__ import annotations

from trio_consumer import Partition
from trio_consumer.core.offset_map import contains

from ..world.history import (
    AssignmentDelivered,
    CommitAnswered,
    CommitAsked,
    ErrorDelivered,
    HandlerStarted,
    ProcessEnded,
    RecordsDelivered,
    Released,
)
from .logs import INFINITY
from .oracle import OddStart, Oracle, Subscriptions
from .pending import Ranges
from .tenures import Phase, Process, Tenure

WAIT_SHARE = 0.7
"""Of a revoke's deadline: a revoke that takes longer may not get to its commit."""
MAP_CHARACTERS_MIN = 28
"""Into so many characters at least one range of a small log fits."""


class Repeats(Oracle):
    """Four ways to run more again than has to.

    - Handling what the tenure was told is complete, or has resolved itself.
    - A commit that does not tell all that is resolved, although it fits, or leaves out what failed to be committed.
    - Giving a partition back, or ending, without a commit of all that is resolved, although nothing was in the way.
    - Any repeat at all where there are no faults.
    """

    name = "repeats"
    promise = "G6"
    says = "only records whose completion had not reached the broker run again; each commit tells all that is complete"

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._suspects: dict[str, str] = {}
        self._failing: set[str] = set()
        self._dead: set[str] = set()
        self._released: dict[str, float] = {}
        self._refused = False

    def subscriptions(self) -> Subscriptions:
        return {
            OddStart: self._started,
            CommitAsked: self._asked,
            CommitAnswered: self._answered,
            Released: self._given_back,
            ProcessEnded: self._ended,
            ErrorDelivered: self._told,
            AssignmentDelivered: self._goes_on,
            RecordsDelivered: self._goes_on,
        }

    # What runs

    def _started(self, event: HandlerStarted) -> None:
        if self._suspects:
            self._goes_on(event)
        call = self.truth.started
        tenure, offset = call.tenure, event.offset
        if tenure is None or offset < tenure.low < INFINITY:
            return
        if offset not in tenure.incomplete:
            if offset >= (tenure.position or 0):
                self.found(f"{event.process} starts {call}, which was not delivered in {tenure}")
            elif not contains(tenure.doubted, offset):
                self.found(f"{event.process} starts {call}, which is complete in {tenure}")
        elif call.twice:
            self.found(f"{event.process} starts {call} while it runs")
        elif not self.expected.faults and not self._refused and self.expected.roomy_map:
            log = self.truth.log(event.partition)
            if offset in log.done and not log.shaken:
                self.found(f"{event.process} starts {call}, which has succeeded, and there are no faults")

    # What commits say

    def _asked(self, event: CommitAsked) -> None:
        process = self.truth.process(event.process)
        if not event.in_revoke:
            self._look_for_failed(event, process)
        for partition, tenure in self.truth.commits[event.number].tenures.items():
            if tenure is None or not (tenure.done or tenure.restored):
                continue
            offset, metadata = event.offsets[partition]
            ranges = self.truth.ranges(offset, metadata) or ()
            if self.expected.roomy_map and not process.too_large:
                self._look_for_missing(event, tenure, offset, ranges)
            elif not ranges and self._fits_one(process) and (most := max(tenure.done, default=-1)) >= offset:
                self.found(f"{self._what(event, partition, offset)} tells nothing above it, and {most} is complete")

    def _fits_one(self, process: Process) -> bool:
        return self.expected.offset_map_characters_max >= MAP_CHARACTERS_MIN and not process.too_large

    def _look_for_failed(self, event: CommitAsked, process: Process) -> None:
        for tenure in process.holding.values():
            failed = tenure.trouble and not tenure.unanswered and tenure.phase is Phase.ACTIVE
            if failed and tenure.partition not in event.offsets:
                self.found(f"commit {event.number} of {event.process} leaves out {tenure}, whose last one has failed")

    def _look_for_missing(self, event: CommitAsked, tenure: Tenure, offset: int, ranges: Ranges) -> None:
        for one in tenure.done:
            if one >= offset and not contains(ranges, one):
                self.found(f"{self._what(event, tenure.partition, offset)} does not tell that {one} is complete")
                return
        known = tenure.known or 0
        for start, stop in tenure.restored:
            beyond = max(start, known, offset)
            if beyond < stop and not any(first <= beyond and stop <= last for first, last in ranges):
                self.found(
                    f"{self._what(event, tenure.partition, offset)} does not tell that {beyond} is complete, as the "
                    "one before had said"
                )
                return

    def _what(self, event: CommitAsked, partition: Partition, offset: int) -> str:
        return f"commit {event.number} of {event.process} for {partition}@{offset}"

    def _answered(self, event: CommitAnswered) -> None:
        if event.error:
            self._failing.add(event.process)
            self._refused = self._refused or event.error != "_SUPERSEDED"
        else:
            self._failing.discard(event.process)

    # What is given back

    def _given_back(self, event: Released) -> None:
        process = self.truth.process(event.process)
        self._released[event.process] = self.truth.now
        for tenure in [log.newest for log in map(self.truth.log, event.partitions)]:
            if tenure is None or tenure.process is not process or tenure.phase is not Phase.RELEASED:
                continue
            in_time = self.truth.now - tenure.revoked < WAIT_SHARE * self.expected.revoke_seconds
            if in_time and process.was_frozen < tenure.revoked and self._could_commit(process, tenure):
                one = tenure.uncovered()
                if one is not None:
                    # Where the consumer is being torn down no commit is owed: certain only if it goes on.
                    process.wary = True
                    self._suspects[event.process] = (
                        f"{event.process} has given {tenure} back without a commit of {one}, which was complete"
                    )

    def _could_commit(self, process: Process, tenure: Tenure) -> bool:
        fits = self.expected.roomy_map and not process.too_large
        return fits and bool(tenure.done) and not tenure.trouble and not tenure.unanswered

    def _goes_on(self, event: AssignmentDelivered | RecordsDelivered | HandlerStarted) -> None:
        if self._suspects and event.process in self._suspects:
            self.found(self._suspects.pop(event.process))

    def _told(self, event: ErrorDelivered) -> None:
        if event.fatal:
            self._dead.add(event.process)

    def _ended(self, event: ProcessEnded) -> None:
        self._suspects.pop(event.process, None)
        process, now = self.truth.process(event.process), self.truth.now
        orderly = not event.error or event.error.startswith("HandlerFailed")
        late = now - self._released.get(event.process, float("-inf")) <= self.expected.stop_seconds
        # Hooks and revokes take of the time for the last commit, and a frozen process may have none left.
        if not orderly or late or self.expected.hooks or process.was_frozen >= 0 or event.process in self._dead:
            return
        if event.process in self._failing or any(one is Phase.REVOKING for one in process.left.values()):
            return
        # There is one commit at a time, so an answer that does not come holds back the next.
        if any(one.answered is None for one in self.truth.commits.values() if one.process is process):
            return
        for tenure in process.left:
            one = tenure.uncovered()
            if one is not None and self._could_commit(process, tenure):
                self.found(
                    f"{event.process} has ended without a commit of {tenure.partition}@{one}, which was complete"
                )
