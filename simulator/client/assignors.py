"""Who gets which partition in a classic group, as its leader decides: range and cooperative-sticky.

Both are plain functions of the members' subscriptions and the topics' partitions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from trio_consumer import Partition

from ..kafka.requests import JoinGroup

Assignments = dict[str, tuple[Partition, ...]]


def by_range(members: Mapping[str, JoinGroup], counts: Mapping[str, int]) -> Assignments:
    """Of each topic a stretch of partitions for each member, the first ones one longer if need be."""
    given: dict[str, list[Partition]] = {member: [] for member in sorted(members)}
    for topic in sorted(counts):
        readers = [member for member in given if topic in members[member].topics]
        start = 0
        for index, member in enumerate(readers):
            share = counts[topic] // len(readers) + (index < counts[topic] % len(readers))
            given[member] += [Partition(topic, number) for number in range(start, start + share)]
            start += share
    return {member: tuple(partitions) for member, partitions in given.items()}


def cooperative_sticky(members: Mapping[str, JoinGroup], counts: Mapping[str, int]) -> Assignments:
    """Even shares, with as few moves as possible; what moves is first withheld until its owner has given it up."""
    owners = _owners(members, counts)
    given: dict[str, list[Partition]] = {member: [] for member in sorted(members)}
    everything = [Partition(topic, number) for topic in sorted(counts) for number in range(counts[topic])]
    few, more = divmod(len(everything), len(given)) if given else (0, 0)
    homeless = []
    for partition in reversed(everything):  # who has too many gives away the first ones
        owner = owners.get(partition)
        room = few + (1 if more > 0 else 0)
        if owner is None or partition.topic not in members[owner].topics or len(given[owner]) >= room:
            homeless.append(partition)
            continue
        given[owner].append(partition)
        if len(given[owner]) > few:
            more -= 1
    for partition in reversed(homeless):
        readers = [member for member in given if partition.topic in members[member].topics]
        if readers:
            least = min(readers, key=lambda member: len(given[member]))
            given[least].append(partition)
    return {
        member: tuple(one for one in sorted(partitions) if owners.get(one, member) == member)
        for member, partitions in given.items()
    }


def _owners(members: Mapping[str, JoinGroup], counts: Mapping[str, int]) -> dict[Partition, str]:
    """Who says that a partition is theirs; the later generation is right, and of two equal ones none."""
    owners: dict[Partition, str] = {}
    generations: dict[Partition, int] = {}
    for member in sorted(members):
        joined = members[member]
        for partition in joined.owned:
            if partition.number >= counts.get(partition.topic, 0):
                continue
            known = generations.get(partition, -2)
            if joined.generation > known:
                owners[partition], generations[partition] = member, joined.generation
            elif joined.generation == known:
                owners.pop(partition, None)
    return owners


ASSIGNORS: Mapping[str, Callable[[Mapping[str, JoinGroup], Mapping[str, int]], Assignments]] = {
    "range": by_range,
    "cooperative-sticky": cooperative_sticky,
}
