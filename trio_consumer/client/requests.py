"""What the Trio side asks of the client's thread, and commits on their way to the broker.

Outside of a revoke a commit is asynchronous: a synchronous one would stop the polling for a whole rebalance or outage.
Its answer comes by the one callback for all commits, so it is matched by what was committed, oldest request first.
Inside the revoke callback no such answer can come, so there the commit is synchronous; one that was still unanswered
gets its answer after the revoke.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeAlias

import attrs
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from ..errors import ClientError
from ..record import Partition
from .bridge import Answer
from .port import Commit, Revoked
from .translation import translate


@attrs.frozen
class Fetch:
    """Fetch one batch of at most that many records."""

    records_max: int


@attrs.frozen
class CommitOffsets:
    """Commit, provided that each partition is still in the tenure in which it was asked for."""

    offsets: Mapping[Partition, Commit]
    tenures: Mapping[Partition, int]
    answer: Answer


@attrs.frozen
class Pause:
    partitions: Collection[Partition]
    answer: Answer


@attrs.frozen
class Resume:
    partitions: Collection[Partition]
    answer: Answer


@attrs.frozen
class Seek:
    offsets: Mapping[Partition, int]
    tenures: Mapping[Partition, int]
    answer: Answer


@attrs.frozen(eq=False)
class Release:
    """Give back what this very event named."""

    revoked: Revoked


@attrs.frozen
class Close:
    """Leave the group and end."""


Request: TypeAlias = Fetch | CommitOffsets | Pause | Resume | Seek | Release | Close

_Key: TypeAlias = frozenset[tuple[str, int, int, str]]


class CommitsInFlight:
    """Sends commits, and finds the request to each answer.

    Args:
        reply: Takes each answer, and the error or ``None``.
    """

    def __init__(self, reply: Callable[[Answer, ClientError | None], None]) -> None:
        self._reply = reply
        self._unanswered: deque[tuple[_Key, Answer]] = deque()

    def __bool__(self) -> bool:
        return bool(self._unanswered)

    def send(self, consumer: Consumer, request: CommitOffsets) -> None:
        """Send it; the answer comes while polling.

        Raises:
            KafkaException: It could not be sent.
        """
        offsets = _topic_partitions(request.offsets)
        consumer.commit(offsets=offsets, asynchronous=True)
        self._unanswered.append((_key(offsets), request.answer))

    def send_and_wait(self, consumer: Consumer, request: CommitOffsets) -> None:
        """Send it and block until it is answered, which no deadline limits.

        Raises:
            KafkaException: It failed.
        """
        answered = consumer.commit(offsets=_topic_partitions(request.offsets), asynchronous=False)
        self._reply(request.answer, _failure(None, answered or ()))

    def answered(self, error: KafkaError | None, partitions: Sequence[TopicPartition]) -> None:
        """The client's callback for asynchronous commits."""
        key = _key(partitions)
        for index, (wanted, answer) in enumerate(self._unanswered):
            if wanted == key:
                del self._unanswered[index]
                self._reply(answer, _failure(error, partitions))
                return
        # An error without partitions belongs to a commit all the same; success that we can't place tells nothing.
        if self._unanswered and error is not None:
            _, answer = self._unanswered.popleft()
            self._reply(answer, _failure(error, partitions))


def _topic_partitions(offsets: Mapping[Partition, Commit]) -> list[TopicPartition]:
    return [TopicPartition(topic, number, one.offset, one.metadata) for (topic, number), one in offsets.items()]


def _key(partitions: Sequence[TopicPartition]) -> _Key:
    return frozenset((one.topic, one.partition, one.offset, one.metadata or "") for one in partitions)


def _failure(error: KafkaError | None, partitions: Sequence[TopicPartition]) -> ClientError | None:
    if error is None:
        error = next((one.error for one in partitions if one.error), None)
    if error is None:
        return None
    names = ", ".join(f"{one.topic}[{one.partition}]@{one.offset}" for one in partitions[:3])
    more = f" and {len(partitions) - 3} more" if len(partitions) > 3 else ""
    return translate(error, f"commit of {names}{more}")


def refusal(error: BaseException, what: str) -> ClientError:
    """What a request is answered with when the client raised."""
    if isinstance(error, ClientError):
        return error
    if isinstance(error, KafkaException):
        return translate(error, what)
    refused = ClientError("_INVALID_ARG", f"{what}: {type(error).__name__}: {error}")
    refused.__cause__ = error
    return refused
