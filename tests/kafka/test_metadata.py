"""Commit metadata that a real broker holds: written by other clients, or too large for it."""

from __future__ import annotations

import random

import pytest
import trio
from confluent_kafka import Consumer, TopicPartition

from tests.kafka import wire
from tests.kafka.broker import KafkaBroker
from tests.kafka.journal import Journal, check
from tests.kafka.members import (
    PROTOCOLS,
    TEST_SECONDS_MAX,
    Handler,
    Workload,
    broker_committed,
    caught_up,
    check_committed,
    running,
    settings_of,
    until,
)
from tests.support import keyed, new_topic
from trio_consumer import Partition, Record

WITHOUT_NUL = (b"m" * 3, b"m" * 7, b"m" * 24, b"m" * 1_032, b"\xff\xfe", b"a\0b")
LEGIBLE = "written by hand"
METADATA_BYTES_MAX = 100


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_of_another_client_is_replayed(kafka: KafkaBroker, protocol: str) -> None:
    """What follows the committed offset is handled, and the metadata counts for nothing."""
    foreign, start = [*WITHOUT_NUL, None], 10
    work = Workload(kafka.bootstrap_servers, new_topic(kafka, len(foreign) + 1))
    settings = settings_of(kafka.bootstrap_servers, protocol)
    group, legible = settings["group.id"], len(foreign)

    def commit() -> None:
        for number, metadata in enumerate(foreign):
            assert wire.commit(kafka.bootstrap_servers, group, work.topic, number, start, metadata) == 0
        client = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": group, "log_level": 2})
        offset = TopicPartition(work.topic, legible, start, LEGIBLE)
        client.commit(offsets=[offset], asynchronous=False)
        client.close()

    handler = Handler(Journal())
    with trio.fail_after(TEST_SECONDS_MAX):
        for number in range(len(foreign) + 1):
            await work.produce(keyed(30), partition=number)
        await trio.to_thread.run_sync(commit)
        wanted = {at: key for at, key in work.lanes.items() if at[1] >= start}
        async with running(settings, work.topic, handler) as consumer:
            await until(lambda: set(wanted) <= handler.done and caught_up(consumer))
            told = consumer.statistics()
    check(handler.journal, wanted)
    # All but the one without any. Stray bytes after it may or may not be there.
    assert len(foreign) <= told.offset_maps_refused <= len(foreign) + 1
    assert told.restored == 0
    await check_committed(settings, work.partitions)


async def test_too_large_for_the_broker(kafka: KafkaBroker) -> None:
    """The broker refuses one partition's map and takes the others' of the same request. Maps shrink until all fit."""
    rng = random.Random("which records wait")
    gate = trio.Event()

    async def handle(record: Record) -> None:
        if record.partition == 0 and record.offset in waiting:
            await gate.wait()

    with KafkaBroker({"offset.metadata.max.bytes": str(METADATA_BYTES_MAX)}) as broker:
        work = Workload(broker.bootstrap_servers, new_topic(broker, 2))
        settings = settings_of(broker.bootstrap_servers)
        waiting = {offset for offset in range(1_500) if rng.random() < 0.5}
        scattered, plain = Partition(work.topic, 0), Partition(work.topic, 1)
        first = min(waiting)
        handler = Handler(Journal(), work=handle)

        with trio.fail_after(TEST_SECONDS_MAX):
            await work.produce([(b"%d" % number, b"") for number in range(1_500)], partition=0)
            await work.produce(keyed(200), partition=1)
            async with running(settings, work.topic, handler, concurrency=1_000, commit_interval=0.1) as consumer:
                await until(lambda: len(handler.done) == 1_700 - len(waiting))
                await work.produce(keyed(100), partition=1)  # goes on while the other's map is refused
                while True:  # until the broker holds the map that was cut
                    told, held = consumer.statistics(), await broker_committed(settings, [scattered, plain])
                    characters = told.partitions[scattered].offset_map_characters
                    same = len(held[scattered].metadata) == characters > 0
                    if told.offset_maps_cut and same and held[plain].offset == 300:
                        break
                assert held[scattered].offset == first
                assert told.commit_errors["OFFSET_METADATA_TOO_LARGE"] >= 1
                assert characters < METADATA_BYTES_MAX
                gate.set()
                await until(lambda: len(handler.done) == len(work.lanes))
        check(handler.journal, work.lanes)
        await check_committed(settings, work.partitions)
