"""Who gets which partition: pure functions, for the leader of a classic group and for the coordinator of KIP-848.

All are deterministic: members and partitions are taken in order, never as a set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trio_consumer import Partition

from ..requests import JoinGroup

Assignments = dict[str, tuple[Partition, ...]]


def assign(protocol: str, members: Mapping[str, JoinGroup], topics: Mapping[str, int]) -> Assignments:
    """The plan of a classic group's leader.

    Args:
        protocol: ``range`` or ``cooperative-sticky``.
        members: What the leader was told: each member's `JoinGroup`, by member id.
        topics: How many partitions each topic has.

    Raises:
        LookupError: There is no such protocol.
    """
    if protocol == "range":
        return range_of(members, topics)
    if protocol == "cooperative-sticky":
        return cooperative(members, topics)
    raise LookupError(f"partition.assignment.strategy={protocol!r}: the simulator has range and cooperative-sticky")


def range_of(members: Mapping[str, JoinGroup], topics: Mapping[str, int]) -> Assignments:
    """Each topic by itself in contiguous ranges; the first members get one more. Static members by instance id."""
    order = sorted(members, key=lambda member_id: (members[member_id].instance_id or "", member_id))
    plan: dict[str, list[Partition]] = {member_id: [] for member_id in members}
    for topic in sorted(topics):
        subscribed = [member_id for member_id in order if topic in members[member_id].topics]
        if not subscribed:
            continue
        each, more = divmod(topics[topic], len(subscribed))
        first = 0
        for place, member_id in enumerate(subscribed):
            count = each + (place < more)
            plan[member_id].extend(Partition(topic, number) for number in range(first, first + count))
            first += count
    return {member_id: tuple(partitions) for member_id, partitions in plan.items()}


def cooperative(members: Mapping[str, JoinGroup], topics: Mapping[str, int]) -> Assignments:
    """Balanced, with as few moves as possible; what moves is given to nobody until its owner has given it back.

    If two members claim a partition, the one of the later generation has it.
    """
    owners: dict[Partition, str] = {}
    for member_id, request in members.items():
        for partition in request.owned:
            other = owners.get(partition)
            if other is None or members[other].generation < request.generation:
                owners[partition] = member_id
    owned: dict[str, list[Partition]] = {member_id: [] for member_id in members}
    for partition, member_id in owners.items():
        owned[member_id].append(partition)
    goal = balanced({member_id: request.topics for member_id, request in members.items()}, owned, topics)
    return {
        member_id: tuple(partition for partition in partitions if owners.get(partition, member_id) == member_id)
        for member_id, partitions in goal.items()
    }


def balanced(
    subscriptions: Mapping[str, Sequence[str]], owned: Mapping[str, Sequence[Partition]], topics: Mapping[str, int]
) -> Assignments:
    """As even as the subscriptions allow, with as few moves as possible. Also KIP-848's target: its uniform assignor.

    Args:
        subscriptions: The topics of each member, by member id.
        owned: What each has now; no partition twice.
        topics: How many partitions each topic has.
    """
    plan: dict[str, list[Partition]] = {member_id: [] for member_id in subscriptions}
    holder: dict[Partition, str] = {}
    for member_id, wanted in subscriptions.items():
        for partition in owned.get(member_id, ()):
            if partition.topic in wanted and partition.number < topics.get(partition.topic, 0):
                holder[partition] = member_id
    for topic in sorted(topics):
        able = [member_id for member_id, wanted in subscriptions.items() if topic in wanted]
        if able:
            for number in range(topics[topic]):
                partition = Partition(topic, number)
                if partition in holder:
                    plan[holder[partition]].append(partition)
    for topic in sorted(topics):
        able = [member_id for member_id, wanted in subscriptions.items() if topic in wanted]
        if able:
            for number in range(topics[topic]):
                partition = Partition(topic, number)
                if partition not in holder:
                    plan[min(able, key=lambda member_id: len(plan[member_id]))].append(partition)
    _even_out(plan, subscriptions)
    return {member_id: tuple(sorted(partitions)) for member_id, partitions in plan.items()}


def _even_out(plan: dict[str, list[Partition]], subscriptions: Mapping[str, Sequence[str]]) -> None:
    """Move one partition at a time from who has most to who has at least two fewer, until nothing is left to gain."""
    moved = True
    while moved:
        moved = False
        for giver in sorted(plan, key=lambda member_id: -len(plan[member_id])):
            for taker in sorted(plan, key=lambda member_id: len(plan[member_id])):
                if len(plan[giver]) - len(plan[taker]) < 2:
                    break
                mobile = [partition for partition in plan[giver] if partition.topic in subscriptions[taker]]
                if mobile:
                    plan[giver].remove(mobile[-1])
                    plan[taker].append(mobile[-1])
                    moved = True
                    break
            if moved:
                break
