"""Members in processes of their own: one is killed, one is stopped for longer than its session."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import trio

from tests.kafka.broker import KafkaBroker
from tests.kafka.journal import At, Journal, check
from tests.kafka.members import (
    PROTOCOLS,
    TEST_SECONDS_MAX,
    Workload,
    broker_committed,
    broker_ends,
    check_committed,
    settings_of,
    until,
    until_caught_up,
    until_members,
)
from tests.kafka.processes import MemberProcess, SharedJournal
from tests.support import keyed, new_topic
from trio_consumer.client.port import Committed
from trio_consumer.core.offset_map import decode

KEYS = 40
PARTITIONS = 4
STUCK = "key-7"
CONCURRENCY = 16


def covered(at: At, held: Committed) -> bool:
    """Whether this commit says that the record is done."""
    offset = held.offset or 0
    return at[1] < offset or any(first <= at[1] < end for first, end in decode(held.metadata, offset))


def holder_of(journal: Journal, at: At) -> str:
    """Who began this record last."""
    return [entry.member for entry in journal.entries if entry.at == at][-1]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_one_is_killed(kafka: KafkaBroker, tmp_path: Path, protocol: str) -> None:
    """A lane is stuck from the start, so the committed offset stays: only the offset map keeps repeats few."""
    work = Workload(kafka.bootstrap_servers, new_topic(kafka, PARTITIONS))
    settings = settings_of(kafka.bootstrap_servers, protocol)
    shared = SharedJournal(tmp_path)
    first, second = (
        MemberProcess(
            name, shared, settings, work.topic, stuck=STUCK, concurrency=CONCURRENCY, grace=1.0, commit_interval=0.2
        )
        for name in "ab"
    )
    with trio.fail_after(TEST_SECONDS_MAX), first, second:
        await work.produce(keyed(1_000, KEYS))
        stuck = min(at for at, key in work.lanes.items() if key == STUCK.encode())
        while min(len(shared.read().done(name)) for name in "ab") < 200 or stuck not in shared.read().begun():
            await work.produce(keyed(200, KEYS))
        await work.produce(keyed(400, KEYS))
        victim = first if holder_of(shared.read(), stuck) == "a" else second
        survivor = second if victim is first else first
        await victim.kill()
        held = await broker_committed(settings, work.partitions)
        before = shared.read()
        shared.gate.touch()
        await until(lambda: len(shared.read().done()) == len(work.lanes))
        told = await survivor.drain()
    journal = shared.read()
    unreached = {at for at in before.done(victim.member) if not covered(at, held[at[0]])}
    assert set(journal.repeats()) <= unreached
    check(journal, work.lanes, repeats_max=len(unreached))
    assert held[stuck[0]].offset == stuck[1]
    # What the stuck lane would have cost without its map.
    restored = {at for at in before.done(victim.member) if at[0] == stuck[0] and at[1] > stuck[1]} - unreached
    assert len(restored) >= 50
    assert told["restored"] >= len(restored)
    await check_committed(settings, work.partitions)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_one_is_stopped_for_longer_than_its_session(kafka: KafkaBroker, tmp_path: Path, protocol: str) -> None:
    """It finds its partitions gone when it goes on: what it had not committed by then it never commits."""
    work = Workload(kafka.bootstrap_servers, new_topic(kafka, PARTITIONS))
    settings = settings_of(kafka.bootstrap_servers, protocol)
    shared = SharedJournal(tmp_path)
    first, second = (
        MemberProcess(name, shared, settings, work.topic, concurrency=CONCURRENCY, commit_interval=0.2) for name in "ab"
    )
    with trio.fail_after(TEST_SECONDS_MAX), first, second:
        while min(len(shared.read().done(name)) for name in "ab") < 100:
            await work.produce(keyed(200, KEYS))
        await work.produce(keyed(1_000, KEYS))
        begun = len(shared.read().done("a"))
        await until(lambda: len(shared.read().done("a")) >= begun + 20)
        first.send(signal.SIGSTOP)
        held = await broker_committed(settings, work.partitions)
        stopped = shared.read()
        await until(lambda: len(shared.read().done()) == len(work.lanes))  # after its session has ended
        await until_caught_up(settings, work.partitions)
        old = dict(work.lanes)
        ends = await broker_ends(settings, work.partitions)
        first.send(signal.SIGCONT)
        await until_members(settings, 2)
        # Nothing of its old tenure has reached the broker.
        assert {at: one.offset for at, one in (await broker_committed(settings, ends)).items()} == ends
        while len(shared.read().done("a") - set(old)) < 100:
            await work.produce(keyed(200, KEYS))
        await until(lambda: len(shared.read().done()) == len(work.lanes))
        told = await first.drain()
        await second.drain()
    assert told["tenures_lost"] >= 1
    journal = shared.read()
    assert journal.done() == set(work.lanes)
    # Until it learns of its loss it may handle what it has fetched. What came later is handled once and in order.
    assert set(journal.repeats()) <= set(old) - {at for at in stopped.done() if covered(at, held[at[0]])}
    assert journal.violations({at: key for at, key in work.lanes.items() if at not in old}) == []
    await check_committed(settings, work.partitions)
