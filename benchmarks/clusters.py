"""Where a benchmark runs: an embedded cluster, a Kafka broker that we start, or a cluster of the user's."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import attrs
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from trio_consumer.client.embedded import EmbeddedCluster

from .topics import SECONDS_MAX, Cluster


@attrs.frozen
class Place:
    """An open cluster.

    Args:
        name: Of its kind, for the report.
        cluster: Where topics are made.
        embedded: True for librdkafka's mock brokers: targets are not for them.
    """

    name: str
    cluster: Cluster
    embedded: bool = False


class ClusterUnreachable(Exception):
    """No broker answers; the message says why."""


@contextmanager
def open_embedded() -> Iterator[Place]:
    """Brokers in this process, which only waits while a candidate is measured in another one."""
    with EmbeddedCluster() as cluster:
        yield Place("embedded cluster (librdkafka's mock brokers)", cluster, embedded=True)


@contextmanager
def open_kafka() -> Iterator[Place]:
    """A Kafka broker of our own, as the tests use it.

    Raises:
        ClusterUnreachable: Java or Kafka's jars are missing, or it did not start.
    """
    from tests.kafka.broker import KafkaBroker, KafkaFailed, KafkaUnavailable
    from tests.kafka.jars import KAFKA_VERSION

    broker = KafkaBroker()
    try:
        broker.start()
    except (KafkaFailed, KafkaUnavailable) as error:
        raise ClusterUnreachable(str(error)) from error
    with closing(broker):
        yield Place(f"Apache Kafka {KAFKA_VERSION}, one broker on this machine", broker)


@contextmanager
def open_foreign(bootstrap_servers: str) -> Iterator[Place]:
    """A cluster of the user's. The topics that we create there are deleted in the end."""
    cluster = ForeignCluster(bootstrap_servers)
    cluster.check()
    try:
        yield Place(f"Kafka at {bootstrap_servers}", cluster)
    finally:
        cluster.delete_topics()


class ForeignCluster:
    """Makes topics on a cluster that is not ours, and removes them."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers
        self._admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 2})
        self._topics: list[str] = []

    def check(self) -> None:
        """Raises `ClusterUnreachable` unless a broker answers."""
        try:
            self._admin.list_topics(timeout=SECONDS_MAX)
        except KafkaException as error:
            raise ClusterUnreachable(f"no broker answers at {self.bootstrap_servers}: {error.args[0].str()}") from error

    def create_topic(self, topic: str, partitions: int) -> None:
        """Returns when every partition has a leader."""
        self._admin.create_topics([NewTopic(topic, num_partitions=partitions)])[topic].result(SECONDS_MAX)
        self._topics.append(topic)
        deadline = time.monotonic() + SECONDS_MAX
        while time.monotonic() < deadline:
            found = self._admin.list_topics(timeout=SECONDS_MAX).topics.get(topic)
            if (
                found
                and len(found.partitions) == partitions
                and all(one.leader >= 0 for one in found.partitions.values())
            ):
                return
            time.sleep(0.05)
        raise TimeoutError(f"{topic} has no leaders after {SECONDS_MAX:g} s")

    def delete_topics(self) -> None:
        """Says so where that fails: the records stay on somebody's disk."""
        if not self._topics:
            return
        for topic, done in self._admin.delete_topics(self._topics).items():
            try:
                done.result(SECONDS_MAX)
            except (KafkaException, TimeoutError) as error:
                print(f"the topic {topic} was not deleted: {error}", file=sys.stderr)
