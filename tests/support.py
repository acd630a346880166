"""What tests of several folders need around a cluster: names, records, committed offsets.

Everything here blocks for some milliseconds; while a consumer runs in the same Trio loop, call it by
``trio.to_thread.run_sync``.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from trio_consumer.client.port import Committed
from trio_consumer.record import Partition

SECONDS_MAX = 20.0
"""Deadline of each helper; nothing here takes that long unless it fails."""

Value = bytes | str | None
UNASSIGNED = -1
_NO_OFFSET = -1001


class Cluster(Protocol):
    """What a test needs of the brokers: an `EmbeddedCluster` and a `KafkaBroker` both have it."""

    @property
    def bootstrap_servers(self) -> str: ...

    def create_topic(self, topic: str, partitions: int) -> None: ...


def unique(what: str) -> str:
    """A name for a topic or group that no other test has used."""
    return f"{what}-{uuid.uuid4().hex[:12]}"


def new_topic(cluster: Cluster, partitions: int, what: str = "topic") -> str:
    """Create a topic of its own for this test; its name."""
    topic = unique(what)
    cluster.create_topic(topic, partitions)
    return topic


def keyed(count: int, keys: int = 10) -> list[tuple[bytes, bytes]]:
    """So many records: values count from 0, and the keys take turns."""
    return [(b"key-%d" % (number % keys), b"%d" % number) for number in range(count)]


def produce(
    bootstrap_servers: str,
    topic: str,
    records: Iterable[tuple[Value, Value]],
    *,
    partition: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> list[tuple[Partition, int]]:
    """Produce key and value pairs, and return where each landed, in the same order, once all are acknowledged.

    Args:
        bootstrap_servers: The cluster.
        topic: An existing topic.
        records: Key and value of each.
        partition: Where they go; by their keys if ``None``.
        settings: Further settings of the producer.

    Raises:
        KafkaException: A record was not acknowledged.
    """
    producer = Producer({"bootstrap.servers": bootstrap_servers, "linger.ms": 1, "log_level": 2, **(settings or {})})
    landed: list[tuple[Partition, int]] = []
    failed: list[KafkaError] = []

    def reserve() -> Callable[[KafkaError | None, Message], None]:
        index = len(landed)
        landed.append((Partition(topic, -1), -1))

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                failed.append(error)
            else:
                landed[index] = (_partition(message), message.offset() or 0)

        return delivered

    number = UNASSIGNED if partition is None else partition
    for key, value in records:
        delivered = reserve()
        while True:
            try:
                producer.produce(topic, key=key, value=value, partition=number, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
    remaining = producer.flush(SECONDS_MAX)
    if failed:
        raise KafkaException(failed[0])
    if remaining:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"{remaining} records not acknowledged"))
    return landed


def committed(bootstrap_servers: str, group: str, partitions: Iterable[Partition]) -> dict[Partition, Committed]:
    """What the broker holds for a group: offset and metadata of each partition."""
    wanted = [TopicPartition(partition.topic, partition.number) for partition in partitions]
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": group, "log_level": 2})
    try:
        found = consumer.committed(wanted, timeout=SECONDS_MAX)
    finally:
        consumer.close()
    return {
        Partition(one.topic, one.partition): Committed(
            offset=None if one.offset == _NO_OFFSET else one.offset,
            metadata=one.metadata or "",
            error=one.error.name() if one.error else None,
        )
        for one in found
    }


def consume_all(bootstrap_servers: str, topic: str, count: int) -> list[tuple[Partition, int, bytes | None]]:
    """The first so many records of a topic, as partition, offset and value, read without a group's offsets."""
    settings = {"group.id": unique("reader"), "auto.offset.reset": "earliest", "enable.auto.commit": False}
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "log_level": 2, **settings})
    found: list[tuple[Partition, int, bytes | None]] = []
    try:
        numbers = consumer.list_topics(topic, timeout=SECONDS_MAX).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in numbers])
        while len(found) < count:
            message = consumer.poll(SECONDS_MAX)
            if message is None:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"{len(found)} of {count} records arrived"))
            if error := message.error():
                raise KafkaException(error)
            found.append((_partition(message), message.offset() or 0, message.value()))
    finally:
        consumer.close()
    return found


def _partition(message: Message) -> Partition:
    return Partition(message.topic() or "", message.partition() or 0)
