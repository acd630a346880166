"""What a broker holds for a consumer group, read from outside: committed offsets, metadata and the ends of the logs.

Reads only, and does not join the group: it neither commits nor causes a rebalance. Blocking calls, each with a
deadline.

What other clients wrote as metadata is read past its end by confluent-kafka, so it can come with stray bytes, or fail
to decode, and then its offset is withheld as well. librdkafka itself knows it and tells it in its statistics, so that
is where it is read from in the end. What the metadata means is not known here.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
from confluent_kafka import (
    OFFSET_STORED,
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
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
_POLL_SECONDS = 0.05

_AUTHENTICATION = {KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError.SASL_AUTHENTICATION_FAILED}
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
            committed = {p: c for p, c in self._committed_anywhere(known).items() if c.offset is not None or c.error}
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

    def _committed_anywhere(self, known: Mapping[str, int]) -> dict[Partition, CommittedOffset]:
        try:
            found = self._committed_of(None)
        except UnicodeDecodeError:
            found = {}
        # The embedded cluster answers with nothing where a real broker names all.
        there = {p: c for p, c in found.items() if p.number < known.get(p.topic, 0)}
        return there or self._committed(_partitions(known, known))

    def _committed(self, partitions: Sequence[Partition]) -> dict[Partition, CommittedOffset]:
        found: dict[Partition, CommittedOffset] = {}
        undecodable = []
        for some in _chunks(partitions):
            try:
                found.update(self._committed_of(some))
                continue
            except UnicodeDecodeError:
                pass
            for one in some:
                try:
                    found.update(self._committed_of([one]))
                except UnicodeDecodeError:
                    undecodable.append(one)
        if undecodable:
            found.update(self._undecodable(undecodable))
        return found

    def _undecodable(self, partitions: Sequence[Partition]) -> dict[Partition, CommittedOffset]:
        """Offsets whose metadata cannot be decoded, as a consumer that never fetches has them in its statistics."""
        found: dict[Partition, CommittedOffset] = {}

        def take(statistics: str) -> None:
            for topic, about in json.loads(statistics)["topics"].items():
                for number, one in about["partitions"].items():
                    if one["committed_offset"] >= 0:
                        found[Partition(topic, int(number))] = CommittedOffset(one["committed_offset"], None)

        ours = {"group.id": self._group, "enable.auto.commit": False, "stats_cb": take, "statistics.interval.ms": 50}
        consumer = Consumer({"log_level": 0, **self._settings, **ours})
        try:
            wanted = [TopicPartition(*partition, OFFSET_STORED) for partition in partitions]
            consumer.assign(wanted)
            consumer.pause(wanted)
            deadline = time.monotonic() + self._timeout
            while len(found) < len(wanted) and time.monotonic() < deadline:
                consumer.poll(_POLL_SECONDS)
        finally:
            consumer.close()
        unknown = CommittedOffset(None, None, "another client's metadata, which confluent-kafka cannot decode")
        return {partition: found.get(partition, unknown) for partition in partitions}

    def _committed_of(self, partitions: Sequence[Partition] | None) -> dict[Partition, CommittedOffset]:
        wanted = None if partitions is None else [TopicPartition(*partition) for partition in partitions]
        request = ConsumerGroupTopicPartitions(self._group, wanted)
        try:
            futures = self._admin.list_consumer_group_offsets([request], request_timeout=self._timeout)
            answer = futures[self._group].result().topic_partitions
        except KafkaException as error:
            raise self._failed(f"reading the offsets of group {self._group!r}", error.args[0]) from error
        return {
            Partition(one.topic, one.partition): CommittedOffset(
                one.offset if one.offset >= 0 else None, one.metadata or "", one.error.str() if one.error else None
            )
            for one in answer
        }

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


def _chunks(partitions: Iterable[Partition]) -> Iterator[list[Partition]]:
    left = iter(partitions)
    while some := list(itertools.islice(left, _PARTITIONS_PER_REQUEST)):
        yield some


def _partitions(known: Mapping[str, int], topics: Iterable[str]) -> list[Partition]:
    return [Partition(topic, number) for topic in sorted(topics) for number in range(known[topic])]
