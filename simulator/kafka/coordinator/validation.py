"""Verdicts on requests, as tables: the first rule that applies decides.

The order is the real broker's, and it shows: a commit with a wrong generation by an unknown member is the member's
fault. Nothing here looks at who owns a partition, at an offset that goes backwards, or at the end of the log: a live
member may commit what it does not own. Only KIP-1251 looks at partitions, and only where the epoch is an older one; one
partition that the member has not had since then refuses the whole request.

A verdict is Kafka's name of the error, or ``ok``. What each partition can be refused for by itself is in `offsets`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import requests
from .offsets import characters
from .tables import COMPLETING, DEAD, DOWN, EMPTY, LOADING, PREPARING, Emit, Row

if TYPE_CHECKING:
    from .classic import ClassicGroup
    from .consumer_protocol import ConsumerGroup

OK = "ok"
ANY = "any"


class Rule(NamedTuple):
    """One rule: in this state of the group (``any``: in each), if this applies, this is the verdict.

    ``scripted`` as in `Row`.
    """

    state: str
    event: str
    verdict: str
    applies: Callable[[Any, Any], bool]
    scripted: bool = False

    @property
    def row(self) -> Row:
        return Row(self.state, self.event, self.verdict, self.scripted)


def judge(table: str, group: Any, request: Any, emit: Emit) -> str:
    """The verdict of the first rule of this table that applies; ``group`` is ``None`` if there is none."""
    state = DEAD if group is None else group.state
    for rule in RULES[table]:
        if rule.state in (ANY, state) and rule.applies(group, request):
            emit(table, rule.state, rule.event, rule.verdict)
            return rule.verdict
    raise LookupError(f"{table}: no rule applies to {request}")


def _always(group: object, request: object) -> bool:
    return True


# Without a group


def _without_generation(group: object, request: requests.OffsetCommit) -> bool:
    return request.generation < 0


NO_GROUP_COMMIT = (
    Rule(DEAD, "no generation", OK, _without_generation, scripted=True),
    Rule(DEAD, "a generation", "GROUP_ID_NOT_FOUND", _always, scripted=True),
)
"""A commit without a generation makes a group, which has offsets only."""

# Classic groups

MemberRequest = requests.SyncGroup | requests.Heartbeat | requests.OffsetCommit | requests.JoinGroup


def _unknown_instance(group: ClassicGroup, request: MemberRequest) -> bool:
    return request.instance_id is not None and request.instance_id not in group.instances


def _fenced_instance(group: ClassicGroup, request: MemberRequest) -> bool:
    return request.instance_id is not None and group.instances[request.instance_id] != request.member_id


def _unknown_member(group: ClassicGroup, request: MemberRequest) -> bool:
    return request.member_id not in group.by_id


def _wrong_generation(group: ClassicGroup, request: MemberRequest) -> bool:
    return request.generation != group.generation


def _outsider(group: ClassicGroup, request: requests.OffsetCommit) -> bool:
    return request.generation < 0 and not request.member_id and request.instance_id is None


_MEMBER = (
    Rule(ANY, "unknown instance id", "UNKNOWN_MEMBER_ID", _unknown_instance),
    Rule(ANY, "instance id of another", "FENCED_INSTANCE_ID", _fenced_instance),
    Rule(ANY, "unknown member", "UNKNOWN_MEMBER_ID", _unknown_member),
)
_GENERATION = Rule(ANY, "wrong generation", "ILLEGAL_GENERATION", _wrong_generation)

CLASSIC_COMMIT = (
    Rule(EMPTY, "no generation", OK, _without_generation, scripted=True),
    Rule(ANY, "no member at all", "UNKNOWN_MEMBER_ID", _outsider, scripted=True),
    *_MEMBER,
    _GENERATION,
    Rule(COMPLETING, "rebalance completes", "REBALANCE_IN_PROGRESS", _always),
    Rule(ANY, "live member", OK, _always),
)
CLASSIC_REJOIN = (*_MEMBER, Rule(ANY, "live member", OK, _always))
CLASSIC_SYNC = (
    _MEMBER[0]._replace(scripted=True),
    _MEMBER[1]._replace(scripted=True),
    _MEMBER[2],
    _GENERATION._replace(scripted=True),
    Rule(PREPARING, "must join again", "REBALANCE_IN_PROGRESS", _always),
    Rule(ANY, "live member", OK, _always),
)
CLASSIC_HEARTBEAT = (
    *_MEMBER,
    _GENERATION._replace(scripted=True),
    Rule(PREPARING, "must join again", "REBALANCE_IN_PROGRESS", _always),
    Rule(ANY, "live member", OK, _always),
)

# Groups of KIP-848


def _no_such_member(group: ConsumerGroup, request: Any) -> bool:
    return request.member_id not in group.by_id


def _older(group: ConsumerGroup, request: requests.OffsetCommit) -> bool:
    return request.generation < group.by_id[request.member_id].epoch


def _older_and_strict(group: ConsumerGroup, request: requests.OffsetCommit) -> bool:
    return not group.recent and _older(group, request)


def _older_and_not_its_own(group: ConsumerGroup, request: requests.OffsetCommit) -> bool:
    """KIP-1251: it must have got each partition by that epoch, and have it still. What is refused anyway is exempt."""
    return _older(group, request) and not all(
        group.had(request.member_id, request.generation, partition)
        for partition, commit in request.offsets.items()
        if group.takes(partition, characters(commit.metadata) + request.padding)
    )


def _newer(group: ConsumerGroup, request: requests.OffsetCommit) -> bool:
    return request.generation > group.by_id[request.member_id].epoch


CONSUMER_COMMIT = (
    Rule(EMPTY, "no epoch", OK, _without_generation, scripted=True),
    Rule(ANY, "unknown member", "UNKNOWN_MEMBER_ID", _no_such_member),
    Rule(ANY, "newer epoch", "STALE_MEMBER_EPOCH", _newer, scripted=True),
    Rule(ANY, "older epoch, before 4.3", "STALE_MEMBER_EPOCH", _older_and_strict),
    Rule(ANY, "older epoch, partition not its own", "STALE_MEMBER_EPOCH", _older_and_not_its_own, scripted=True),
    Rule(ANY, "older epoch, partitions its own", OK, _older),
    Rule(ANY, "current epoch", OK, _always),
)


def _epoch(group: ConsumerGroup, request: requests.ConsumerGroupHeartbeat) -> int:
    return group.by_id[request.member_id].epoch


def _ahead(group: ConsumerGroup, request: requests.ConsumerGroupHeartbeat) -> bool:
    return request.member_epoch > _epoch(group, request)


def _behind(group: ConsumerGroup, request: requests.ConsumerGroupHeartbeat) -> bool:
    return request.member_epoch < _epoch(group, request)


def _missed_answer(group: ConsumerGroup, request: requests.ConsumerGroupHeartbeat) -> bool:
    """It has the epoch before this one, and nothing that it should not have: the answer with the new epoch got lost."""
    member = group.by_id[request.member_id]
    if request.member_epoch >= member.epoch or request.member_epoch != member.previous_epoch or request.owned is None:
        return False
    return all(partition in member.assigned for partition in request.owned)


def _no_such_instance(group: ConsumerGroup, request: requests.ConsumerGroupHeartbeat) -> bool:
    return request.instance_id is not None and request.instance_id not in group.instances


def _other_instance(group: ConsumerGroup, request: requests.ConsumerGroupHeartbeat) -> bool:
    return request.instance_id is not None and group.instances[request.instance_id] != request.member_id


def _unreleased(group: ConsumerGroup, request: requests.ConsumerGroupHeartbeat) -> bool:
    if request.member_epoch != 0 or request.instance_id is None:
        return False
    holder = group.instances.get(request.instance_id)
    return holder is not None and group.by_id[holder].epoch != AWAY_EPOCH


def _joins(group: ConsumerGroup, request: requests.ConsumerGroupHeartbeat) -> bool:
    member = group.by_id.get(request.member_id)
    return request.member_epoch == 0 and (member is None or member.epoch == AWAY_EPOCH)


def _joins_again(group: ConsumerGroup, request: requests.ConsumerGroupHeartbeat) -> bool:
    """KAFKA-19233: a member that was fenced may begin anew under its id."""
    return request.member_epoch == 0 and group.recent


def _leaves(group: ConsumerGroup, request: requests.ConsumerGroupHeartbeat) -> bool:
    return request.member_epoch < 0


AWAY_EPOCH = -2
"""Member epoch of a static member that left for a while."""

CONSUMER_HEARTBEAT = (
    Rule(ANY, "instance id in use", "UNRELEASED_INSTANCE_ID", _unreleased),
    Rule(ANY, "joins", OK, _joins),
    Rule(ANY, "joins again", OK, _joins_again, scripted=True),
    Rule(ANY, "unknown instance id", "UNKNOWN_MEMBER_ID", _no_such_instance),
    Rule(ANY, "instance id of another", "FENCED_INSTANCE_ID", _other_instance, scripted=True),
    Rule(ANY, "unknown member", "UNKNOWN_MEMBER_ID", _no_such_member),
    Rule(ANY, "leaves", OK, _leaves),
    Rule(ANY, "newer epoch", "FENCED_MEMBER_EPOCH", _ahead, scripted=True),
    Rule(ANY, "answer was lost", OK, _missed_answer),
    Rule(ANY, "older epoch", "FENCED_MEMBER_EPOCH", _behind),
    Rule(ANY, "current epoch", OK, _always),
)


def _nobody(group: ConsumerGroup, request: requests.OffsetFetch) -> bool:
    return not request.member_id


def _other_epoch(group: ConsumerGroup, request: requests.OffsetFetch) -> bool:
    return request.member_epoch != group.by_id[request.member_id].epoch


# librdkafka names no member when it fetches offsets; Java clients do.
CONSUMER_OFFSET_FETCH = (
    Rule(ANY, "no member named", OK, _nobody),
    Rule(ANY, "unknown member", "UNKNOWN_MEMBER_ID", _no_such_member, scripted=True),
    Rule(ANY, "another epoch", "STALE_MEMBER_EPOCH", _other_epoch, scripted=True),
    Rule(ANY, "current epoch", OK, _always, scripted=True),
)

RULES = {
    "commit without a group": NO_GROUP_COMMIT,
    "classic commit": CLASSIC_COMMIT,
    "classic rejoin": CLASSIC_REJOIN,
    "classic sync": CLASSIC_SYNC,
    "classic heartbeat": CLASSIC_HEARTBEAT,
    "consumer commit": CONSUMER_COMMIT,
    "consumer heartbeat": CONSUMER_HEARTBEAT,
    "consumer offset fetch": CONSUMER_OFFSET_FETCH,
}

UNAVAILABLE = (
    Row(LOADING, "JoinGroup", "COORDINATOR_LOAD_IN_PROGRESS"),
    Row(LOADING, "SyncGroup", "COORDINATOR_LOAD_IN_PROGRESS"),
    Row(LOADING, "Heartbeat", OK),
    Row(LOADING, "LeaveGroup", "COORDINATOR_LOAD_IN_PROGRESS"),
    Row(LOADING, "ConsumerGroupHeartbeat", "COORDINATOR_LOAD_IN_PROGRESS"),
    Row(LOADING, "OffsetCommit", "COORDINATOR_LOAD_IN_PROGRESS"),
    Row(LOADING, "OffsetFetch", "COORDINATOR_LOAD_IN_PROGRESS"),
    Row(DOWN, "any request", "NOT_COORDINATOR"),
)
"""What a coordinator answers that has not loaded its group: classic heartbeats are waved through."""
