"""Messages into records: whose they are, and how long."""

from __future__ import annotations

from typing import Any

from confluent_kafka import Message

from trio_consumer.client.fetching import build
from trio_consumer.record import Partition

A, B = Partition("orders", 0), Partition("refunds", 0)


def message(partition: Partition, offset: int, key: bytes | None = b"k", value: bytes | None = b"v") -> Message:
    given: dict[str, Any] = {"topic": partition.topic, "partition": partition.number, "offset": offset}
    return Message(**given, key=key, value=value)


def test_partitions_of_one_number_in_two_topics_are_told_apart() -> None:
    built = build([message(A, 1), message(A, 2), message(B, 3)], {A, B}, one_topic=False)
    assert [(one.topic, one.partition, one.offset) for one in built.records] == [(*A, 1), (*A, 2), (*B, 3)]
    assert built.positions == {A: 3, B: 4}


def test_records_of_others_are_left_out() -> None:
    built = build([message(A, 1), message(B, 3), message(A, 2)], {A}, one_topic=False)
    assert [one.offset for one in built.records] == [1, 2]
    assert built.positions == {A: 3}


def test_the_bound_of_bytes_is_that_of_the_longest_key_and_value() -> None:
    given = [message(A, 1, b"long key", b""), message(A, 2, None, b"a longer value"), message(A, 3, b"", None)]
    built = build(given, {A}, one_topic=True)
    assert built.bytes_max == len(b"long key") + len(b"a longer value")
    assert [(one.key, one.value) for one in built.records] == [
        (b"long key", b""),
        (None, b"a longer value"),
        (b"", None),
    ]
    assert given == []  # message and record never live side by side


def test_nothing_to_build() -> None:
    assert build([], {A}, one_topic=True) == ([], {}, 0)
