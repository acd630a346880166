"""Where a consumer begins and ends in a log: trimmed, empty, with transactions; and what a record brings along."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.kafka.broker import KafkaBroker
from tests.kafka.journal import Journal, check
from tests.kafka.members import (
    PROTOCOLS,
    TEST_SECONDS_MAX,
    Handler,
    Workload,
    caught_up,
    check_committed,
    running,
    settings_of,
    until,
    until_caught_up,
)
from tests.support import SECONDS_MAX, keyed, new_topic, unique
from trio_consumer import Partition


def trim(kafka: KafkaBroker, partition: Partition, start: int) -> None:
    """Remove a partition's records below this offset."""
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 2})
    wanted = TopicPartition(*partition, start)
    admin.delete_records([wanted])[wanted].result(SECONDS_MAX)


def commit_as_another_client(settings: dict[str, Any], partition: Partition, offset: int) -> None:
    group = {name: settings[name] for name in ("bootstrap.servers", "group.id")}
    consumer = Consumer({**group, "enable.auto.commit": False, "log_level": 2})
    try:
        consumer.commit(offsets=[TopicPartition(*partition, offset)], asynchronous=False)
    finally:
        consumer.close()


async def test_first_offset_is_not_zero(kafka: KafkaBroker) -> None:
    """Of a partition without a commit, and of one whose committed offset has fallen out of the log."""
    work = Workload(kafka.bootstrap_servers, new_topic(kafka, 2))
    settings = settings_of(kafka.bootstrap_servers)
    fresh, behind = Partition(work.topic, 0), Partition(work.topic, 1)
    handler = Handler(Journal())
    with trio.fail_after(TEST_SECONDS_MAX):
        for partition in (fresh, behind):
            await work.produce(keyed(100), partition=partition.number)
            await trio.to_thread.run_sync(trim, kafka, partition, 60)
        await trio.to_thread.run_sync(commit_as_another_client, settings, behind, 30)
        async with running(settings, work.topic, handler) as consumer:
            await until(lambda: len(handler.done) == 80 and caught_up(consumer))
    check(handler.journal, {at: key for at, key in work.lanes.items() if at[1] >= 60})
    await check_committed(settings, work.partitions)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_latest_applies_to_the_first_start_only(kafka: KafkaBroker, protocol: str) -> None:
    """Also to a partition that had no record while the first consumer ran: its place is committed all the same."""
    work = Workload(kafka.bootstrap_servers, new_topic(kafka, 2))
    settings = settings_of(kafka.bootstrap_servers, protocol, auto_offset_reset="latest")
    quiet, busy = 0, 1
    with trio.fail_after(TEST_SECONDS_MAX):
        await work.produce(keyed(50), partition=quiet)
        await work.produce(keyed(50), partition=busy)
        old = set(work.lanes)
        handler = Handler(Journal())
        async with running(settings, work.topic, handler) as consumer:
            await until(lambda: len(consumer.statistics().partitions) == 2)
            while not handler.done:  # not before it has found the end of the log
                await work.produce(keyed(1), partition=busy)
            await until(lambda: caught_up(consumer))
            await until_caught_up(settings, [Partition(work.topic, busy)])
        first = set(handler.done)
        assert first
        assert not first & old
        while_down = set(await work.produce(keyed(50), partition=quiet))
        while_down |= set(await work.produce(keyed(50), partition=busy))
        async with running(settings, work.topic, handler):
            await until(lambda: while_down <= handler.done)
    assert handler.done == first | while_down
    assert not handler.journal.repeats()
    await check_committed(settings, work.partitions)


async def test_a_record_is_what_was_produced(kafka: KafkaBroker) -> None:
    topic, settings = new_topic(kafka, 1), settings_of(kafka.bootstrap_servers)
    sent: list[dict[str, Any]] = [
        {"key": b"k", "value": b"v", "timestamp": 1_600_000_000_123},
        {"key": None, "value": b"no key", "timestamp": 1_600_000_000_124},
        {"key": b"k", "value": None, "timestamp": 1_600_000_000_125},
        {"key": b"", "value": b"", "timestamp": 1_600_000_000_126},
        {"key": b"\xff\x00", "value": b"\x80" * 70_000, "headers": [("a", b"1"), ("é", None), ("a", b"")]},
    ]

    def produce() -> None:
        producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 2})
        for one in sent:
            producer.produce(topic, partition=0, **one)
        assert producer.flush(SECONDS_MAX) == 0

    handler = Handler(Journal())
    with trio.fail_after(TEST_SECONDS_MAX):
        await trio.to_thread.run_sync(produce)
        async with running(settings, topic, handler) as consumer:
            await until(lambda: len(handler.done) == len(sent) and caught_up(consumer))
    for offset, one in enumerate(sent):
        record = handler.records[Partition(topic, 0), offset]
        assert (record.topic, record.partition, record.offset, record.attempt) == (topic, 0, offset, 1)
        assert (record.key, record.value, record.headers) == (one["key"], one["value"], one.get("headers"))
        assert record.timestamp is not None
        assert record.timestamp == one.get("timestamp", record.timestamp)


async def test_transactions_leave_holes(kafka: KafkaBroker) -> None:
    """Aborted records are not handled, and what the log ends with is committed too: markers have offsets."""
    partition = Partition(new_topic(kafka, 1), 0)
    settings = settings_of(kafka.bootstrap_servers)
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": unique("transaction"), "log_level": 2}
    )

    def transact(*commits: bool) -> None:
        for commit in commits:
            producer.begin_transaction()
            for number in range(5):
                producer.produce(partition.topic, b"committed" if commit else b"aborted", b"%d" % number, partition=0)
            producer.flush(SECONDS_MAX)
            producer.commit_transaction(SECONDS_MAX) if commit else producer.abort_transaction(SECONDS_MAX)

    handler = Handler(Journal())
    with trio.fail_after(TEST_SECONDS_MAX):
        await trio.to_thread.run_sync(producer.init_transactions, SECONDS_MAX)
        await trio.to_thread.run_sync(transact, True, False, True, False)
        async with running(settings, partition.topic, handler):
            await until(lambda: len(handler.done) == 10)
            await until_caught_up(settings, [partition])
            await trio.to_thread.run_sync(transact, False, True)
            await until(lambda: len(handler.done) == 15)
            await until_caught_up(settings, [partition])
        # 0-4, marker, 6-10 aborted, marker, 12-16, marker, 18-22 aborted, marker, 24-28 aborted, marker, 30-34, marker
        wanted = {*range(5), *range(12, 17), *range(30, 35)}
        assert handler.done == {(partition, offset) for offset in wanted}
        await check_committed(settings, [partition])
        again = Handler(handler.journal)
        await trio.to_thread.run_sync(transact, True)
        async with running(settings, partition.topic, again):
            await until(lambda: len(again.done) == 20)
    assert not again.journal.repeats()
    assert {record.value for record in again.records.values()} == {b"committed"}
    await check_committed(settings, [partition])
