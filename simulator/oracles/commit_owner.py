"""Only the owner of a partition commits."""

from __future__ import annotations

from ..world.history import CommitApplied, CommitAsked
from .oracle import Oracle, Subscriptions

CLIENT_GOES_ON = ("loop-blocked", "loop-blocked-past-poll-interval")


class CommitOwner(Oracle):
    """Brokers fence members and generations, not partitions: what a consumer may ask for is its own matter.

    Once somebody else has the partition, though, the generation has moved on, and a request from before must be
    refused. Only one that the client made anew, for want of a coordinator, may carry the generation of a later time.
    """

    name = "commit-owner"
    promise = "G3"
    says = "nobody commits for a partition after it was given back or lost, nor lands such a commit when another has it"

    def subscriptions(self) -> Subscriptions:
        return {CommitAsked: self._asked, CommitApplied: self._applied}

    def _asked(self, event: CommitAsked) -> None:
        for partition, tenure in self.truth.commits[event.number].tenures.items():
            if tenure is None:
                self.found(f"commit {event.number} of {event.process} is for {partition}, which is not its own")

    def _applied(self, event: CommitApplied) -> None:
        asked = self.truth.commits.get(event.number)
        if asked is None or asked.anew or event.group != self.expected.group:
            return
        tenure, newest = asked.tenures.get(event.partition), self.truth.log(event.partition).newest
        if tenure is None or newest is None or newest.process is asked.process or newest.number < tenure.number:
            return
        # While its event loop is blocked, a process may lose its membership and join again by its client's own threads:
        # then its commits carry the generation of today.
        if any(self.truth.causes.fired(kind, asked.process.name) for kind in CLIENT_GOES_ON):
            return
        # A member of KIP-848 whose heartbeat failed says again what it holds, without what it has only just been given:
        # that may go to another at once, and the member learns of it later.
        if not tenure.landed and self.truth.causes.evicts(asked.process.name):
            return
        # An assignment may be told late, to a process that was put out since; not if a commit of it was taken.
        if newest.landed or not self.truth.causes.evicts(newest.process.name):
            self.found(
                f"the broker took commit {event.number} of {event.process} for {event.partition}@{event.offset} of "
                f"tenure {tenure.number}, when {newest.process.name} had been given it (tenure {newest.number})"
            )
