"""The embedded cluster, seen by ordinary clients over its sockets."""

from __future__ import annotations

import ctypes.util
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.support import committed, consume_all, keyed, new_topic, produce, unique
from trio_consumer.client import librdkafka
from trio_consumer.client.embedded import Api, EmbeddedCluster, Request, open_embedded_cluster
from trio_consumer.errors import ClientError, ConfigurationError, StateError
from trio_consumer.record import Partition

SECONDS_MAX = 20.0


def admin(cluster: EmbeddedCluster) -> AdminClient:
    return AdminClient({"bootstrap.servers": cluster.bootstrap_servers, "log_level": 0})


def partitions(cluster: EmbeddedCluster) -> dict[str, int]:
    topics = admin(cluster).list_topics(timeout=SECONDS_MAX).topics
    return {name: len(topic.partitions) for name, topic in topics.items()}


@contextmanager
def member(cluster: EmbeddedCluster, topic: str, group: str, **settings: Any) -> Iterator[Consumer]:
    """A consumer that has got partitions of the topic."""
    consumer = Consumer(
        {
            "bootstrap.servers": cluster.bootstrap_servers,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "log_level": 0,
            **settings,
        }
    )
    try:
        consumer.subscribe([topic])
        wait_until(lambda: consumer.poll(0.02) is not None or bool(consumer.assignment()))
        yield consumer
    finally:
        consumer.close()


def commit(consumer: Consumer, partition: Partition, offset: int) -> None:
    consumer.commit(offsets=[TopicPartition(partition.topic, partition.number, offset)], asynchronous=False)


def wait_until(condition: Callable[[], bool], seconds: float = SECONDS_MAX) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("the condition did not come true in time")
        time.sleep(0.005)


# Opening and closing


@pytest.mark.parametrize("brokers", [1, 3])
async def test_has_the_brokers_and_topics_that_were_asked_for(brokers: int) -> None:
    async with open_embedded_cluster(brokers, {"orders": 12, "payments": 1}) as cluster:
        told = await trio.to_thread.run_sync(lambda: admin(cluster).list_topics(timeout=SECONDS_MAX))
        assert {name: len(topic.partitions) for name, topic in told.topics.items()} == {"orders": 12, "payments": 1}
        assert set(told.brokers) == set(cluster.brokers)
        assert sorted(f"{broker.host}:{broker.port}" for broker in told.brokers.values()) == sorted(
            cluster.bootstrap_servers.split(",")
        )
        replicas = {len(one.replicas) for topic in told.topics.values() for one in topic.partitions.values()}
        assert replicas == {min(brokers, 3)}


async def test_is_gone_after_the_block_also_when_cancelled() -> None:
    with trio.CancelScope() as scope:
        async with open_embedded_cluster() as cluster:
            address = cluster.bootstrap_servers.split(":")
            stream = await trio.open_tcp_stream(address[0], int(address[1]))
            await stream.aclose()
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    with pytest.raises(OSError, match="connect"):
        await trio.open_tcp_stream(address[0], int(address[1]))


def test_works_without_trio() -> None:
    with EmbeddedCluster(topics={"orders": 2}) as cluster:
        produce(cluster.bootstrap_servers, "orders", keyed(50))
        found = consume_all(cluster.bootstrap_servers, "orders", 50)
    assert sorted(int(value or b"") for _, _, value in found) == list(range(50))


def test_two_clusters_know_nothing_of_each_other() -> None:
    with EmbeddedCluster(topics={"left": 1}) as left, EmbeddedCluster(topics={"right": 1}) as right:
        assert partitions(left) == {"left": 1}
        assert partitions(right) == {"right": 1}


def test_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with EmbeddedCluster(2, {"orders": 2}) as cluster:
        produce(cluster.bootstrap_servers, "orders", keyed(5), settings={"log_level": 0})
        cluster.stop_broker(1)
    assert capfd.readouterr() == ("", "")


USES: dict[str, Callable[[EmbeddedCluster], object]] = {
    "bootstrap_servers": lambda cluster: cluster.bootstrap_servers,
    "create_topic": lambda cluster: cluster.create_topic("orders", 1),
    "delete_topic": lambda cluster: cluster.delete_topic("orders"),
    "delete_records": lambda cluster: cluster.delete_records(Partition("orders", 0), 0),
    "move_leader": lambda cluster: cluster.move_leader(Partition("orders", 0), 1),
    "move_coordinator": lambda cluster: cluster.move_coordinator("billing", 1),
    "fail_requests": lambda cluster: cluster.fail_requests(Api.FETCH, "_TRANSPORT"),
    "clear_failures": lambda cluster: cluster.clear_failures(Api.FETCH),
    "delay_answers": lambda cluster: cluster.delay_answers(Api.FETCH, 1),
    "stop_broker": lambda cluster: cluster.stop_broker(),
    "start_broker": lambda cluster: cluster.start_broker(),
    "set_round_trip_time": lambda cluster: cluster.set_round_trip_time(1),
    "track_requests": lambda cluster: cluster.track_requests(),
    "requests": lambda cluster: cluster.requests(),
}


def test_every_use_is_listed() -> None:
    public = {name for name in vars(EmbeddedCluster) if not name.startswith("_")}
    assert set(USES) == public - {"close"}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_refuses_any_use_before_and_after_its_block(use: Callable[[EmbeddedCluster], object]) -> None:
    cluster = EmbeddedCluster()
    with pytest.raises(StateError, match="with block"):
        use(cluster)
    with cluster:
        pass
    with pytest.raises(StateError, match="with block"):
        use(cluster)


def test_can_be_opened_once_and_closed_often() -> None:
    cluster = EmbeddedCluster()
    with cluster:
        pass
    cluster.close()
    with pytest.raises(StateError, match="once"):
        cluster.__enter__()


# Arguments


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"brokers": 0}, "brokers=0"),
        ({"brokers": 101}, "brokers=101"),
        ({"brokers": True}, "brokers=True"),
        ({"brokers": "1"}, "brokers='1'"),
        ({"topics": {"orders": 0}}, "partitions of orders=0"),
        ({"topics": {"orders": 10_001}}, "partitions of orders=10001"),
        ({"topics": {"orders": 2.0}}, "partitions of orders=2.0"),
        ({"topics": {"": 1}}, "topic=''"),
        ({"topics": {"..": 1}}, "topic='..'"),
        ({"topics": {"a b": 1}}, "topic='a b'"),
        ({"topics": {"x" * 250: 1}}, "topic='x"),
        ({"topics": {3: 1}}, "topic=3"),
        ({"initial_rebalance_delay": -1}, "initial_rebalance_delay=-1"),
        ({"initial_rebalance_delay": 2001}, "initial_rebalance_delay=2001"),
        ({"initial_rebalance_delay": float("inf")}, "initial_rebalance_delay=inf"),
        ({"heartbeat_interval": 0}, "heartbeat_interval=0"),
        ({"session_timeout": float("nan")}, "session_timeout=nan"),
        ({"session_timeout": True}, "session_timeout=True"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        EmbeddedCluster(**arguments)
    assert str(caught.value).startswith(named)


WRONG_USES: dict[str, Callable[[EmbeddedCluster], object]] = {
    "unknown-api": lambda cluster: cluster.fail_requests("COMMIT", "_TRANSPORT"),
    "unknown-api-asked": lambda cluster: cluster.requests("COMMIT"),
    "unknown-name": lambda cluster: cluster.fail_requests(Api.FETCH, "NO_SUCH_ERROR"),
    "unknown-number": lambda cluster: cluster.fail_requests(Api.FETCH, 12345),
    "no-requests": lambda cluster: cluster.fail_requests(Api.FETCH, "_TRANSPORT", 0),
    "negative-delay": lambda cluster: cluster.delay_answers(Api.FETCH, -1),
    "broker-zero": lambda cluster: cluster.stop_broker(0),
    "no-such-broker": lambda cluster: cluster.start_broker(2),
    "no-coordinator": lambda cluster: cluster.move_coordinator("billing", -1),
    "negative-offset": lambda cluster: cluster.delete_records(Partition("orders", 0), -1),
}


@pytest.mark.parametrize("use", WRONG_USES.values(), ids=WRONG_USES)
def test_wrong_arguments_of_methods_are_refused(
    embedded: EmbeddedCluster, use: Callable[[EmbeddedCluster], object]
) -> None:
    with pytest.raises(ConfigurationError, match="="):
        use(embedded)


def test_says_what_the_cluster_refused(embedded: EmbeddedCluster) -> None:
    embedded.create_topic("orders", 1)
    with pytest.raises(ClientError, match="create_topic of orders") as caught:
        embedded.create_topic("orders", 1)
    assert caught.value.code == "TOPIC_ALREADY_EXISTS"
    with pytest.raises(ClientError, match="delete_topic of payments") as caught:
        embedded.delete_topic("payments")
    assert caught.value.code == "UNKNOWN_TOPIC_OR_PART"


def test_says_how_to_get_a_library_with_a_mock_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    librdkafka.load.cache_clear()
    try:
        with pytest.raises(ConfigurationError, match="install confluent-kafka"):
            EmbeddedCluster().__enter__()
    finally:
        monkeypatch.undo()
        librdkafka.load.cache_clear()


# Topics


def test_topics_come_and_go(embedded: EmbeddedCluster) -> None:
    embedded.create_topic("orders", 7)
    assert partitions(embedded) == {"orders": 7}
    embedded.delete_topic("orders")
    assert partitions(embedded) == {}


def test_the_log_can_begin_later(embedded: EmbeddedCluster) -> None:
    partition = Partition(new_topic(embedded, 1), 0)
    settings = {"linger.ms": 0, "batch.num.messages": 1}
    produce(embedded.bootstrap_servers, partition.topic, keyed(10), settings=settings)
    embedded.delete_records(partition, 4)
    found = consume_all(embedded.bootstrap_servers, partition.topic, 6)
    assert [offset for _, offset, _ in found] == [4, 5, 6, 7, 8, 9]


def test_leaders_move() -> None:
    with EmbeddedCluster(3, {"orders": 3}) as cluster:
        for broker in (2, 3, 1):
            cluster.move_leader(Partition("orders", 1), broker)
            assert admin(cluster).list_topics(timeout=SECONDS_MAX).topics["orders"].partitions[1].leader == broker


# Faults


def test_requests_fail_as_often_as_told(embedded: EmbeddedCluster) -> None:
    partition, group = Partition(new_topic(embedded, 1), 0), unique("group")
    with member(embedded, partition.topic, group) as consumer:
        embedded.fail_requests(Api.OFFSET_COMMIT, "GROUP_AUTHORIZATION_FAILED", 2)
        embedded.fail_requests("OFFSET_COMMIT", 12)
        for name in ("GROUP_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED", "OFFSET_METADATA_TOO_LARGE"):
            with pytest.raises(KafkaException) as caught:
                commit(consumer, partition, 5)
            assert caught.value.args[0].name() == name
        assert committed(embedded.bootstrap_servers, group, [partition])[partition].offset is None
        commit(consumer, partition, 5)
        assert committed(embedded.bootstrap_servers, group, [partition])[partition].offset == 5


def test_failures_can_be_cleared(embedded: EmbeddedCluster) -> None:
    partition = Partition(new_topic(embedded, 1), 0)
    with member(embedded, partition.topic, unique("group")) as consumer:
        embedded.fail_requests(Api.OFFSET_COMMIT, "GROUP_AUTHORIZATION_FAILED", 1000)
        with pytest.raises(KafkaException):
            commit(consumer, partition, 5)
        embedded.clear_failures(Api.OFFSET_COMMIT)
        commit(consumer, partition, 5)


def test_a_transport_error_closes_the_connection(embedded: EmbeddedCluster) -> None:
    partition = Partition(new_topic(embedded, 1), 0)
    with member(embedded, partition.topic, unique("group")) as consumer:
        embedded.track_requests()
        embedded.fail_requests(Api.OFFSET_COMMIT, "_TRANSPORT")
        commit(consumer, partition, 5)  # the client connects and asks again by itself
        assert embedded.requests(Api.OFFSET_COMMIT) == (Request(1, Api.OFFSET_COMMIT),) * 2


def test_an_answer_can_be_late_though_the_request_took_effect(embedded: EmbeddedCluster) -> None:
    partition, group = Partition(new_topic(embedded, 1), 0), unique("group")
    with member(embedded, partition.topic, group) as consumer:
        embedded.track_requests()
        embedded.delay_answers(Api.OFFSET_COMMIT, 1000)
        consumer.commit(offsets=[TopicPartition(partition.topic, partition.number, 5)], asynchronous=True)
        wait_until(lambda: len(embedded.requests(Api.OFFSET_COMMIT)) == 1)
        assert committed(embedded.bootstrap_servers, group, [partition])[partition].offset == 5
        embedded.stop_broker()  # else the client would wait for that answer when it closes
        embedded.start_broker()


def test_failures_queue_behind_delays(embedded: EmbeddedCluster) -> None:
    partition = Partition(new_topic(embedded, 1), 0)
    with member(embedded, partition.topic, unique("group")) as consumer:
        embedded.delay_answers(Api.OFFSET_COMMIT, 0.3)
        embedded.fail_requests(Api.OFFSET_COMMIT, "GROUP_AUTHORIZATION_FAILED", 250)
        before = time.monotonic()
        commit(consumer, partition, 5)
        assert time.monotonic() - before >= 0.3
        for _ in range(250):
            with pytest.raises(KafkaException):
                commit(consumer, partition, 5)
        commit(consumer, partition, 5)
    with pytest.raises(StateError, match="OFFSET_COMMIT"):
        embedded.clear_failures(Api.OFFSET_COMMIT)


def test_a_stopped_broker_is_silent_and_comes_back_with_its_data(embedded: EmbeddedCluster) -> None:
    topic, address = new_topic(embedded, 1), embedded.bootstrap_servers
    produce(address, topic, keyed(3))
    embedded.stop_broker(1)
    with pytest.raises(KafkaException):
        admin(embedded).list_topics(timeout=0.2)
    embedded.start_broker(1)
    assert embedded.bootstrap_servers == address
    assert len(consume_all(address, topic, 3)) == 3


def test_answers_take_the_round_trip_time(embedded: EmbeddedCluster) -> None:
    embedded.set_round_trip_time(0.25)
    before = time.monotonic()
    assert partitions(embedded) == {}
    assert time.monotonic() - before >= 0.25
    embedded.set_round_trip_time(0, broker=1)


def test_the_coordinator_moves() -> None:
    with EmbeddedCluster(2, {"orders": 1}) as cluster:
        group, partition = unique("group"), Partition("orders", 0)
        cluster.move_coordinator(group, 1)
        with member(cluster, "orders", group) as consumer:
            cluster.track_requests()
            commit(consumer, partition, 1)
            assert {request.broker for request in cluster.requests(Api.OFFSET_COMMIT)} == {1}
            cluster.move_coordinator(group, 2)
            offsets = itertools.count(2)

            def commits_at_the_new_one() -> bool:
                consumer.poll(0.02)
                try:
                    commit(consumer, partition, next(offsets))
                except KafkaException:
                    return False
                return any(request.broker == 2 for request in cluster.requests(Api.OFFSET_COMMIT))

            wait_until(commits_at_the_new_one)


# Groups


def test_the_first_rebalance_waits_as_told() -> None:
    with EmbeddedCluster(topics={"orders": 1}, initial_rebalance_delay=0.5) as cluster:
        before = time.monotonic()
        with member(cluster, "orders", "billing"):
            assert time.monotonic() - before >= 0.5


def test_members_beat_as_often_as_told() -> None:
    with EmbeddedCluster(topics={"orders": 1}, heartbeat_interval=0.02) as cluster:
        cluster.track_requests()
        with member(cluster, "orders", "billing", **{"group.protocol": "consumer"}):
            # At the broker's usual interval of three seconds this would take half a minute.
            wait_until(lambda: len(cluster.requests(Api.CONSUMER_GROUP_HEARTBEAT)) >= 10)


def test_a_silent_member_is_expelled_after_the_session() -> None:
    with EmbeddedCluster(topics={"orders": 1}, heartbeat_interval=1000, session_timeout=0.3) as cluster:
        with member(cluster, "orders", "billing", **{"group.protocol": "consumer"}) as consumer:

            def expelled() -> bool:
                try:
                    commit(consumer, Partition("orders", 0), 1)
                except KafkaException as error:
                    return bool(error.args[0].name() == "UNKNOWN_MEMBER_ID")
                return False

            wait_until(expelled)
