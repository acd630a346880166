"""Which commit an answer belongs to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition

from tests.support import unique
from trio_consumer import ClientError, Partition
from trio_consumer.client.bridge import Answer
from trio_consumer.client.embedded import EmbeddedCluster
from trio_consumer.client.port import Commit
from trio_consumer.client.requests import CommitOffsets, CommitsInFlight

PARTITION = Partition("orders", 0)


@pytest.fixture
def consumer(embedded: EmbeddedCluster) -> Iterator[Consumer]:
    """It only sends: the answers are the test's."""
    settings = {"bootstrap.servers": embedded.bootstrap_servers, "group.id": unique("group"), "log_level": 2}
    consumer = Consumer({**settings, "enable.auto.commit": False})
    yield consumer
    consumer.close()


class Replies(dict[Answer, ClientError | None]):
    """Who was answered, and how."""

    def take(self, answer: Answer, error: ClientError | None) -> None:
        assert answer not in self, "answered twice"
        self[answer] = error


def request(offset: int, metadata: str = "") -> CommitOffsets:
    return CommitOffsets({PARTITION: Commit(offset, metadata)}, {PARTITION: 1}, Answer())


def answered(offset: int, metadata: str | None = None) -> list[TopicPartition]:
    return [TopicPartition(PARTITION.topic, PARTITION.number, offset, metadata or "")]


async def test_answers_out_of_order_find_their_requests(consumer: Consumer) -> None:
    replies = Replies()
    commits = CommitsInFlight(replies.take)
    first, second, third = request(1), request(2, "a"), request(2, "b")
    for one in (first, second, third):
        commits.send(consumer, one)
    commits.answered(None, answered(2, "b"))
    assert replies == {third.answer: None}
    commits.answered(None, answered(1))
    commits.answered(None, answered(2, "a"))
    assert replies == {third.answer: None, first.answer: None, second.answer: None}
    assert not commits


async def test_equal_requests_are_answered_in_order(consumer: Consumer) -> None:
    replies = Replies()
    commits = CommitsInFlight(replies.take)
    first, second = request(1), request(1)
    commits.send(consumer, first)
    commits.send(consumer, second)
    commits.answered(None, answered(1))
    assert replies == {first.answer: None}
    assert commits


async def test_an_error_answers_the_request(consumer: Consumer) -> None:
    replies = Replies()
    commits = CommitsInFlight(replies.take)
    one = request(7)
    commits.send(consumer, one)
    commits.answered(KafkaError(KafkaError.ILLEGAL_GENERATION), answered(7))
    error = replies[one.answer]
    assert error is not None
    assert error.code == "ILLEGAL_GENERATION"
    assert "orders[0]@7" in str(error)


async def test_an_error_without_partitions_answers_the_oldest(consumer: Consumer) -> None:
    """Nobody may wait for ever. A success that fits no request tells nothing, and answers nobody."""
    replies = Replies()
    commits = CommitsInFlight(replies.take)
    first, second = request(1), request(2)
    commits.send(consumer, first)
    commits.send(consumer, second)
    commits.answered(None, answered(99))
    assert not replies
    commits.answered(KafkaError(KafkaError._NO_OFFSET), [])
    assert list(replies) == [first.answer]
