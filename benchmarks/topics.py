"""Topics on a cluster: filled, checked, and what a group has committed in them. All of it blocks."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Protocol

from confluent_kafka import Consumer, TopicPartition

from trio_consumer.client.produce import produce

from .model import Workload

SECONDS_MAX = 20.0


class Cluster(Protocol):
    """Where topics are made."""

    @property
    def bootstrap_servers(self) -> str: ...

    def create_topic(self, topic: str, partitions: int) -> None: ...


class TopicUnusable(Exception):
    """The cluster does not hold what was produced."""


def unique(what: str) -> str:
    """A name that nobody has used."""
    return f"{what}-{uuid.uuid4().hex[:12]}"


def fill(cluster: Cluster, topic: str, workload: Workload) -> None:
    """Create a topic and produce the workload to it.

    Raises:
        TopicUnusable: The cluster has dropped records already.
    """
    cluster.create_topic(topic, workload.partitions)
    settings = {"bootstrap.servers": cluster.bootstrap_servers, "linger.ms": 20, "log_level": 3}
    produce(settings, topic, workload, lambda _: None)
    for number, (found, count) in enumerate(
        zip(log_bounds(cluster.bootstrap_servers, topic, workload.partitions), workload.counts, strict=True)
    ):
        if found != (0, count):
            raise TopicUnusable(
                f"{topic}[{number}] holds the offsets {found[0]} to {found[1]} instead of 0 to {count}: an embedded "
                "cluster keeps some 5 MiB of each partition; give fewer --records, or --kafka"
            )


def log_bounds(bootstrap_servers: str, topic: str, partitions: int) -> list[tuple[int, int]]:
    """First and next offset of each partition's log."""
    consumer = _reader(bootstrap_servers, unique("reader"))
    try:
        return [
            consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=SECONDS_MAX) or (-1, -1)
            for number in range(partitions)
        ]
    finally:
        consumer.close()


def wrong_commits(bootstrap_servers: str, group: str, topic: str, counts: Sequence[int]) -> list[str]:
    """What is wrong with a group's committed offsets, if it has handled everything."""
    consumer = _reader(bootstrap_servers, group)
    try:
        wanted = [TopicPartition(topic, number) for number in range(len(counts))]
        found = {one.partition: one.offset for one in consumer.committed(wanted, timeout=SECONDS_MAX)}
    finally:
        consumer.close()
    wrong = [number for number, count in enumerate(counts) if count and found.get(number) != count]
    if not wrong:
        return []
    first = wrong[0]
    return [f"{len(wrong)} partitions are not committed to their end, [{first}] {found.get(first)} of {counts[first]}"]


def _reader(bootstrap_servers: str, group: str) -> Consumer:
    return Consumer({"bootstrap.servers": bootstrap_servers, "group.id": group, "log_level": 2})
