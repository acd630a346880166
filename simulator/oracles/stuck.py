"""One stuck key holds back nothing but its lane."""

from __future__ import annotations

from collections.abc import Hashable

from trio_consumer import Partition

from ..world.history import FetchPaused, HandlerEnded, HandlerStarted, RecordsDelivered
from .oracle import Oracle, Subscriptions
from .tenures import Tenure

PATIENCE_SECONDS = 2.5
"""How long a record may wait for a worker although one is free: tenure hooks may take some of it."""
FULL_SHARE = 0.5
"""Of a limit: a pause with less than this is not for that limit's sake."""


class Stuck(Oracle):
    """Two ways for one record to hold back others.

    - A record that could run waits although a worker is free.
    - A partition is paused although none of its limits, nor of the totals, is near. A consumer that is about to stop
      pauses too; so this is certain only when it starts a handler after that.
    """

    name = "stuck"
    promise = "G5"
    says = "a stuck or failing key holds back its own lane only: others run while a worker is free, and are fetched"
    liveness = True

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._busy: dict[str, float] = {}
        self._lane_busy: dict[Hashable, float] = {}
        self._parked: dict[str, int] = {}
        self._queued: dict[str, int] = {}
        self._suspects: dict[str, str] = {}

    def subscriptions(self) -> Subscriptions:
        return {
            HandlerStarted: self._started,
            HandlerEnded: self._ended,
            RecordsDelivered: self._delivered,
            FetchPaused: self._paused,
        }

    # Workers

    def _started(self, event: HandlerStarted) -> None:
        if self._suspects and event.process in self._suspects:
            self.found(self._suspects.pop(event.process))
        tenure, now = self.truth.tenure(event.process, event.partition), self.truth.now
        if tenure is None or event.attempt > 1 or event.offset in tenure.bad:
            return
        arrived = tenure.arrived(event.offset)
        if now - arrived <= PATIENCE_SECONDS:
            return
        since = max(
            arrived,
            self._busy.get(event.process, 0.0),
            self._lane_busy.get(self._lane(event.process, event.partition, event.key), 0.0),
            tenure.process.was_frozen,
        )
        if now - since > PATIENCE_SECONDS:
            place = f"{event.partition}@{event.offset}"
            self.found(f"{event.process} starts {place} {now - since:.3g} s after it could have")

    def _lane(self, process: str, partition: Partition, key: bytes | None) -> Hashable:
        if self.expected.order == "partition":
            return (process, partition)
        if self.expected.order == "unordered" or (key is None and self.expected.null_key == "unordered"):
            return None
        return (process, partition, key)

    def _ended(self, event: HandlerEnded) -> None:
        call, now = self.truth.ended, self.truth.now
        if call is None:
            return
        process = call.process
        lane = self._lane(event.process, call.partition, call.key)
        if lane is not None:
            self._lane_busy[lane] = now
        if len(process.running) + 1 >= self.expected.concurrency:
            self._busy[event.process] = now
        if event.outcome == "failed":
            parked = sum(len(tenure.waiting) for tenure in process.holding.values())
            if parked > self._parked.get(event.process, 0):
                self._parked[event.process] = parked

    # Pauses

    def _delivered(self, event: RecordsDelivered) -> None:
        if event.offsets:
            holding = self.truth.process(event.process).holding.values()
            self._parked[event.process] = sum(len(tenure.waiting) for tenure in holding)
            self._queued[event.process] = sum(tenure.queued for tenure in holding)

    def _paused(self, event: FetchPaused) -> None:
        process = self.truth.process(event.process)
        if not self.expected.roomy_map or process.too_large or event.process in self._suspects:
            return  # a small map may be the reason
        # What the consumer had when it decided, a moment ago: at most what it had after the last delivery.
        most = max(self._queued.get(event.process, 0), self._parked.get(event.process, 0))
        limit = FULL_SHARE * min(self.expected.queued_records_max, self.expected.queued_records_max_per_partition)
        held: list[Tenure] = [process.holding[one] for one in event.partitions if one in process.holding]
        if held and most < limit:
            names = ", ".join(str(tenure.partition) for tenure in held)
            self._suspects[event.process] = (
                f"{event.process} paused {names} with {most} records waiting; the limit is {limit / FULL_SHARE:g}"
            )
