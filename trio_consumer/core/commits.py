"""When to commit, what, and what an answer means.

Invariants:

- A plan is one immutable snapshot of each changed tenure: committable offset and offset map together.
- What a plan covered is clean only when the broker has acknowledged that plan.
- After an error nothing is known of any partition of the plan: all of them are dirty again.
- Planning costs what changed since the last plan: the span from the committable offset to the highest completed one of
  the changed tenures.

It knows nothing of how a commit travels; the caller keeps one in flight.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping

import attrs

from ..client.port import Commit
from ..record import Partition
from .offset_map import encode
from .tenures import Tenure, TenureState

RETRY_SECONDS = 0.25
"""Pause before a failed commit is sent again; it doubles with each failure in a row."""
RETRY_SECONDS_MAX = 10.0


class Rule(enum.Enum):
    """What follows a failed commit."""

    AGAIN = "again"
    """Send the newest snapshot again, for as long as the tenure lives."""
    SMALLER = "smaller"
    """The same with half the offset map."""
    FATAL = "fatal"
    """No commit of this member can succeed: the consumer ends."""


@attrs.frozen
class RuleRow:
    rule: Rule
    source: str


RULES: Mapping[str, RuleRow] = {
    "REBALANCE_IN_PROGRESS": RuleRow(
        Rule.AGAIN, "classic group completing a rebalance (GroupCoordinator.validateOffsetCommit)"
    ),
    "ILLEGAL_GENERATION": RuleRow(
        Rule.AGAIN, "the generation moved on while the commit travelled; routine under cooperative-sticky"
    ),
    "STALE_MEMBER_EPOCH": RuleRow(Rule.AGAIN, "KIP-848: the member epoch moved on while the commit travelled"),
    "UNKNOWN_MEMBER_ID": RuleRow(Rule.AGAIN, "the session expired; the loss follows and ends the tenure"),
    "FENCED_MEMBER_EPOCH": RuleRow(Rule.AGAIN, "KIP-848: the member was expelled and rejoins; the loss follows"),
    "NOT_COORDINATOR": RuleRow(Rule.AGAIN, "the group moved to another broker"),
    "COORDINATOR_NOT_AVAILABLE": RuleRow(Rule.AGAIN, "the group's broker is not ready"),
    "COORDINATOR_LOAD_IN_PROGRESS": RuleRow(Rule.AGAIN, "the group's broker is loading its offsets"),
    "UNKNOWN_TOPIC_OR_PART": RuleRow(Rule.AGAIN, "the topic was deleted; a rebalance takes the partition"),
    "UNSTABLE_OFFSET_COMMIT": RuleRow(Rule.AGAIN, "KIP-447: a transaction holds the offset"),
    "REQUEST_TIMED_OUT": RuleRow(Rule.AGAIN, "applied or not, nobody knows"),
    "_TIMED_OUT": RuleRow(Rule.AGAIN, "applied or not, nobody knows"),
    "_TRANSPORT": RuleRow(Rule.AGAIN, "the connection broke: applied or not, nobody knows"),
    "_WAIT_COORD": RuleRow(Rule.AGAIN, "librdkafka: no coordinator is known"),
    "_NOT_ASSIGNED": RuleRow(Rule.AGAIN, "the client's own fence: a partition left while the commit was queued"),
    "_SUPERSEDED": RuleRow(Rule.AGAIN, "a revoke's commit overtook this one"),
    "OFFSET_METADATA_TOO_LARGE": RuleRow(
        Rule.SMALLER, "offset.metadata.max.bytes of the broker; the other partitions were committed"
    ),
    "GROUP_AUTHORIZATION_FAILED": RuleRow(Rule.FATAL, "ACL: the group may not be read"),
    "TOPIC_AUTHORIZATION_FAILED": RuleRow(Rule.FATAL, "ACL: the topic may not be read"),
    "FENCED_INSTANCE_ID": RuleRow(Rule.FATAL, "another member uses this group.instance.id"),
    "GROUP_ID_NOT_FOUND": RuleRow(Rule.AGAIN, "the group was deleted; the member rejoins"),
    "_FATAL": RuleRow(Rule.FATAL, "librdkafka: this client can't go on"),
}
"""By Kafka's name of the error. What is not listed is sent again, unless the client calls it fatal."""


def rule_for(code: str, *, fatal: bool) -> Rule:
    if fatal:
        return Rule.FATAL
    row = RULES.get(code)
    return Rule.AGAIN if row is None else row.rule


@attrs.frozen
class Plan:
    """One commit request: an immutable snapshot."""

    offsets: Mapping[Partition, Commit]
    tenures: tuple[Tenure, ...]


def _nobody() -> None:
    """Nobody waits."""


class Commits:
    """Decides when a commit is due, and keeps what the broker has acknowledged.

    Attributes:
        on_pending: Called when something may have to be committed, after nothing had.
        resolved: Records resolved since the last plan.
        cut: How many offset maps were cut to a prefix.
        acknowledged: How many plans the broker has acknowledged.
        errors: Failed plans by code.
        map_characters_max: Limit of an offset map; halved when the broker refuses one as too large.
    """

    def __init__(self, interval: float, count: int, map_characters_max: int) -> None:
        self._interval = interval
        self._count = count
        self._dirty: dict[Tenure, None] = {}
        self._not_before = float("-inf")
        self._failures = 0
        self.on_pending: Callable[[], object] = _nobody
        self.resolved = 0
        self.cut = 0
        self.acknowledged = 0
        self.errors: dict[str, int] = {}
        self.map_characters_max = map_characters_max

    def touch(self, tenure: Tenure) -> None:
        """Something of this tenure changed."""
        if not tenure.dirty and tenure.state is not TenureState.ENDED:
            tenure.dirty = True
            first = not self._dirty
            self._dirty[tenure] = None
            if first:
                self.on_pending()

    def forget(self, tenure: Tenure) -> None:
        """The tenure has ended: nothing of it is committed any more."""
        tenure.dirty = False
        self._dirty.pop(tenure, None)

    @property
    def pending(self) -> bool:
        """True if something may have to be committed."""
        return bool(self._dirty)

    @property
    def failing(self) -> bool:
        """True if the last answer was an error."""
        return self._failures > 0

    def collect(self, now: float) -> None:
        """The first change since nothing was left to commit; after a long pause, wait an interval for others."""
        if self._not_before <= now:
            self._not_before = now + self._interval

    def due_at(self) -> float | None:
        """The time at which to plan, in the past if at once; ``None`` while there is nothing to commit."""
        if not self._dirty:
            return None
        if self.resolved >= self._count and not self._failures:
            return float("-inf")
        return self._not_before

    def plan(self, now: float) -> Plan | None:
        """A snapshot of all that changed, or ``None`` if the broker has it already."""
        self.resolved = 0
        plan = self.snapshot(tuple(self._dirty))
        if plan is not None:
            self._not_before = now + self._interval
        return plan

    def snapshot(self, tenures: Iterable[Tenure]) -> Plan | None:
        """One immutable snapshot of these tenures, less what the broker has already."""
        offsets: dict[Partition, Commit] = {}
        covered: list[Tenure] = []
        for tenure in tenures:
            tenure.dirty = False
            self._dirty.pop(tenure, None)
            commit = self._commit_of(tenure)
            if commit is not None and commit != tenure.acknowledged:
                offsets[tenure.partition] = commit
                covered.append(tenure)
        return Plan(offsets, tuple(covered)) if offsets else None

    def _commit_of(self, tenure: Tenure) -> Commit | None:
        snapshot = tenure.ledger.snapshot()
        if snapshot.committable is None:
            return None
        encoded = encode(snapshot.committable, snapshot.completed, self.map_characters_max)
        if encoded.covered != snapshot.completed and self.map_characters_max:
            self.cut += 1
        tenure.map_characters = len(encoded.text)
        return Commit(snapshot.committable, encoded.text)

    def succeeded(self, plan: Plan) -> None:
        """The broker has acknowledged all of the plan."""
        self._failures = 0
        self.acknowledged += 1
        for tenure in plan.tenures:
            tenure.acknowledged = commit = plan.offsets[tenure.partition]
            tenure.committed = commit.offset

    def failed(self, plan: Plan, code: str, now: float, *, fatal: bool = False) -> Rule:
        """Nothing is known of the plan's partitions: they are dirty again, and their old acknowledgement is void."""
        self.errors[code] = self.errors.get(code, 0) + 1
        pause = min(RETRY_SECONDS_MAX, RETRY_SECONDS * 2 ** min(self._failures, 16))
        self._failures += 1
        self._not_before = max(self._not_before, now + pause)
        rule = rule_for(code, fatal=fatal)
        for tenure in plan.tenures:
            tenure.acknowledged = None
            self.touch(tenure)
        if rule is Rule.SMALLER:
            longest = max(len(commit.metadata) for commit in plan.offsets.values())
            self.map_characters_max = min(self.map_characters_max, longest // 2)
        return rule
