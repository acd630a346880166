"""The fence: nothing starts, and no outcome counts, once a partition is on its way out."""

from __future__ import annotations

from trio_consumer import Partition

from ..world.history import CommitAsked, HandlerEnded, HandlerStarted
from .oracle import LateEnd, OddStart, Oracle, Subscriptions
from .tenures import Phase


class Fence(Oracle):
    """Of late outcomes it notes those that came from an earlier tenure while the process had the partition again."""

    name = "fence"
    promise = "G3"
    says = "no handler of a partition starts once its revoke or loss was delivered, and no late outcome moves a commit"

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._late: dict[tuple[str, Partition], dict[int, int]] = {}

    def subscriptions(self) -> Subscriptions:
        return {OddStart: self._started, LateEnd: self._ended, CommitAsked: self._asked}

    def _started(self, event: HandlerStarted) -> None:
        tenure = self.truth.started.tenure
        if tenure is None:
            self.found(f"{event.process} starts {event.partition}@{event.offset} of a partition that is not its own")
        elif tenure.phase is not Phase.ACTIVE:
            self.found(f"{event.process} starts {event.partition}@{event.offset}, which is being revoked")

    def _ended(self, event: HandlerEnded) -> None:
        call = self.truth.ended
        if call is None or call.counted or event.outcome != "succeeded":
            return
        now = self.truth.tenure(event.process, event.partition)
        if now is not None and event.offset in now.incomplete:
            self._late.setdefault((event.process, event.partition), {})[event.offset] = now.number

    def _asked(self, event: CommitAsked) -> None:
        if not self._late:
            return
        for partition, tenure in self.truth.commits[event.number].tenures.items():
            late = self._late.get((event.process, partition))
            if not late or tenure is None:
                continue
            offset, metadata = event.offsets[partition]
            ranges = self.truth.ranges(offset, metadata) or ()
            for one, number in late.items():
                covered = one < offset or any(start <= one < stop for start, stop in ranges)
                if number == tenure.number and covered and one in tenure.incomplete:
                    self.found(
                        f"commit {event.number} of {event.process} covers {partition}@{one} of tenure {number}, which "
                        "only a handler of an earlier tenure has ended"
                    )
