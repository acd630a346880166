"""Members in processes of their own: one is killed, one is stopped for longer than its session."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

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
from trio_consumer import Partition
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


def restored_by(held: Mapping[Partition, Committed], ahead: Iterable[At], stuck: At) -> list[At]:
    """Those of the records ahead of the stuck one that these commits say are done."""
    return [at for at in ahead if at[1] > stuck[1] and covered(at, held[at[0]])]


def holder_of(journal: Journal, at: At) -> str:
    """Who began this record last."""
    return [entry.member for entry in journal.entries if entry.at == at][-1]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_one_is_killed(kafka: KafkaBroker, tmp_path: Path, protocol: str) -> None:
    """A lane is stuck from the start, so the committed offset stays: only the offset map keeps repeats few."""
    work = Workload(kafka.bootstrap_servers, new_topic(kafka, PARTITIONS))
    settings = settings_of(kafka.bootstrap_servers, protocol)
    options: dict[str, Any] = {"concurrency": CONCURRENCY, "commit_interval": 0.2, "grace": 1.0}
    with trio.fail_after(TEST_SECONDS_MAX), SharedJournal(tmp_path) as shared:
        first = MemberProcess("a", shared, settings, work.topic, stuck=STUCK, **options)
        second = MemberProcess("b", shared, settings, work.topic, stuck=STUCK, **options)
        with first, second:
            await work.produce(keyed(400, KEYS))
            stuck = min(at for at, key in work.lanes.items() if key == STUCK.encode())
            await until_members(settings, 2)
            await work.produce(keyed(800, KEYS))
            ahead = {at for at, key in work.lanes.items() if at[0] == stuck[0] and key != STUCK.encode()}
            await until(lambda: len(shared.now.done() & ahead) > 100 and stuck in shared.now.begun())
            # A commit with a map has landed; what comes now is not covered by it, or by the next one at most.
            while len(restored_by(await broker_committed(settings, work.partitions), ahead, stuck)) <= 50:  # noqa: ASYNC110  no event
                await trio.sleep(0.05)
            await work.produce(keyed(400, KEYS))
            victim, survivor = (first, second) if holder_of(shared.now, stuck) == "a" else (second, first)
            await victim.kill()
            held = await broker_committed(settings, work.partitions)
            done = set(shared.now.done(victim.member))
            shared.gate.touch()
            await until(lambda: len(shared.now.done()) == len(work.lanes))
            told = await survivor.drain()
        journal = shared.now
    unreached = {at for at in done if not covered(at, held[at[0]])}
    assert set(journal.repeats()) <= unreached
    check(journal, work.lanes, repeats_max=len(unreached))
    # What the stuck lane would have cost without its map.
    assert held[stuck[0]].offset == stuck[1]
    restored = restored_by(held, ahead, stuck)
    assert len(restored) > 50
    assert told["restored"] >= len(restored)
    await check_committed(settings, work.partitions)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_one_is_stopped_for_longer_than_its_session(kafka: KafkaBroker, tmp_path: Path, protocol: str) -> None:
    """It finds its partitions gone when it goes on: what it had not committed by then it never commits."""
    work = Workload(kafka.bootstrap_servers, new_topic(kafka, PARTITIONS))
    settings = settings_of(kafka.bootstrap_servers, protocol)
    options: dict[str, Any] = {"concurrency": CONCURRENCY, "commit_interval": 0.2}
    with trio.fail_after(TEST_SECONDS_MAX), SharedJournal(tmp_path) as shared:
        first = MemberProcess("a", shared, settings, work.topic, **options)
        second = MemberProcess("b", shared, settings, work.topic, **options)
        with first, second:
            await until_members(settings, 2)
            await work.produce(keyed(1_000, KEYS))
            await until(lambda: len(shared.now.done("a")) >= 100)
            first.send(signal.SIGSTOP)
            held = await broker_committed(settings, work.partitions)
            safe = {at for at in shared.now.done() if covered(at, held[at[0]])}
            await until(lambda: len(shared.now.done()) == len(work.lanes))  # after its session has ended
            await until_caught_up(settings, work.partitions)
            ends = await broker_ends(settings, work.partitions)
            old = set(work.lanes)
            first.send(signal.SIGCONT)
            await until_members(settings, 2)
            # Nothing of its old tenure has reached the broker.
            assert {at: one.offset for at, one in (await broker_committed(settings, ends)).items()} == ends
            await work.produce(keyed(400, KEYS))
            await until(lambda: len(shared.now.done()) == len(work.lanes))
            told = await first.drain()
            await second.drain()
        journal = shared.now
    assert told["tenures_lost"] >= 1
    assert journal.done() == set(work.lanes)
    assert journal.done("a") - old
    # Until it learns of its loss it may handle what it had fetched. What came later is handled once and in order.
    assert set(journal.repeats()) <= old - safe
    assert journal.violations({at: key for at, key in work.lanes.items() if at not in old}) == []
    await check_committed(settings, work.partitions)
