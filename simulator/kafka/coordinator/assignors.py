"""Who gets which partition under KIP-848, as the coordinator decides: its uniform assignor.

A pure function; members and partitions are taken in order, never as a set. What the leader of a classic group decides
is the client's: `simulator.client.assignors`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trio_consumer import Partition

Assignments = dict[str, tuple[Partition, ...]]


def balanced(
    subscriptions: Mapping[str, Sequence[str]], owned: Mapping[str, Sequence[Partition]], topics: Mapping[str, int]
) -> Assignments:
    """As even as the subscriptions allow, with as few moves as possible.

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
