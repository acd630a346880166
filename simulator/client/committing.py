"""Commits on their way: sent, sent again, put off until there is a coordinator, answered.

As librdkafka does it. A request whose fate is unknown, or that the coordinator could not serve, is sent again as it
was, twice at most; then it is put off until a coordinator is known and made anew, with the generation of that moment.
So an old commit can land after a newer one, and in a later generation than the one it was made in. An error of one
partition fails the whole commit for the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from trio_consumer import Partition
from trio_consumer.client.port import Commit

from ..kafka.requests import OffsetCommit, OffsetCommitted, Response
from ..world.history import CommitMadeAnew
from .handle import Handle

RETRIES_MAX = 2
METADATA_PADDING = 1
"""librdkafka ends each metadata with a NUL."""
RESEND_SECONDS = (0.2, 3.0)
"""How long a commit waits to be sent again when its answer was lost, by the fault of that name."""
CRASH_SECONDS = (0.0, 0.02)

_COORDINATOR_GONE = ("NOT_COORDINATOR", "COORDINATOR_NOT_AVAILABLE", "_TRANSPORT")
_SENT_AGAIN = (
    *_COORDINATOR_GONE,
    "COORDINATOR_LOAD_IN_PROGRESS",
    "UNKNOWN_TOPIC_OR_PART",
    "REQUEST_TIMED_OUT",
)

Outcome = Callable[[str, Mapping[Partition, str]], None]
"""Takes the error of the whole commit, or ``""``, and the errors of its partitions."""


@attrs.define(eq=False)
class _Pending:
    offsets: Mapping[Partition, Commit]
    number: int
    outcome: Outcome
    tries: int = 0
    put_off: bool = False
    request: OffsetCommit | None = None


class Committing:
    """See the module.

    Attributes:
        unanswered: How many commits the application was not answered yet.
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._waiting: list[_Pending] = []
        self.unanswered = 0

    def commit(self, offsets: Mapping[Partition, Commit], number: int, outcome: Outcome) -> None:
        """Send a commit; the outcome comes later."""
        self.unanswered += 1
        valid = {partition: commit for partition, commit in offsets.items() if commit.offset >= 0}
        pending = _Pending(valid, number, outcome)
        if any("\0" in commit.metadata for commit in offsets.values()):
            self._handle.after(0, self._finish, pending, "_INVALID_ARG", {})
        elif not valid:
            self._handle.after(0, self._finish, pending, "_NO_OFFSET", {})
        elif self._handle.fatal:
            self._handle.after(0, self._finish, pending, "_FATAL", {})
        elif self._handle.coordinator.node is None:
            self._put_off(pending)
        else:
            self._send(pending)

    def _send(self, pending: _Pending) -> None:
        handle, membership = self._handle, self._handle.membership
        if pending.request is None:
            if pending.put_off:
                handle.history.add(CommitMadeAnew(handle.name, pending.number))
            pending.request = OffsetCommit(
                handle.knobs.group,
                membership.member_id,
                handle.knobs.instance_id,
                membership.generation,
                pending.offsets,
                pending.number,
                METADATA_PADDING,
            )
        if handle.faults.fires("crash-in-commit", handle.name):
            handle.after(handle.dice.uniform(*CRASH_SECONDS), handle.surroundings.crash)
        lost = handle.faults.fires("commit-resent", handle.name)
        handle.coordinator.call(pending.request, lambda response: self._answered(pending, response, lost))

    def _answered(self, pending: _Pending, response: Response | None, lost: bool) -> None:
        if lost:
            self._handle.after(self._handle.dice.uniform(*RESEND_SECONDS), self._send_again, pending)
            return
        if not isinstance(response, OffsetCommitted):
            self._failed(pending, "_TRANSPORT", {})
            return
        errors = {partition: error for partition, error in response.errors.items() if error}
        if errors and len(errors) == len(response.errors):
            self._failed(pending, next(reversed(errors.values())), errors)
        else:
            self._finish(pending, next(reversed(errors.values()), ""), errors)

    def _failed(self, pending: _Pending, error: str, errors: Mapping[Partition, str]) -> None:
        handle = self._handle
        if error in _COORDINATOR_GONE:
            handle.coordinator.dead()
        if error in _SENT_AGAIN and pending.tries < RETRIES_MAX:
            pending.tries += 1
            handle.after(handle.backoff(pending.tries - 1), self._send_again, pending)
            return
        handle.membership.commit_refused(error)
        if error in _COORDINATOR_GONE and not pending.put_off:
            self._put_off(pending)
        else:
            self._finish(pending, error, errors)

    def _send_again(self, pending: _Pending) -> None:
        if self._handle.coordinator.node is None:
            self._put_off(pending)
        else:
            self._send(pending)

    def _put_off(self, pending: _Pending) -> None:
        """Until there is a coordinator, but for no longer than a session."""
        pending.put_off = True
        pending.request = None
        self._waiting.append(pending)
        self._handle.after(self._handle.knobs.session_timeout, self._expire, pending)
        self._handle.coordinator.when_up(self._flush)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for pending in waiting:
            self._send(pending)

    def _expire(self, pending: _Pending) -> None:
        if pending in self._waiting:
            self._waiting.remove(pending)
            self._finish(pending, "_WAIT_COORD", {})

    def _finish(self, pending: _Pending, error: str, errors: Mapping[Partition, str]) -> None:
        self.unanswered -= 1
        pending.outcome(error, errors)
        if not self.unanswered:
            self._handle.membership.served()
