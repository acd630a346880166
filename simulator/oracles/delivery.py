"""Records are delivered once, in order, all of them, and nothing else."""

from __future__ import annotations

from bisect import bisect_left

from trio_consumer import Partition

from ..world.history import AssignmentDelivered, PositionReset, RecordsDelivered, Sought
from .logs import Log
from .oracle import Oracle, Subscriptions
from .tenures import Phase, Tenure


class Delivery(Oracle):
    """What the client hands out, against the log.

    Where a client resets its position, or offsets are used a second time, what it had in its queue may still come. Then
    only what must never be delivered counts, until the tenure's end.
    """

    name = "delivery"
    promise = "G1"
    anomaly = "poll-skip"
    says = "an owner is given each visible record once, in offset order, and no marker, aborted or undecided record"

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._next: dict[tuple[str, Partition], int] = {}
        self._loose: set[tuple[str, Partition]] = set()
        self._known: set[tuple[str, Partition]] = set()

    def subscriptions(self) -> Subscriptions:
        return {
            RecordsDelivered: self._delivered,
            AssignmentDelivered: self._assigned,
            PositionReset: self._reset,
            Sought: self._sought,
        }

    def _sought(self, event: Sought) -> None:
        self._next[event.process, event.partition] = event.offset

    def _assigned(self, event: AssignmentDelivered) -> None:
        for partition in event.tenures:
            place, start = (event.process, partition), event.committed.get(partition, (-1, ""))[0]
            self._loose.discard(place)
            if start >= 0:
                self._next[place] = start
            elif (
                place in self._known
            ):  # where the client begins may have been told already, and taken for the old one's
                self._loose.add(place)
            self._known.add(place)

    def _reset(self, event: PositionReset) -> None:
        place = (event.process, event.partition)
        if event.before < 0 and place not in self._next:
            self._next[place] = event.after
        else:
            self._loose.add(place)

    def _delivered(self, event: RecordsDelivered) -> None:
        offsets = event.offsets
        if not offsets:
            return
        log, tenure = self.truth.log(event.partition), self.truth.tenure(event.process, event.partition)
        what = f"{event.process} was given {event.partition}@{offsets[0]}–{offsets[-1]}"
        if tenure is None or tenure.phase is not Phase.ACTIVE:
            self.found(f"{what}, which is not its own", "")
            return
        if any(map(int.__ge__, offsets, offsets[1:])) and not log.shaken:
            self.found(f"{what} out of order: {', '.join(map(str, offsets))}", "nonmonotonic-poll")
        self._look_at_each(log, offsets, what)
        self._look_at_end(log, event, what)
        self._look_at_gap(log, tenure, offsets, what)

    def _look_at_each(self, log: Log, offsets: tuple[int, ...], what: str) -> None:
        never = log.hidden if self.expected.read_committed else log.control
        if never and not never.isdisjoint(offsets):
            wrong = min(never.intersection(offsets))
            anomaly = "" if wrong in log.control else "G1a"
            self.found(f"{what}, and {wrong} is a marker, or a record that was aborted or is undecided", anomaly)
        if offsets[-1] >= log.high:
            self.found(f"{what}, and the log never went beyond {log.high}", "")

    def _look_at_end(self, log: Log, event: RecordsDelivered, what: str) -> None:
        """After a change of leaders the high watermark may go back for a while (KIP-207)."""
        went_back = log.shaken or self.truth.causes.fired("leader-moves", event.partition)
        if 0 <= event.end <= event.offsets[-1] and not went_back:
            self.found(f"{what}, beyond the log end that it was told, {event.end}", "")

    def _look_at_gap(self, log: Log, tenure: Tenure, offsets: tuple[int, ...], what: str) -> None:
        place = (tenure.process.name, tenure.partition)
        due = self._next.get(place)
        self._next[place] = tenure.position or 0
        if due is None or place in self._loose or log.shaken:
            return
        if offsets[0] < due and tenure.epoch and len(tenure.arrivals) == 1:
            self.found(f"{what} again: it had all below {due}", "nonmonotonic-poll")
            return
        first = bisect_left(log.visible, due)
        wanted = log.visible[first : bisect_left(log.visible, offsets[-1] + 1, first)]
        if tuple(wanted) != offsets:
            left_out = [one for one in wanted if one not in offsets and one in log.pending]
            if left_out:
                self.found(f"{what} without {', '.join(map(str, left_out))}")
