"""The two nouns of the whole library: a partition and a record."""

from __future__ import annotations

from typing import Any, NamedTuple

Headers = list[tuple[str, bytes | None]]


class Partition(NamedTuple):
    """A topic and the number of one of its partitions. Reads as ``orders[3]`` in logs and errors."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.number}]"


class Record:
    """One record as a handler sees it. Treat it as immutable.

    Args:
        topic: The topic's name.
        partition: The number of the partition.
        offset: The record's index in its partition.
        key: The key's bytes, or what ``decode_key`` made of them; ``None`` if the record has no key.
        value: The value's bytes, or what ``decode_value`` made of them; ``None`` for a tombstone.
        headers: Name and value pairs in the order of the record; ``None`` if it has none.
        timestamp: Milliseconds since the Unix epoch, as the producer or the broker set it; ``None`` if unknown.
        attempt: 1 for the first call of the handler with this record in this tenure, 2 for the second, ...
    """

    __slots__ = ("attempt", "headers", "key", "offset", "partition", "timestamp", "topic", "value")

    def __init__(
        self,
        topic: str,
        partition: int,
        offset: int,
        key: Any = None,
        value: Any = None,
        headers: Headers | None = None,
        timestamp: int | None = None,
        attempt: int = 1,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.key = key
        self.value = value
        self.headers = headers
        self.timestamp = timestamp
        self.attempt = attempt

    def __repr__(self) -> str:
        # Coordinates only: keys and values may be secret, and reprs end in logs.
        return f"<Record {self.topic}[{self.partition}]@{self.offset} attempt={self.attempt}>"
