"""What others do to a member: take its identity, keep a rebalance waiting, delete its topic, add partitions."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

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
)
from tests.support import SECONDS_MAX, keyed, new_topic
from trio_consumer import Fenced, Partition, Record, open_consumer

FENCED_SECONDS_MAX = 10.0
SLOW_SECONDS = 2.5
"""How long the slow peer keeps a rebalance waiting: long enough for all to have been told of it."""


def admin_of(kafka: KafkaBroker) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 2})


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_second_instance_with_the_same_identity(kafka: KafkaBroker, protocol: str) -> None:
    """One of the two ends with `Fenced` within seconds: under the classic protocols the old one, else the newcomer."""
    work = Workload(kafka.bootstrap_servers, new_topic(kafka, 4))
    settings = settings_of(kafka.bootstrap_servers, protocol, group_instance_id="one")
    journal = Journal()
    old, new = Handler(journal, "old"), Handler(journal, "new")
    ended: dict[str, BaseException] = {}

    async def run(handler: Handler) -> None:
        async with open_consumer(settings, work.topic) as consumer:
            try:
                await consumer.run(handler)
            except Fenced as error:
                ended[handler.member] = error

    with trio.fail_after(TEST_SECONDS_MAX):
        async with trio.open_nursery() as nursery:
            await work.produce(keyed(100))
            nursery.start_soon(run, old)
            await until(lambda: len(old.done) == 100)
            nursery.start_soon(run, new)
            await until(lambda: ended, FENCED_SECONDS_MAX)
            survivor = old if "new" in ended else new
            later = set(await work.produce(keyed(100)))
            await until(lambda: later <= survivor.done)
            nursery.cancel_scope.cancel()
    assert list(ended) == (["new"] if protocol == "kip848" else ["old"])
    assert "group.instance.id" in str(next(iter(ended.values())))
    assert not journal.violations(work.lanes)
    assert journal.done() == set(work.lanes)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_peer_whose_revoke_takes_long(kafka: KafkaBroker, protocol: str) -> None:
    """The others' commits may have to wait, but nothing stops for good, and nothing is repeated."""
    work = Workload(kafka.bootstrap_servers, new_topic(kafka, 6))
    settings = settings_of(kafka.bootstrap_servers, protocol)
    journal = Journal()
    slow_now, gate = False, trio.Event()

    async def slowly(record: Record) -> None:
        if slow_now:
            await gate.wait()

    quick, slow, third = Handler(journal, "quick"), Handler(journal, "slow", slowly), Handler(journal, "third")
    with trio.fail_after(TEST_SECONDS_MAX):
        async with running(settings, work.topic, quick, commit_interval=0.1) as first:
            async with running(settings, work.topic, slow, grace=8.0) as second:
                await until(lambda: len(second.statistics().partitions) == 3)
                slow_now = True
                await work.produce(keyed(200, 60))
                await until(lambda: slow.running)
                before = first.statistics().commits
                async with running(settings, work.topic, third) as newcomer:
                    began, seen = trio.current_time(), len(quick.done)
                    while trio.current_time() < began + SLOW_SECONDS:
                        await work.produce(keyed(20, 60))
                    if protocol == "range":  # everybody waits for the slow one
                        assert not newcomer.statistics().partitions
                    else:
                        assert len(quick.done) > seen
                    if protocol == "kip848":
                        assert first.statistics().commits > before
                    gate.set()
                    slow_now = False
                    await work.produce(keyed(200, 60))
                    await until(lambda: len(journal.done()) == len(work.lanes))
    check(journal, work.lanes)
    await check_committed(settings, work.partitions)


async def test_a_handler_that_ignores_its_cancellation(kafka: KafkaBroker) -> None:
    """The revoke outlasts its grace and ends at its deadline: the record runs again elsewhere, and nothing is stuck."""
    work = Workload(kafka.bootstrap_servers, new_topic(kafka, 2))
    settings = settings_of(kafka.bootstrap_servers, "range")
    journal, gate = Journal(), trio.Event()

    async def stubborn(record: Record) -> None:
        if record.offset == 0:
            with trio.CancelScope(shield=True):
                await gate.wait()

    a, b = Handler(journal, "a", stubborn), Handler(journal, "b")
    options: dict[str, Any] = {"grace": 0.2, "revoke_deadline": 1.0}
    with trio.fail_after(TEST_SECONDS_MAX):
        await work.produce(keyed(100), partition=0)
        await work.produce(keyed(100), partition=1)
        async with running(settings, work.topic, a, **options) as first:
            await until(lambda: len(a.running) == 2)
            lane = {key for (_, offset), key in work.lanes.items() if offset == 0}
            held_back = {at for at, key in work.lanes.items() if key in lane}
            await until(lambda: len(a.done) == 200 - len(held_back))
            async with running(settings, work.topic, b, **options) as second:
                await until(lambda: first.statistics().revokes_overrun == 1)
                given = [*await second.wait_assigned()]
                await until(lambda: {at for at in held_back if at[0] in given} <= b.done)
                assert len(a.running) == 2
                gate.set()
                await until(lambda: held_back <= journal.done() and caught_up(first, second))
        assert first.statistics().revokes_overrun == 1
    assert journal.done() == set(work.lanes)
    # Both stubborn handlers ended after their tenures, so both records were handled again; nothing else was.
    assert {at[1] for at in journal.repeats()} == {0}
    assert journal.repeats().total() <= 2
    await check_committed(settings, work.partitions)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_topic_is_deleted(kafka: KafkaBroker, protocol: str) -> None:
    """The consumer goes on with its other topic."""
    doomed = Workload(kafka.bootstrap_servers, new_topic(kafka, 2, "doomed"))
    kept = Workload(kafka.bootstrap_servers, new_topic(kafka, 2, "kept"))
    settings = settings_of(kafka.bootstrap_servers, protocol)
    handler = Handler(Journal())
    with trio.fail_after(TEST_SECONDS_MAX):
        await doomed.produce(keyed(100))
        await kept.produce(keyed(100))
        async with open_consumer(settings, [doomed.topic, kept.topic]) as consumer:
            async with trio.open_nursery() as nursery:
                await nursery.start(consumer.run, handler)
                await until(lambda: len(handler.done) == 200)
                admin = admin_of(kafka)
                await trio.to_thread.run_sync(admin.delete_topics([doomed.topic])[doomed.topic].result, SECONDS_MAX)
                await until(lambda: {one.topic for one in consumer.statistics().partitions} == {kept.topic})
                await kept.produce(keyed(100))
                await until(lambda: len(handler.done) == 300 and caught_up(consumer))
                await consumer.drain()
    check(handler.journal, {**doomed.lanes, **kept.lanes})
    await check_committed(settings, kept.partitions)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_partitions_are_added(kafka: KafkaBroker, protocol: str) -> None:
    work = Workload(kafka.bootstrap_servers, new_topic(kafka, 1))
    settings = settings_of(kafka.bootstrap_servers, protocol)
    handler = Handler(Journal())
    with trio.fail_after(TEST_SECONDS_MAX):
        await work.produce(keyed(100))
        async with running(settings, work.topic, handler) as consumer:
            await until(lambda: len(handler.done) == 100)
            admin = admin_of(kafka)
            await trio.to_thread.run_sync(
                admin.create_partitions([NewPartitions(work.topic, 3)])[work.topic].result, SECONDS_MAX
            )
            added = [Partition(work.topic, number) for number in (1, 2)]
            for partition in added:
                await work.produce(keyed(50), partition=partition.number)
            await until(lambda: len(handler.done) == 200 and caught_up(consumer))
    check(handler.journal, work.lanes)
    await check_committed(settings, work.partitions)
