"""Where a benchmark runs: an embedded cluster, a Kafka broker that we start, or a cluster of the user's.

For candidates that are to be measured at a distance, the first two open a way with a delay: the embedded cluster
answers late by itself, and before our own broker stands a relay, whose port it advertises to those who come by it.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

import attrs
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from trio_consumer.client.embedded import EmbeddedCluster

from .process import ROOT
from .topics import SECONDS_MAX, Cluster


class DelayUnavailable(Exception):
    """There is no way with a delay to this cluster; the message says why."""


@attrs.frozen
class Place:
    """An open cluster.

    Args:
        name: Of its kind, for the report.
        cluster: Where topics are made.
        delayed: Opens a way to the brokers with so many seconds added to each round trip: their address on it. Raises
            `DelayUnavailable`.
        embedded: True for librdkafka's mock brokers: targets are not for them.
    """

    name: str
    cluster: Cluster
    delayed: Callable[[float], AbstractContextManager[str]]
    embedded: bool = False


class ClusterUnreachable(Exception):
    """No broker answers; the message says why."""


@contextmanager
def open_embedded() -> Iterator[Place]:
    """Brokers in this process, which only waits while a candidate is measured in another one."""
    with EmbeddedCluster() as cluster:

        @contextmanager
        def delayed(seconds: float) -> Iterator[str]:
            cluster.set_round_trip_time(seconds)
            try:
                yield cluster.bootstrap_servers
            finally:
                cluster.set_round_trip_time(0)

        yield Place("embedded cluster (librdkafka's mock brokers)", cluster, delayed, embedded=True)


@contextmanager
def open_kafka() -> Iterator[Place]:
    """A Kafka broker of our own, as the tests use it.

    Raises:
        ClusterUnreachable: Java or Kafka's jars are missing, or it did not start.
    """
    from tests.kafka.broker import KafkaBroker, KafkaFailed, KafkaUnavailable
    from tests.kafka.jars import KAFKA_VERSION

    # Held for as long as the broker tells clients of it.
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        broker = KafkaBroker(relayed_by=listener.getsockname()[1])
        try:
            broker.start()
        except (KafkaFailed, KafkaUnavailable) as error:
            raise ClusterUnreachable(str(error)) from error
        with closing(broker):
            name = f"Apache Kafka {KAFKA_VERSION}, one broker on this machine"
            yield Place(name, broker, lambda seconds: relayed(listener, broker.relayed_port, seconds))


@contextmanager
def relayed(listener: socket.socket, port: int, seconds: float) -> Iterator[str]:
    """A relay before a broker, in a process of its own, which ends when the pipe does: so with us, too.

    Args:
        listener: Where clients come to.
        port: Of the broker.
        seconds: Added to each round trip.
    """
    command = [sys.executable, "-m", f"{__package__}.relay", str(listener.fileno()), str(port), str(seconds)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[listener.fileno()]
    ) as process:
        if not process.stdout or not process.stdout.readline():
            raise DelayUnavailable("the relay between clients and broker did not start: see its error output")
        host, port = listener.getsockname()
        yield f"{host}:{port}"


@contextmanager
def open_foreign(bootstrap_servers: str) -> Iterator[Place]:
    """A cluster of the user's. The topics that we create there are deleted in the end."""
    cluster = ForeignCluster(bootstrap_servers)
    cluster.check()
    try:
        yield Place(f"Kafka at {bootstrap_servers}", cluster, _undelayed)
    finally:
        cluster.delete_topics()


def _undelayed(seconds: float) -> AbstractContextManager[str]:
    raise DelayUnavailable("a cluster of yours answers as fast as it does: use --kafka")


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
