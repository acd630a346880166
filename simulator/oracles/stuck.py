"""One stuck key holds back nothing but its lane."""

from __future__ import annotations

from ..world.history import FetchPaused, HandlerStarted
from .logs import NEVER
from .oracle import OddStart, Oracle, Subscriptions
from .tenures import Call, Tenure

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
        self._suspects: dict[str, str] = {}

    def subscriptions(self) -> Subscriptions:
        return {OddStart: self._started, FetchPaused: self._paused}

    # Workers

    def _started(self, event: HandlerStarted) -> None:
        if self._suspects and event.process in self._suspects:
            self.found(self._suspects.pop(event.process))
        call, now = self.truth.started, self.truth.now
        tenure = call.tenure
        if (
            tenure is None
            or event.attempt > 1
            or not tenure.arrivals
            or now - tenure.arrivals[0][1] <= PATIENCE_SECONDS
        ):
            return
        arrived = tenure.arrived(event.offset)
        if now - arrived <= PATIENCE_SECONDS or event.offset in tenure.bad:
            return
        since = max(arrived, call.process.busy, self._lane_busy(call), call.process.was_frozen)
        if now - since > PATIENCE_SECONDS:
            place = f"{event.partition}@{event.offset}"
            self.found(f"{event.process} starts {place} {now - since:.3g} s after it could have")

    def _lane_busy(self, call: Call) -> float:
        """Until when another handler of the same lane ran in this process."""
        if self.expected.order == "unordered":
            return NEVER
        if self.expected.order == "key" and call.key is None and self.expected.null_key == "unordered":
            return NEVER
        for other in reversed(call.process.finished):
            if other.partition == call.partition and (self.expected.order == "partition" or other.key == call.key):
                return other.ended
        return NEVER

    # Pauses

    def _paused(self, event: FetchPaused) -> None:
        process = self.truth.process(event.process)
        if not self.expected.roomy_map or process.too_large or event.process in self._suspects:
            return  # a small map may be the reason
        # What the consumer had when it decided, a moment ago: at most what it had after the last delivery.
        most = max(process.queued, process.parked)
        limit = FULL_SHARE * min(self.expected.queued_records_max, self.expected.queued_records_max_per_partition)
        held: list[Tenure] = [process.holding[one] for one in event.partitions if one in process.holding]
        if held and most < limit:
            names = ", ".join(str(tenure.partition) for tenure in held)
            process.wary = True
            self._suspects[event.process] = (
                f"{event.process} paused {names} with {most} records waiting; the limit is {limit / FULL_SHARE:g}"
            )
