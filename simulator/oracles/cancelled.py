"""Handlers are cancelled before their partition goes."""

from __future__ import annotations

from ..world.history import HandlerEnded, Released
from .logs import NEVER
from .oracle import LateEnd, Oracle, Subscriptions
from .tenures import Call, Phase

WAIT_SHARE = 0.74
"""A little less than the part of a revoke's deadline for which handlers that ignore cancellation are waited for."""
AT_ONCE_SECONDS = 1e-6


class Cancelled(Oracle):
    """A cancelled handler ends in the same instant, unless it ignores that, as a fault may make it do.

    Where the scenario's handlers may shield themselves, only what is still running at a release counts.
    """

    name = "cancelled"
    promise = "G3"
    says = "handlers of a partition are cancelled at once when it is lost, and after the grace, before it is given back"

    def subscriptions(self) -> Subscriptions:
        return {Released: self._released, LateEnd: self._ended}

    def _released(self, event: Released) -> None:
        process = self.truth.process(event.process)
        for call in process.running.values():
            tenure = call.tenure
            if tenure is None or tenure.phase is not Phase.RELEASED or tenure.since != self.truth.now:
                continue
            if process.was_frozen >= tenure.revoked:  # all its deadlines had passed when it went on
                continue
            if tenure.partition in event.partitions and call.epoch == tenure.epoch and not self._ignores(call):
                waited = self.truth.now - tenure.revoked
                if self.expected.cancellable or waited < WAIT_SHARE * self.expected.revoke_seconds:
                    self.found(f"{event.process} gives {tenure} back after {waited:.3g} s while {call} is handled")

    def _ended(self, event: HandlerEnded) -> None:
        call = self.truth.ended
        tenure = None if call is None else call.tenure
        if call is None or tenure is None or tenure.phase is Phase.ACTIVE:
            return
        if not self.expected.cancellable or event.outcome == "cancelled" or call.epoch != tenure.epoch:
            return
        if tenure.phase is Phase.LOST:
            begun, grace, why = tenure.since, 0.0, "was lost"
        elif tenure.revoked > NEVER:
            begun, grace = tenure.revoked, self.expected.grace_seconds
            why = "was to be given back, and the grace was over"
        else:
            return
        late = self.truth.now - begun - grace
        if late > AT_ONCE_SECONDS and call.process.was_frozen < begun and not self._ignores(call):
            self.found(f"the handler of {call} in {event.process} {event.outcome} {late:.3g} s after {tenure} {why}")

    def _ignores(self, call: Call) -> bool:
        return self.truth.causes.fired("handler-ignores-cancellation", call)
