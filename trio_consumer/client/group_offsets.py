"""What a broker holds for a consumer group, read from outside: committed offsets, metadata and the ends of the logs.

Reads only, and does not join the group: it neither commits nor causes a rebalance. Blocking calls, each with a
deadline.

The offsets are read by a consumer that never subscribes: librdkafka's admin call for it crashes the process while a
coordinator loads or moves (librdkafka issue 5040). What other clients wrote as metadata is read past its end by
confluent-kafka, so it can come with stray bytes, or fail to decode. What the metadata means is not known here.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from ..errors import (
    AuthenticationFailed,
    AuthorizationFailed,
    BrokerUnreachable,
    ClientError,
    ConfigurationError,
    UnknownTopic,
)
from ..record import Partition

_PARTITIONS_PER_REQUEST = 1000
_AGAIN_SECONDS = 0.1

_AUTHENTICATION = {KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError.SASL_AUTHENTICATION_FAILED}
_COORDINATOR_AWAY = {
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError._WAIT_COORD,
}
_AUTHORIZATION = {KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.TOPIC_AUTHORIZATION_FAILED}


@attrs.frozen
class CommittedOffset:
    """One partition of the broker's answer; the fields are those of `CommittedState`."""

    offset: int | None
    metadata: str | None
    error: str | None = None


@attrs.frozen(kw_only=True)
class CommittedState:
    """One partition as the broker sees it.

    Args:
        committed: The committed offset; ``None`` if there is none, or it could not be read.
        metadata: The text committed with it; ``None`` if it cannot be decoded.
        start: The first offset of the log.
        end: The log end offset, as a ``read_committed`` consumer sees it.
        error: Why the commit could not be read, else ``None``.
    """

    committed: int | None
    metadata: str | None
    start: int
    end: int
    error: str | None = None


class GroupOffsets:
    """Reads the committed offsets of one group.

    Args:
        settings: librdkafka's settings; those of a consumer may be among them.
        group: The group's id.
        timeout: Seconds that each request may take, and the first answer of the cluster.

    Raises:
        ConfigurationError: librdkafka refuses a setting.
    """

    def __init__(self, settings: Mapping[str, Any], group: str, *, timeout: float = 10.0) -> None:
        self._settings, self._group, self._timeout = dict(settings), group, timeout
        self._bootstrap = settings.get("bootstrap.servers", "")
        self._errors: list[KafkaError] = []
        quiet = {"log_level": 0, **settings, "error_cb": self._errors.append}
        try:
            self._admin = AdminClient(quiet)
        except KafkaException as error:
            raise ConfigurationError(f"the client refuses its settings: {error.args[0].str()}") from None

    def topics(self) -> dict[str, int]:
        """All topics but internal ones, each with its number of partitions.

        Raises:
            ClientError: The cluster did not answer.
        """
        try:
            known = self._admin.list_topics(timeout=self._timeout).topics
        except KafkaException as error:
            raise self._unanswered(error.args[0]) from error
        # "__consumer_offsets" and its like.
        return {name: len(topic.partitions) for name, topic in known.items() if not name.startswith("__")}

    def read(self, topics: Iterable[str] = ()) -> dict[Partition, CommittedState]:
        """All partitions of these topics; without topics, those that the group has committed.

        Raises:
            UnknownTopic: One of the topics does not exist.
            ClientError: A request failed.
        """
        known, wanted = self.topics(), list(topics)
        for topic in wanted:
            if topic not in known:
                raise UnknownTopic("UNKNOWN_TOPIC_OR_PART", f"topic {topic!r} does not exist")
        if wanted:
            committed = self._committed(_partitions(known, wanted))
        else:
            everywhere = self._committed(_partitions(known, known))
            committed = {p: c for p, c in everywhere.items() if c.offset is not None or c.error}
        starts = self._log_offsets(committed, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        ends = self._log_offsets(committed, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        return {
            partition: CommittedState(
                committed=held.offset,
                metadata=held.metadata,
                start=starts[partition],
                end=ends[partition],
                error=held.error,
            )
            for partition, held in committed.items()
        }

    def _committed(self, partitions: Sequence[Partition]) -> dict[Partition, CommittedOffset]:
        ours = {"group.id": self._group, "enable.auto.commit": False}
        consumer = Consumer({"log_level": 0, **self._settings, **ours})
        try:
            return {
                Partition(one.topic, one.partition): _held(one)
                for some in _chunks(partitions)
                for one in self._ask(consumer, some)
            }
        finally:
            consumer.close()

    def _ask(self, consumer: Consumer, partitions: Sequence[Partition]) -> list[TopicPartition]:
        deadline = time.monotonic() + self._timeout
        while True:
            left = max(_AGAIN_SECONDS, deadline - time.monotonic())
            try:
                return consumer.committed([TopicPartition(*partition) for partition in partitions], timeout=left)
            except KafkaException as error:
                if error.args[0].code() not in _COORDINATOR_AWAY or time.monotonic() >= deadline:
                    raise self._failed(f"reading the offsets of group {self._group!r}", error.args[0]) from error
            time.sleep(_AGAIN_SECONDS)

    def _log_offsets(self, partitions: Iterable[Partition], which: OffsetSpec) -> dict[Partition, int]:
        found = {}
        for some in _chunks(partitions):
            wanted = {TopicPartition(*partition): which for partition in some}
            futures = self._admin.list_offsets(
                wanted, request_timeout=self._timeout, isolation_level=IsolationLevel.READ_COMMITTED
            )
            for asked, future in futures.items():
                try:
                    found[Partition(asked.topic, asked.partition)] = future.result().offset
                except KafkaException as error:
                    what = f"reading the log of {Partition(asked.topic, asked.partition)}"
                    raise self._failed(what, error.args[0]) from error
        return found

    def _unanswered(self, error: KafkaError) -> ClientError:
        """Why there was no answer: librdkafka tells the reason to its error callback, and a timeout to the caller."""
        self._admin.poll(0)
        deadline = time.monotonic() + 1.0
        while not self._errors and time.monotonic() < deadline:
            self._admin.poll(0.1)
        reasons = [*self._errors, error]
        for reason in reasons:
            if reason.code() in _AUTHENTICATION:
                text = f"{self._bootstrap}: {reason.str()}; check the settings that begin with sasl. and ssl."
                return AuthenticationFailed(reason.name(), text)
        text = f"no broker answered at {self._bootstrap} within {self._timeout:g} s: {reasons[0].str()}"
        return BrokerUnreachable(error.name(), f"{text}; check bootstrap.servers", retriable=True)

    def _failed(self, what: str, error: KafkaError) -> ClientError:
        kind = AuthorizationFailed if error.code() in _AUTHORIZATION else ClientError
        return kind(error.name(), f"{what}: {error.str()}", retriable=error.retriable())


def _held(one: TopicPartition) -> CommittedOffset:
    offset = one.offset if one.offset >= 0 else None
    try:
        metadata = one.metadata or ""
    except UnicodeDecodeError:
        return CommittedOffset(offset, None)
    return CommittedOffset(offset, metadata, one.error.str() if one.error else None)


def _chunks(partitions: Iterable[Partition]) -> Iterator[list[Partition]]:
    left = iter(partitions)
    while some := list(itertools.islice(left, _PARTITIONS_PER_REQUEST)):
        yield some


def _partitions(known: Mapping[str, int], topics: Iterable[str]) -> list[Partition]:
    return [Partition(topic, number) for topic in sorted(topics) for number in range(known[topic])]
