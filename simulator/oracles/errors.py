"""A consumer ends with an error only for a reason."""

from __future__ import annotations

from ..world.history import AssignmentDelivered, CommitAnswered, ErrorDelivered, ProcessEnded
from .oracle import Oracle, Subscriptions

OF_THE_CLIENT = (
    "ClientError",
    "AuthenticationFailed",
    "AuthorizationFailed",
    "BrokerUnreachable",
    "UnknownTopic",
    "Fenced",
)
FATAL_TO_COMMITS = ("GROUP_AUTHORIZATION_FAILED", "TOPIC_AUTHORIZATION_FAILED", "FENCED_INSTANCE_ID", "_FATAL")
"""Codes that say that no commit of this member can succeed."""


class Errors(Oracle):
    """Reasons are a record that is exhausted, a fatal error of the client, and a start that fails."""

    name = "errors"
    promise = "G5"
    says = "a consumer goes on through transient errors, and ends with the error that it can't survive"

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._fatal: set[str] = set()
        self._assigned: set[str] = set()

    def subscriptions(self) -> Subscriptions:
        return {
            ErrorDelivered: self._told,
            CommitAnswered: self._answered,
            AssignmentDelivered: self._began,
            ProcessEnded: self._ended,
        }

    def _exhausted(self, process: str) -> bool:
        most = self.expected.attempts
        finished = self.truth.process(process).finished
        return most is not None and any(call.outcome == "failed" and call.attempt >= most for call in finished)

    def _told(self, event: ErrorDelivered) -> None:
        if event.fatal:
            self._fatal.add(event.process)

    def _answered(self, event: CommitAnswered) -> None:
        if event.error in FATAL_TO_COMMITS:
            self._fatal.add(event.process)

    def _began(self, event: AssignmentDelivered) -> None:
        self._assigned.add(event.process)

    def _ended(self, event: ProcessEnded) -> None:
        if not event.error:
            return
        kind, process = event.error.split(":", 1)[0], event.process
        if kind == "HandlerFailed":
            if not self._exhausted(process) or self.expected.exhausted != "halt":
                self.found(f"{process} ended with {event.error}, and no record of it was exhausted")
        elif kind in OF_THE_CLIENT:
            if process in self._assigned and process not in self._fatal:
                self.found(f"{process} ended with {event.error}, which is not fatal")
        elif kind != "CallbackFailed" or not self.expected.hooks:
            self.found(f"{process} ended with {event.error}")
