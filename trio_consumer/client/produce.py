"""Fills a topic: for demonstrations and benchmarks, not a producer for applications.

Blocking. Records reach each partition in the order in which they were given, once, or an error is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from ..errors import ClientError
from ..record import Record

DELIVERY_SECONDS_MAX = 30.0
"""How long the broker may take to acknowledge a record."""

_POLL_EVERY = 1000
_QUEUE_FULL_WAIT = 0.1


def produce(
    settings: Mapping[str, Any],
    topic: str,
    records: Iterable[tuple[int, bytes, bytes]],
    delivered: Callable[[Record], object],
) -> None:
    """Produce records, and return when the broker has acknowledged all of them.

    Args:
        settings: librdkafka's settings.
        topic: The topic's name.
        records: Partition number, key and value of each.
        delivered: Called, in this thread, with each acknowledged record; in offset order within a partition.

    Raises:
        ClientError: A record was not acknowledged.
    """
    failures: list[KafkaError] = []

    def report(error: KafkaError | None, sent: Message) -> None:
        if error is not None:
            failures.append(error)
        else:
            delivered(Record(topic, _known(sent.partition()), _known(sent.offset()), sent.key(), sent.value()))

    # Idempotence is what keeps the order, and each record single, when a request is sent again.
    ours = {"enable.idempotence": True, "linger.ms": 5, "delivery.timeout.ms": round(DELIVERY_SECONDS_MAX * 1000)}
    producer = Producer({**ours, **settings})
    for count, (partition, key, value) in enumerate(records):
        while not failures:
            try:
                producer.produce(topic, value, key, partition, on_delivery=report)
                break
            except BufferError:
                producer.poll(_QUEUE_FULL_WAIT)
        if count % _POLL_EVERY == 0:
            producer.poll(0)
    unanswered = producer.flush(DELIVERY_SECONDS_MAX)
    if failures:
        raise ClientError(failures[0].name(), f"producing to {topic} failed: {failures[0].str()}")
    if unanswered:
        raise ClientError("_TIMED_OUT", f"{unanswered} records for {topic} were not acknowledged in time")


def _known(number: int | None) -> int:
    if number is None:
        raise KafkaException("an acknowledged record without coordinates")
    return number
