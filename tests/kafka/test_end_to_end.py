"""The whole consumer on a real broker, under each rebalance protocol: members come and go while handlers run."""

from __future__ import annotations

import random

import pytest
import trio

from tests.kafka.broker import KafkaBroker
from tests.kafka.journal import Journal, check
from tests.kafka.members import (
    PROTOCOLS,
    TEST_SECONDS_MAX,
    Handler,
    Workload,
    broker_committed,
    broker_ends,
    caught_up,
    check_committed,
    check_statistics,
    running,
    settings_of,
    until,
)
from tests.support import keyed, new_topic
from trio_consumer import Record

KEYS = 60
PARTITIONS = 6
CONCURRENCY = 32


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_members_come_and_go(kafka: KafkaBroker, protocol: str) -> None:
    work = Workload(kafka.bootstrap_servers, new_topic(kafka, PARTITIONS))
    settings = settings_of(kafka.bootstrap_servers, protocol)
    rng = random.Random(f"latencies {protocol}")
    journal = Journal()

    async def handle(record: Record) -> None:
        await trio.sleep(rng.random() * 0.05)

    a, b = Handler(journal, "a", handle), Handler(journal, "b", handle)
    with trio.fail_after(TEST_SECONDS_MAX):
        await work.produce(keyed(1_000, KEYS))
        async with running(settings, work.topic, a, concurrency=CONCURRENCY) as first:
            await until(lambda: len(a.done) >= 300)
            async with running(settings, work.topic, b, concurrency=CONCURRENCY) as second:
                while len(b.done) < 300:  # both have enough to do until the second one leaves
                    await until(lambda: len(b.done) >= 300 or len(work.lanes) - len(journal.done()) < 600)
                    await work.produce(keyed(300, KEYS))
                assert first.statistics().in_flight > 0
                assert second.statistics().in_flight > 0
            begun = len(b.done)
            await work.produce(keyed(200, KEYS))
            await until(lambda: len(journal.done()) == len(work.lanes) and caught_up(first))
            assert len(b.done) == begun
            held = await broker_committed(settings, work.partitions)
            check_statistics(first, held, await broker_ends(settings, work.partitions))
            told = first.statistics()
    assert len(work.lanes) >= 1_500
    assert CONCURRENCY // 2 < a.peak <= CONCURRENCY
    assert CONCURRENCY // 2 < b.peak <= CONCURRENCY
    check(journal, work.lanes)
    assert (told.handled, told.tenures_lost, told.offset_maps_refused) == (len(a.done), 0, 0)
    await check_committed(settings, work.partitions)
