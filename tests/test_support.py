"""The helpers of the other tests do what these rely on, on an embedded cluster and on a real Kafka."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition

from tests.support import Cluster, committed, consume_all, keyed, new_topic, produce, unique
from trio_consumer.client.port import Committed
from trio_consumer.record import Partition


def run_pytest(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    root = Path(__file__).resolve().parents[1]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("required", "outcome"), [("", "1 skipped"), ("1", "1 error")])
def test_a_machine_without_kafka_skips_or_fails_and_says_why(tmp_path: Path, required: str, outcome: str) -> None:
    probe = "tests/test_support.py::test_records_go_to_the_partition_that_is_named[kafka]"
    done = run_pytest(probe, PATH=str(tmp_path), TRIO_CONSUMER_REQUIRE_KAFKA=required)
    assert outcome in done.stdout
    assert "java is not on the path; install Java 17" in done.stdout
    assert (done.returncode == 0) is (not required)


def test_tests_that_use_kafka_carry_the_marker() -> None:
    found = run_pytest("--collect-only", "-m", "kafka", "tests/test_support.py", "tests/kafka/test_broker.py").stdout
    assert "test_records_go_to_the_partition_that_is_named[kafka]" in found
    assert "test_dies_with_its_parent" in found  # by the fixture kafka
    assert "test_survives_crash_freeze_and_shutdown_with_its_data" in found  # by the fixture own_kafka
    assert "[embedded]" not in found
    assert "test_asks_maven_once" not in found


def test_produced_records_are_where_the_helper_says(cluster: Cluster) -> None:
    topic = new_topic(cluster, 3)
    records = keyed(200, keys=20)
    landed = produce(cluster.bootstrap_servers, topic, records)
    found = {
        (partition, offset): value for partition, offset, value in consume_all(cluster.bootstrap_servers, topic, 200)
    }
    assert [found[place] for place in landed] == [value for _, value in records]
    assert {partition.topic for partition, _ in landed} == {topic}


def test_records_go_to_the_partition_that_is_named(cluster: Cluster) -> None:
    topic = new_topic(cluster, 3)
    landed = produce(cluster.bootstrap_servers, topic, [(None, None), ("key", "value")], partition=2)
    assert landed == [(Partition(topic, 2), 0), (Partition(topic, 2), 1)]


def test_a_record_that_is_not_acknowledged_is_an_error(cluster: Cluster) -> None:
    topic = new_topic(cluster, 1)
    with pytest.raises(KafkaException):
        produce(cluster.bootstrap_servers, topic, [(b"key", b"value")], partition=7)


def test_committed_offsets_come_with_their_metadata(cluster: Cluster) -> None:
    topic, group = new_topic(cluster, 3), unique("group")
    one, two, three = (Partition(topic, number) for number in range(3))
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap_servers, "group.id": group, "log_level": 2})
    try:
        consumer.commit(offsets=[TopicPartition(topic, 0, 5, "a map"), TopicPartition(topic, 1, 0)], asynchronous=False)
    finally:
        consumer.close()
    assert committed(cluster.bootstrap_servers, group, [one, two, three]) == {
        one: Committed(5, "a map"),
        two: Committed(0),
        three: Committed(),
    }
