"""Every limit holds."""

from __future__ import annotations

from trio_consumer import Partition

from ..world.history import (
    AssignmentDelivered,
    CommitAsked,
    FetchPaused,
    FetchResumed,
    HandlerStarted,
    RecordsDelivered,
    Sampled,
)
from .oracle import OddStart, Oracle, Subscriptions
from .tenures import Process


class Bounds(Oracle):
    """Counts by what was delivered, started and ended, and asks the consumer's own statistics only for bytes."""

    name = "bounds"
    promise = "G4"
    says = "handlers in flight, queued records and bytes and offset maps keep to their limits; a pause stops deliveries"

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._paused: dict[tuple[str, Partition], int] = {}

    def subscriptions(self) -> Subscriptions:
        return {
            OddStart: self._started,
            RecordsDelivered: self._delivered,
            CommitAsked: self._asked,
            Sampled: self._sampled,
            FetchPaused: self._pause,
            FetchResumed: self._resume,
            AssignmentDelivered: self._assigned,
        }

    def _started(self, event: HandlerStarted) -> None:
        running = len(self.truth.started.process.running)
        if running > self.expected.concurrency:
            self.found(f"{event.process} runs {running} handlers at once; {self.expected.concurrency} are allowed")

    def _delivered(self, event: RecordsDelivered) -> None:
        if not event.offsets:
            return
        expected, process = self.expected, self.truth.process(event.process)
        total, most = process.queued, expected.queued_records_max
        # A consumer may drop what comes on top, as from partitions that it gets while it is full, and fetch it again.
        if total > most and total > most + expected.batch * len(process.holding) + self._cancelled(process):
            self.found(
                f"{process.name} has {total} records waiting; {most} are allowed, with a batch for each partition"
            )
        tenure_of = process.holding.get(event.partition)
        most = expected.queued_records_max_per_partition + 2 * expected.batch
        if tenure_of is not None and tenure_of.queued > most and tenure_of.queued > most + self._cancelled(process):
            self.found(
                f"{process.name} has {tenure_of.queued} records of {event.partition} waiting; {most} are allowed, "
                "with those on their way"
            )
        place = (event.process, event.partition)
        if place in self._paused:
            self._paused[place] = given = self._paused[place] + len(event.offsets)
            if given > 2 * expected.batch:
                self.found(f"{process.name} was given {given} records of {event.partition}, which it had paused")

    def _cancelled(self, process: Process) -> int:
        """Records that were in flight, and wait again since the consumer stops."""
        return sum(list(tenure.bad.values()).count("cancelled") for tenure in process.holding.values())

    def _asked(self, event: CommitAsked) -> None:
        most = self.expected.offset_map_characters_max
        for partition, (_, metadata) in event.offsets.items():
            if len(metadata) > most:
                self.found(
                    f"commit {event.number} of {event.process} has {len(metadata)} characters for {partition}; {most} "
                    "are allowed"
                )

    def _sampled(self, event: Sampled) -> None:
        expected = self.expected
        if event.in_flight == event.queued_records == event.map_characters == event.parked_records == 0:
            return
        cancelled = self._cancelled(self.truth.process(event.process))
        most_bytes = expected.queued_bytes_max + 2 * expected.batch * expected.record_bytes_max
        for what, value, most in (
            ("in flight", event.in_flight, expected.concurrency),
            ("queued", event.queued_records, expected.queued_records_max + cancelled),
            ("parked", event.parked_records, 2 * expected.queued_records_max),
            ("bytes queued", event.queued_bytes, most_bytes),
            ("characters in a map", event.map_characters, expected.offset_map_characters_max),
        ):
            if value > most:
                self.found(f"{event.process} says: {value} {what}; {most} are allowed")

    def _pause(self, event: FetchPaused) -> None:
        for partition in event.partitions:
            self._paused.setdefault((event.process, partition), 0)

    def _resume(self, event: FetchResumed) -> None:
        for partition in event.partitions:
            self._paused.pop((event.process, partition), None)

    def _assigned(self, event: AssignmentDelivered) -> None:
        for partition in event.tenures:  # a pause ends with its tenure
            self._paused.pop((event.process, partition), None)
