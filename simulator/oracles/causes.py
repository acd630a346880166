"""What the faults so far may have caused: so that an oracle can tell a consequence from a mistake.

A member that loses its membership, or two that believe they own a partition, is legal after some faults only. A kind of
fault that is not known here is taken for one of these: rather a miss than a false alarm.
"""

from __future__ import annotations

HARMLESS = frozenset(
    {
        "crash", "crash-in-commit", "crash-in-revoke", "crash-slow-restart", "leave", "cancel", "join",
        "rebalance-storm", "commit-fails-in-part", "commit-resent", "commit-timed-out", "metadata-limit",
        "offset-fetch-fails", "foreign-metadata", "fetch-slow", "fetch-partial", "fetch-error", "fetch-throttled",
        "topic-authorization", "leader-moves", "unclean-truncation", "retention", "delete-records", "compaction",
        "partitions-added", "duplicate-append", "offsets-expire", "offsets-reset", "handler-fails",
        "handler-fails-always", "handler-raises-group", "handler-slow", "handler-hangs",
        "handler-ignores-cancellation", "handler-cancelled-on-way-out", "handler-fails-while-cancelled",
        "dead-letter-down", "dead-letter-response-lost", "hook-slow",
    }
)  # fmt: skip
"""These cost nobody the membership in the group: heartbeats have a connection and a thread of their own."""

OF_ONE_PROCESS = frozenset(
    {
        "stall", "stall-past-session", "loop-blocked", "loop-blocked-past-poll-interval", "cut", "cut-past-session",
        "cut-requests", "cut-responses", "cut-coordinator", "cut-leader", "slow-network", "connection-reset",
        "slow-response", "response-lost", "commit-response-lost", "commit-delayed", "commit-not-coordinator",
        "commit-loading",
    }
)  # fmt: skip
"""These may cost the process that they name its membership, and nobody else."""


class Causes:
    """See the module.

    Attributes:
        impaired: Processes that may have lost their membership by a fault.
        all_impaired: True if any process may have.
    """

    def __init__(self) -> None:
        self.impaired: set[str] = set()
        self.all_impaired = False
        self._fired: set[tuple[str, str]] = set()

    def note(self, kind: str, target: str) -> None:
        """A fault fired."""
        self._fired.add((kind, target))
        if kind in OF_ONE_PROCESS:
            self.impaired.add(target)
        elif kind not in HARMLESS:
            self.all_impaired = True

    def fired(self, kind: str, target: object) -> bool:
        """Whether this fault has hit this target."""
        return (kind, str(target)) in self._fired

    def evicts(self, process: str) -> bool:
        """Whether this process may have lost its membership by a fault."""
        return self.all_impaired or process in self.impaired
