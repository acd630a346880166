"""One owner at a time."""

from __future__ import annotations

from ..world.history import HandlerStarted
from .oracle import OddStart, Oracle, Subscriptions


class Owner(Oracle):
    """A process that was put out of the group may believe that it owns a partition, as long as it does not know.

    So this looks only at processes that no fault can have put out.
    """

    name = "owner"
    promise = "G3"
    says = "no member handles a partition that the group has given to another, unless a fault put one of them out"

    def subscriptions(self) -> Subscriptions:
        return {OddStart: self._started}

    def _started(self, event: HandlerStarted) -> None:
        call = self.truth.started
        tenure, newest = call.tenure, call.log.newest
        if newest is tenure or newest is None or newest.process is call.process or not newest.held:
            return
        evicts = self.truth.causes.evicts
        if tenure is not None and not evicts(event.process) and not evicts(newest.process.name):
            self.found(
                f"{event.process} starts {event.partition}@{event.offset} in tenure {tenure.number}, and "
                f"{newest.process.name} has been given the partition (tenure {newest.number})"
            )
