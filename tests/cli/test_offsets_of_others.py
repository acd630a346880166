"""``trio-consumer offsets`` on a real broker, next to clients that are not ours.

Java clients and everything built on them write commit metadata without a trailing NUL, and confluent-kafka reads such
metadata past its end. Nothing but the wire protocol can write it, so these tests speak it.
"""

from __future__ import annotations

import socket
import struct

import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.kafka.broker import KafkaBroker
from tests.support import Cluster, keyed, new_topic, produce, unique
from trio_consumer import EmbeddedCluster, Partition
from trio_consumer.cli import main
from trio_consumer.cli.offsets import as_json, decode_all
from trio_consumer.client.group_offsets import GroupOffsets
from trio_consumer.core import offset_map

OFFSET_COMMIT, VERSION = 8, 2
NO_GENERATION, NO_RETENTION = -1, -1


def text(value: bytes) -> bytes:
    return struct.pack(">h", len(value)) + value


def commit_as_java_does(bootstrap: str, group: str, partition: Partition, offset: int, metadata: bytes) -> None:
    """One OffsetCommit of a client without a member id."""
    host, _, port = bootstrap.rpartition(":")
    place = struct.pack(">iiq", 1, partition.number, offset) + text(metadata)
    topics = struct.pack(">i", 1) + text(partition.topic.encode()) + place
    body = (
        text(group.encode()) + struct.pack(">i", NO_GENERATION) + text(b"") + struct.pack(">q", NO_RETENTION) + topics
    )
    request = struct.pack(">hhi", OFFSET_COMMIT, VERSION, 1) + text(b"another client") + body
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        with connection.makefile("rb") as answer:
            said = answer.read(struct.unpack(">i", answer.read(4))[0])
    assert said[-2:] == b"\0\0", "the broker refused the commit"


@pytest.mark.parametrize("with_topic", [True, False])
def test_the_numbers_are_the_brokers(cluster: Cluster, with_topic: bool) -> None:
    topic, group, address = new_topic(cluster, 3), unique("group"), {"bootstrap.servers": cluster.bootstrap_servers}
    new_topic(cluster, 2)  # not committed by this group
    produce(cluster.bootstrap_servers, topic, keyed(20), partition=0)
    produce(cluster.bootstrap_servers, topic, keyed(5), partition=1)
    consumer = Consumer({**address, "group.id": group, "enable.auto.commit": False})
    metadata = offset_map.encode(7, ((9, 12),), 4095).text
    consumer.commit(
        offsets=[TopicPartition(topic, 0, 7, metadata=metadata), TopicPartition(topic, 1, 5)], asynchronous=False
    )
    consumer.close()
    rows = decode_all(GroupOffsets(address, group).read([topic] if with_topic else []))
    seen = [(row.partition.number, row.state.committed, row.state.end, row.lag, list(row.complete)) for row in rows]
    expected = [(0, 7, 20, 13, [range(9, 12)]), (1, 5, 5, 0, [])]
    assert seen == ([*expected, (2, None, 0, 0, [])] if with_topic else expected)


def test_metadata_of_other_clients_never_stops_the_command(
    kafka: KafkaBroker, capfd: pytest.CaptureFixture[str]
) -> None:
    topic, bootstrap = new_topic(kafka, 1), kafka.bootstrap_servers
    partition = Partition(topic, 0)
    produce(bootstrap, topic, keyed(10))
    for length in (1, 3, 7, 8, 16, 23, 24, 25, 40, 56, 100, 120, 1000, 4096):
        group = unique("group")
        commit_as_java_does(bootstrap, group, partition, 4, b"m" * length)
        (row,) = decode_all(GroupOffsets({"bootstrap.servers": bootstrap}, group).read([topic]))
        assert row.state.committed == 4
        assert row.refused is not None
        assert row.refused.kind == "foreign"
        assert as_json(group, [row])
        assert main(["offsets", "-g", group, "-b", bootstrap, "-t", topic]) == 0
        assert str(partition) in capfd.readouterr().out


def test_our_map_survives_a_client_that_copies_it_without_the_nul(kafka: KafkaBroker) -> None:
    """A mirror that copies offsets with their metadata: where it can be read at all, what is behind it is ignored."""
    topic, bootstrap, group = new_topic(kafka, 1), kafka.bootstrap_servers, unique("group")
    produce(bootstrap, topic, keyed(30))
    metadata = offset_map.encode(4, ((6, 9), (20, 21)), 4095).text
    commit_as_java_does(bootstrap, group, Partition(topic, 0), 4, metadata.encode())
    (row,) = decode_all(GroupOffsets({"bootstrap.servers": bootstrap}, group).read([topic]))
    assert row.state.committed == 4
    assert list(row.complete) == [range(6, 9), range(20, 21)] or row.state.metadata is None


@pytest.mark.parametrize("with_topic", [True, False])
def test_an_offset_is_known_even_if_its_metadata_is_no_text(embedded: EmbeddedCluster, with_topic: bool) -> None:
    topic, group, bootstrap = new_topic(embedded, 3), unique("group"), embedded.bootstrap_servers
    produce(bootstrap, topic, keyed(30), partition=0)
    commit_as_java_does(bootstrap, group, Partition(topic, 0), 4, b"\xff\xfe\xff")
    commit_as_java_does(bootstrap, group, Partition(topic, 1), 0, b"")
    reader = GroupOffsets({"bootstrap.servers": bootstrap}, group)
    rows = {row.partition.number: row for row in decode_all(reader.read([topic] if with_topic else []))}
    assert (rows[0].state.committed, rows[0].state.metadata, rows[0].lag) == (4, None, 26)
    assert "its bytes are no text" in str(rows[0].note)
    assert (rows[1].state.committed, rows[1].note) == (0, None)
    assert rows.keys() == ({0, 1, 2} if with_topic else {0, 1})
