"""The client without a broker keeps to the port, as far as a consumer that is never rebalanced can tell."""

from __future__ import annotations

from collections import defaultdict

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from benchmarks.candidates.prepared import HELD_KEY, STRETCH_RECORDS, TOPIC, PreparedClient, Supply
from benchmarks.model import Workload
from trio_consumer import Partition, Record
from trio_consumer.client.port import Assigned, Commit, Records

WORKLOAD = Workload(records=40, keys=7, partitions=3, value_bytes=5)


async def assigned(workload: Workload = WORKLOAD, **options: object) -> PreparedClient:
    client = PreparedClient(Supply.of(workload), **options)  # type: ignore[arg-type]
    event = await client.next(1)
    assert isinstance(event, Assigned)
    assert set(event.partitions) == {Partition(TOPIC, number) for number in range(workload.partitions)}
    return client


async def batch(client: PreparedClient, records_max: int = 100) -> Records:
    event = await client.next(records_max)
    assert isinstance(event, Records)
    return event


async def drained(client: PreparedClient, count: int, records_max: int) -> list[Records]:
    batches: list[Records] = []
    while sum(len(one.records) for one in batches) < count:
        batches.append(await batch(client, records_max))
    return batches


def test_the_supply_is_the_workload() -> None:
    supply, expected = Supply.of(WORKLOAD), defaultdict[int, list[tuple[bytes, bytes]]](list)
    for partition, key, value in WORKLOAD:
        expected[partition].append((key, value))
    for partition, count in enumerate(WORKLOAD.counts):
        records = supply.build(partition, 0, count)
        assert [(one.key, one.value) for one in records] == expected[partition]
        assert [one.offset for one in records] == list(range(count))
        assert {(one.topic, one.partition, one.attempt) for one in records} == {(TOPIC, partition, 1)}


@pytest.mark.parametrize("scattered", [False, True])
def test_held_records_come_first(scattered: bool) -> None:
    supply = Supply.of(Workload(records=400, keys=None, partitions=4), held=100, scattered=scattered)
    assert sum(map(len, supply.held)) == 100
    held = [one for number, count in enumerate(supply.counts) for one in supply.build(number, 0, count)]
    assert {(one.partition, one.offset) for one in held if one.key == HELD_KEY} == {
        (number, offset) for number, offsets in enumerate(supply.held) for offset in offsets
    }
    # In a row they are the first quarter of each partition; scattered they lie anywhere in its first half.
    assert all(max(offsets) < (50 if scattered else 25) for offsets in supply.held)
    assert any(max(offsets) > 25 for offsets in supply.held) is scattered


@pytest.mark.parametrize("records_max", [1, 7, 1_000])
async def test_each_record_comes_once_and_in_order(records_max: int) -> None:
    client = await assigned()
    batches, seen = await drained(client, WORKLOAD.records, records_max), defaultdict[int, list[int]](list)
    for one in batches:
        assert 0 < len(one.records) <= records_max
        for record in one.records:
            seen[record.partition].append(record.offset)
        assert one.positions == {Partition(TOPIC, record.partition): record.offset + 1 for record in one.records}
        assert all(len(record.key) + len(record.value) <= one.bytes_max for record in one.records)
    assert seen == {number: list(range(count)) for number, count in enumerate(WORKLOAD.counts)}
    assert client.handed == WORKLOAD.records


async def test_the_end_comes_with_the_first_record_of_a_partition() -> None:
    client = await assigned()
    ends = [one.ends for one in await drained(client, WORKLOAD.records, 1)]
    first = [index for index, one in enumerate(ends) if one]
    assert len(first) == WORKLOAD.partitions
    merged = {partition.number: end for one in ends for partition, end in one.items()}
    assert merged == dict(enumerate(WORKLOAD.counts))


async def test_partitions_take_turns_in_stretches() -> None:
    client = await assigned(Workload(records=6 * STRETCH_RECORDS, keys=None, partitions=2))
    records = (await batch(client, 4 * STRETCH_RECORDS)).records
    turns = [record.partition for record in records[::STRETCH_RECORDS]]
    assert turns == [0, 1, 0, 1]
    assert [record.partition for record in records] == [turn for turn in turns for _ in range(STRETCH_RECORDS)]


async def test_a_batch_is_as_small_as_it_shall_be() -> None:
    client = await assigned(batch_records_max=4)
    assert len((await batch(client, 100)).records) == 4


async def test_what_is_paused_waits() -> None:
    client = await assigned()
    everything = [Partition(TOPIC, number) for number in range(WORKLOAD.partitions)]
    await client.pause(everything[1:])
    assert {record.partition for record in (await batch(client)).records} == {0}
    with trio.move_on_after(0) as scope:
        await client.next(100)
    assert scope.cancelled_caught
    await client.resume(everything)
    assert {record.partition for record in (await batch(client)).records} == {1, 2}


async def test_a_resume_wakes_the_reader() -> None:
    client, found = await assigned(), list[Record]()
    everything = [Partition(TOPIC, number) for number in range(WORKLOAD.partitions)]
    await client.pause(everything)

    async def read() -> None:
        found.extend((await batch(client)).records)

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await wait_all_tasks_blocked()
            assert not found
            await client.resume(everything)
    assert len(found) == WORKLOAD.records


async def test_a_seek_goes_back() -> None:
    client = await assigned()
    await drained(client, WORKLOAD.records, 100)
    await client.seek({Partition(TOPIC, 1): 3})
    assert [(record.partition, record.offset) for record in (await batch(client)).records] == [
        (1, offset) for offset in range(3, WORKLOAD.counts[1])
    ]


async def test_commits_are_kept() -> None:
    client = await assigned()
    await client.commit({Partition(TOPIC, 0): Commit(3), Partition(TOPIC, 1): Commit(4, "map")})
    await client.commit({Partition(TOPIC, 0): Commit(5)})
    assert client.commits == 2
    assert client.committed == {Partition(TOPIC, 0): Commit(5), Partition(TOPIC, 1): Commit(4, "map")}


async def test_room_limits_a_batch() -> None:
    asked = []

    async def room(handed: int) -> int:
        asked.append(handed)
        await trio.lowlevel.checkpoint()
        return 2

    client = await assigned(room=room)
    assert [len((await batch(client)).records) for _ in range(3)] == [2, 2, 2]
    assert asked == [0, 2, 4]
