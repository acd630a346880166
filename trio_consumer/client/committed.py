"""What the broker holds for newly assigned partitions, read inside the assign callback.

The client reads past the end of metadata that other clients wrote without a trailing NUL: it can bring stray bytes, or
fail to decode, which shows when the metadata is looked at. A call that fails for one partition fails for all, so then
each is asked for alone. What can't be read is said so; the client then starts where its own reading of the committed
offset tells it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from confluent_kafka import Consumer, KafkaException, TopicPartition

from ..record import Partition
from .port import Committed

COMMITTED_SECONDS = 5.0
"""How long the broker gets to answer for all partitions of one assignment."""
AGAIN_SECONDS = 5.0
"""How long for the second round, one partition at a time."""


def read(consumer: Consumer, partitions: Sequence[Partition]) -> dict[Partition, Committed]:
    """Offset and metadata of each partition, or why it could not be read."""
    try:
        found = consumer.committed(_asked(partitions), timeout=COMMITTED_SECONDS)
    except KafkaException as error:
        if len(partitions) == 1:
            return {partitions[0]: Committed(error=_reason(error))}
        return _one_by_one(consumer, partitions)
    return {Partition(one.topic, one.partition): _committed(one) for one in found}


def _one_by_one(consumer: Consumer, partitions: Sequence[Partition]) -> dict[Partition, Committed]:
    until = time.monotonic() + AGAIN_SECONDS
    found = {}
    for partition in partitions:
        left = until - time.monotonic()
        if left <= 0:
            found[partition] = Committed(error=f"no answer within {COMMITTED_SECONDS + AGAIN_SECONDS:g} s")
            continue
        try:
            found[partition] = _committed(consumer.committed(_asked([partition]), timeout=left)[0])
        except KafkaException as error:
            found[partition] = Committed(error=_reason(error))
    return found


def _asked(partitions: Sequence[Partition]) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for topic, number in partitions]


def _committed(found: TopicPartition) -> Committed:
    if found.error:
        return Committed(error=found.error.str() or str(found.error.name()))
    if found.offset < 0:
        return Committed()
    try:
        return Committed(found.offset, found.metadata or "")
    except UnicodeDecodeError:
        return Committed(found.offset, error="its metadata is not text; another client wrote it")


def _reason(error: KafkaException) -> str:
    return str(error.args[0].str()) if error.args else str(error)
