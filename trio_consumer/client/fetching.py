"""From the client's messages to records, batch by batch. The hot path: one loop, nothing else per record.

A position is only asked of the client when nothing that it has handed out is still in hand: it counts what was handed
out, and a position past an undelivered record would let a commit skip it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Container, Iterable, Sequence
from typing import Any, NamedTuple

import attrs
from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Consumer, KafkaException, Message, TopicPartition

from ..record import Partition, Record

ENDS_SECONDS = 0.2
"""How often the log ends are looked up, at most. The client has them at hand, but not for nothing."""


class Built(NamedTuple):
    """What `build` made of a batch.

    Args:
        records: Those of the partitions that are ours.
        positions: For each of these partitions the offset after its last record.
        bytes_max: Length of the longest key and of the longest value, added up.
    """

    records: list[Record]
    positions: dict[Partition, int]
    bytes_max: int


def build(messages: list[Message], ours: Container[Partition], *, one_topic: bool) -> Built:
    """Turn messages into records.

    It empties the list, so that there is never more than one of the two for each record: objects that live side by side
    are what makes the garbage collector work.

    Args:
        messages: None with an error.
        ours: The partitions whose records count.
        one_topic: True if all messages are of the same topic, which need not be asked for each then.
    """
    records: list[Record] = []
    append, new, unknown = records.append, Record.__new__, TIMESTAMP_NOT_AVAILABLE
    key_max, value_max = 0, max(map(len, messages), default=0)  # a message is as long as its value
    ends: dict[Partition, int] = {}
    topic: Any = None
    number: Any = None
    partition: Partition | None = None
    mine = False
    offset = -1
    messages.reverse()
    take = messages.pop
    while messages:
        message = take()
        # Records come in long stretches of one partition, and all of them share its text.
        if message.partition() != number or not (one_topic or message.topic() == topic):
            if mine and partition is not None:
                ends[partition] = offset + 1
            topic, number = message.topic(), message.partition()
            partition = Partition(topic, number)
            mine = partition in ours
        if not mine:
            continue
        # Without the call of Record() a record costs a fifth less.
        record = new(Record)
        record.topic = topic
        record.partition = number
        record.offset = offset = message.offset()  # type: ignore[assignment]
        record.key = key = message.key()
        record.value = message.value()
        if key is not None and len(key) > key_max:
            key_max = len(key)
        record.headers = message.headers()  # type: ignore[assignment]
        kind, timestamp = message.timestamp()
        record.timestamp = None if kind == unknown else timestamp
        record.attempt = 1
        append(record)
    if mine and partition is not None:
        ends[partition] = offset + 1
    return Built(records, ends, key_max + value_max)


def partition_of(message: Message) -> tuple[str | None, int | None]:
    """Compares equal to its `Partition`."""
    return message.topic(), message.partition()


def topic_partitions(partitions: Iterable[Partition]) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for topic, number in partitions]


@attrs.define
class Reading:
    """How far the client has read, and how far it could: what changed since it was last said.

    Until a partition's first record the client knows the log end of an earlier tenure, which may be far too low. So the
    end comes with that record at the latest: the fetch response that brought the record brought the end too.

    Until a partition's first record the client has no position either, only the word that it has come to the end.
    """

    _positions: dict[Partition, int] = attrs.field(factory=dict)
    _ends: dict[Partition, int] = attrs.field(factory=dict)
    _ends_due: float = 0.0
    _begun: set[Partition] = attrs.field(factory=set)
    _reached: dict[Partition, int] = attrs.field(factory=dict)

    def forget(self, partitions: Iterable[Partition]) -> None:
        for partition in partitions:
            self._reached.pop(partition, None)
            self._positions.pop(partition, None)
            self._ends.pop(partition, None)
            self._begun.discard(partition)

    def delivered(self, positions: dict[Partition, int]) -> None:
        """These were said already."""
        self._positions.update(positions)

    def reached(self, partition: Partition, offset: int) -> None:
        """The client has come to the end of this partition. What it handed out before may still be in hand."""
        self._reached[partition] = offset

    def moved(self, consumer: Consumer, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Positions that have changed, of these partitions and of all that came to their end.

        To be called with nothing in hand.
        """
        positions, self._reached = self._reached, {}
        for found in _positions_of(consumer, {*partitions, *positions}):
            partition = Partition(found.topic, found.partition)
            # Unknown until the first record, and again after a seek.
            if not found.error and found.offset > positions.get(partition, -1):
                positions[partition] = found.offset
        moved = {one: offset for one, offset in positions.items() if offset != self._positions.get(one)}
        self._positions.update(moved)
        return moved

    def ends(
        self, consumer: Consumer, partitions: Iterable[Partition], delivered: Collection[Partition] = ()
    ) -> dict[Partition, int]:
        """Log ends that have changed, as the last fetch responses told them.

        Args:
            consumer: The client.
            partitions: Those that are ours.
            delivered: Those that have records in the batch that this goes with.
        """
        first = [partition for partition in delivered if partition not in self._begun]
        self._begun.update(first)
        now = time.monotonic()
        if now < self._ends_due:
            partitions = first
        else:
            self._ends_due = now + ENDS_SECONDS
        changed = {}
        for partition in partitions:
            try:
                _, end = consumer.get_watermark_offsets(TopicPartition(*partition), cached=True)
            except (KafkaException, TypeError):
                continue
            if end >= 0 and end != self._ends.get(partition):
                changed[partition] = end
        self._ends.update(changed)
        return changed


def _positions_of(consumer: Consumer, partitions: Collection[Partition]) -> Sequence[TopicPartition]:
    if not partitions:
        return ()
    try:
        return consumer.position(topic_partitions(partitions))
    except KafkaException:
        return ()  # not known now; asked again later
