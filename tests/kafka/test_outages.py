"""The broker goes away and comes back, and a consumer that stood still for too long finds its partitions gone."""

from __future__ import annotations

import time

import trio

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
from tests.support import keyed, new_topic
from trio_consumer import Consumer, Record

KEYS = 40
STILL_SECONDS = 7.5
POLL_INTERVAL_MS = 6_000
BATCH = 100
"""Records that the client fetches at once: an eighth of what may be queued."""


async def test_the_broker_is_killed_and_comes_back(own_kafka: KafkaBroker) -> None:
    """In the middle of running handlers, with a consumer under each protocol. Sessions outlast it: nothing repeats."""
    work = Workload(own_kafka.bootstrap_servers, new_topic(own_kafka, 4))
    handlers: dict[str, Handler] = {}
    consumers: dict[str, Consumer] = {}
    settings = {
        protocol: settings_of(own_kafka.bootstrap_servers, protocol)
        | ({} if protocol == "kip848" else {"session.timeout.ms": 60_000})
        for protocol in PROTOCOLS
    }

    async def handle(record: Record) -> None:
        await trio.sleep(0.05)

    async def run(protocol: str, *, task_status: trio.TaskStatus[None]) -> None:
        handlers[protocol] = Handler(Journal(), protocol, handle)
        async with running(settings[protocol], work.topic, handlers[protocol], concurrency=8) as consumers[protocol]:
            task_status.started()
            await finished.wait()

    finished = trio.Event()
    with trio.fail_after(2 * TEST_SECONDS_MAX):
        await work.produce(keyed(1_000, KEYS))
        async with trio.open_nursery() as nursery:
            for protocol in PROTOCOLS:
                await nursery.start(run, protocol)
            await until(lambda: all(len(one.done) >= 200 for one in handlers.values()))
            await trio.to_thread.run_sync(own_kafka.kill)
            held = {protocol: one.statistics().commits for protocol, one in consumers.items()}
            await until(lambda: all(len(one.done) >= 400 for one in handlers.values()))  # what was fetched goes on
            await trio.to_thread.run_sync(own_kafka.restart)
            await work.produce(keyed(500, KEYS))
            await until(lambda: all(len(one.done) == 1_500 for one in handlers.values()))
            await until(lambda: caught_up(*consumers.values()))
            assert all(one.statistics().commits > held[protocol] for protocol, one in consumers.items())
            finished.set()
    for protocol in PROTOCOLS:
        check(handlers[protocol].journal, work.lanes)
        await check_committed(settings[protocol], work.partitions)


async def test_the_poll_interval_is_exceeded(kafka: KafkaBroker) -> None:
    """The whole program is blocked. The group takes the partitions away; the consumer drops them and joins again."""
    work = Workload(kafka.bootstrap_servers, new_topic(kafka, 4))
    settings = {
        protocol: settings_of(kafka.bootstrap_servers, protocol, max_poll_interval_ms=POLL_INTERVAL_MS)
        for protocol in PROTOCOLS
    }
    handlers: dict[str, Handler] = {}
    consumers: dict[str, Consumer] = {}
    finished = trio.Event()

    async def run(protocol: str, *, task_status: trio.TaskStatus[None]) -> None:
        handlers[protocol] = Handler(Journal(), protocol)
        async with running(
            settings[protocol],
            work.topic,
            handlers[protocol],
            queued_records_max=8 * BATCH,
            grace=1.0,
            revoke_deadline=2.0,
        ) as consumers[protocol]:
            task_status.started()
            await finished.wait()

    def all_done() -> bool:
        return all(len(one.done) == len(work.lanes) for one in handlers.values()) and caught_up(*consumers.values())

    with trio.fail_after(TEST_SECONDS_MAX):
        async with trio.open_nursery() as nursery:
            for protocol in PROTOCOLS:
                await nursery.start(run, protocol)
            await work.produce(keyed(400, KEYS))
            await until(all_done)
            # The client is polled for as long as there is room for what it fetches, so more must come than one batch.
            work.produce_now(keyed(10 * BATCH, KEYS))
            time.sleep(STILL_SECONDS)  # noqa: ASYNC251  the fault
            await until(all_done)
            told = {protocol: one.statistics() for protocol, one in consumers.items()}
            finished.set()
    for protocol in PROTOCOLS:
        assert told[protocol].client_errors["_MAX_POLL_EXCEEDED"] == 1
        assert (told[protocol].tenures_lost, told[protocol].tenures) == (4, 8)
        # It learns of its loss when it asks for the next batch.
        check(handlers[protocol].journal, work.lanes, repeats_max=2 * BATCH)
        await check_committed(settings[protocol], work.partitions)
