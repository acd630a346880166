"""The first promise: nothing is lost."""

from __future__ import annotations

from trio_consumer import Partition

from ..world.history import CommitApplied, CommitAsked, Decided
from .oracle import Oracle, Subscriptions


class Commit(Oracle):
    """Looks twice: when a commit is asked for, at what its tenure was given; when applied, at what the log has."""

    name = "commit"
    promise = "G1"
    anomaly = "lost-write"
    says = "a commit covers a record only after it was handled, dead-lettered or skipped"

    def subscriptions(self) -> Subscriptions:
        return {CommitAsked: self._asked, CommitApplied: self._applied, Decided: self._decided}

    def _asked(self, event: CommitAsked) -> None:
        for partition, tenure in self.truth.commits[event.number].tenures.items():
            if tenure is None:  # for commit-owner to say
                continue
            offset = event.offsets[partition][0]
            head, known = tenure.head, tenure.known
            what = f"commit {event.number} of {event.process} says {partition}@{offset}"
            if head is not None and head < offset:
                self.found(f"{what}, but {head} {self._why(tenure.bad.get(head, ''), head in tenure.flying)}")
            elif known is None or offset > known:
                self.found(f"{what}, but only what is below {known or 0} was delivered in {tenure}")

    def _why(self, outcome: str, flying: bool) -> str:
        if flying:
            return "is in flight"
        return f"has {outcome}" if outcome == "failed" else f"was {outcome}" if outcome else "was not handled"

    def _applied(self, event: CommitApplied) -> None:
        if event.number and event.group == self.expected.group:
            self._look(event.partition, event.offset, f"commit {event.number} of {event.process}")

    def _decided(self, event: Decided) -> None:
        # Records of a transaction that was undecided until now: no commit may have passed them.
        offset = self.truth.log(event.partition).held[0]
        self._look(event.partition, offset, "what the broker held before the transaction ended")

    def _look(self, partition: Partition, offset: int, what: str) -> None:
        head = self.truth.log(partition).pending.head
        if head is not None and head < offset:
            self.found(f"{what} covers {partition}@{head}, which nobody has handled: it says {offset}")
