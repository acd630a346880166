"""Records, positions and log ends; pause, resume and seek."""

from __future__ import annotations

import pytest
import trio

from trio_consumer import ClientError, Partition
from trio_consumer.client.port import Commit

from .backend import SECONDS_MAX, Backend, GroupProtocol
from .member import Group, reading, until

RANGE = GroupProtocol.RANGE


async def one_partition(backend: Backend, records: int) -> tuple[Group, Partition]:
    topic = await backend.new_topic(1)
    partition = Partition(topic, 0)
    await backend.produce(partition, [b"%d" % number for number in range(records)])
    return Group(backend, RANGE, [topic]), partition


async def two_partitions(backend: Backend, records: int) -> tuple[Group, Partition, Partition]:
    topic = await backend.new_topic(2)
    partitions = Partition(topic, 0), Partition(topic, 1)
    for partition in partitions:
        await backend.produce(partition, [b"%d" % number for number in range(records)])
    return Group(backend, RANGE, [topic]), *partitions


async def test_a_record_has_all_its_fields(backend: Backend) -> None:
    with trio.fail_after(SECONDS_MAX):
        group, partition = await one_partition(backend, 0)
        await backend.produce(partition, [b"value", b"next!"])
        async with group.member() as member:
            await member.read_until(lambda: len(member.records) == 2)
        first, second = member.records
        assert (first.topic, first.partition, first.offset) == (*partition, 0)
        assert (first.key, first.value, first.headers, first.attempt) == (b"valu", b"value", None, 1)
        assert first.timestamp is not None
        assert first.timestamp > 1_700_000_000_000
        assert (second.offset, second.value) == (1, b"next!")


async def test_batches_are_never_larger_than_asked_for(backend: Backend) -> None:
    """Also when the next call asks for less than the last, which was fetched ahead for."""
    with trio.fail_after(SECONDS_MAX):
        group, partition = await one_partition(backend, 200)
        async with group.member() as member:
            sizes = (50, 7, 1, 100)
            while len(member.records) < 200:
                member.records_max = sizes[len(member.records) % 4]
                await member.read()  # checks the size
        assert member.offsets(partition) == list(range(200))
        assert member.positions[partition] == 200


async def test_a_cancelled_next_loses_nothing(backend: Backend) -> None:
    """Whether it is cancelled before, while or after an event arrives."""
    with trio.fail_after(SECONDS_MAX):
        group, partition = await one_partition(backend, 300)
        async with group.member() as member:
            member.records_max = 3
            delay = 0.0
            while len(member.records) < 300:
                with trio.move_on_after(delay):
                    await member.read()
                delay = 0.0 if delay > 0.002 else delay + 0.0001
        assert member.offsets(partition) == list(range(300))


async def test_at_most_one_batch_arrives_after_a_pause(backend: Backend) -> None:
    """The one that was fetched ahead."""
    with trio.fail_after(SECONDS_MAX):
        group, paused, other = await two_partitions(backend, 0)
        await backend.produce(paused, [b"x"] * 100)
        async with group.member() as member:
            member.records_max = 10
            await member.read_until(lambda: len(member.records) >= 10)
            await member.client.pause([paused])
            before = len(member.records)
            await backend.produce(other, [b"x"] * 30)
            await member.read_until(lambda: len(member.offsets(other)) == 30)
            assert len(member.offsets(paused)) <= before + 10


async def test_positions_and_ends(backend: Backend) -> None:
    with trio.fail_after(SECONDS_MAX):
        group, partition = await one_partition(backend, 30)
        async with group.member() as member:
            await member.read_until(lambda: member.positions.get(partition) == 30)
            await member.read_until(lambda: member.ends.get(partition) == 30)
            await backend.produce(partition, [b"more"])
            await member.read_until(lambda: member.positions[partition] == member.ends[partition] == 31)


@pytest.mark.usefixtures("with_transactions")
async def test_positions_pass_trailing_holes(backend: Backend) -> None:
    """The marker that ends a transaction is an offset without a record: the position goes past it, or a consumer that
    has handled everything would seem to lag for ever."""
    with trio.fail_after(SECONDS_MAX):
        group, partition = await one_partition(backend, 0)
        await backend.produce_transaction(partition, [b"a", b"b"])
        async with group.member() as member:
            await member.read_until(lambda: member.positions.get(partition) == 3)
            assert member.offsets(partition) == [0, 1]
            await backend.produce_transaction(partition, [b"c"])
            await member.read_until(lambda: member.positions[partition] == 5)
            assert member.offsets(partition) == [0, 1, 3]


async def test_a_paused_partition_is_not_fetched(backend: Backend) -> None:
    """The others are, and after `resume` it goes on where it stopped."""
    with trio.fail_after(SECONDS_MAX):
        group, paused, other = await two_partitions(backend, 10)
        async with group.member() as member:
            await member.read_until(lambda: len(member.records) == 20)
            await member.client.pause([paused])
            await backend.produce(paused, [b"more"])
            for number in range(3):  # a fetch of the paused partition would have come with these
                await backend.produce(other, [b"more"])
                await member.read_until(lambda: member.positions[other] == 11 + number)  # noqa: B023
            assert member.offsets(paused) == list(range(10))
            await member.client.resume([paused])
            await member.read_until(lambda: member.offsets(paused) == list(range(11)))


async def test_pause_and_resume_of_foreign_partitions_are_ignored(backend: Backend) -> None:
    with trio.fail_after(SECONDS_MAX):
        group, partition = await one_partition(backend, 10)
        async with group.member() as member:
            await member.client.pause([partition])  # not ours yet
            await member.read_until(lambda: len(member.records) == 10)
            await member.client.pause([Partition("no-such-topic", 5)])
            await member.client.resume([Partition("no-such-topic", 5)])


async def test_a_pause_ends_with_its_tenure(backend: Backend, protocol: GroupProtocol) -> None:
    """A partition that comes back is fetched, although it was paused when it went."""
    with trio.fail_after(SECONDS_MAX):
        group, *partitions = await two_partitions(backend, 5)
        group.protocol = protocol
        async with group.member() as a, reading(a):
            await a.wait(lambda: len(a.records) == 10)
            await a.client.pause(partitions)
            async with group.member() as b, reading(b):
                await until(lambda: len(a.owned) == len(b.owned) == 1, a, b)
                (moved,) = b.owned
            await a.wait(lambda: len(a.owned) == 2)
            await backend.produce(moved, [b"more"])
            await a.wait(lambda: 5 in a.offsets(moved))


async def test_seek(backend: Backend) -> None:
    """Backwards and forwards; nothing from before the seek comes after it."""
    with trio.fail_after(SECONDS_MAX):
        group, partition = await one_partition(backend, 200)
        async with group.member() as member:
            member.records_max = 20
            await member.read_until(lambda: len(member.records) >= 20)
            for target in (150, 3, 100):
                # Answered only after polls, so the next batch is there, and more may be in the client's hand.
                for _ in range(5):
                    await member.client.commit({partition: Commit(1)})
                await member.client.seek({partition: target})
                member.sought(partition)
                member.records.clear()
                await member.read_until(lambda: len(member.records) >= 20)
                assert member.offsets(partition)[:20] == list(range(target, target + 20))


async def test_seek_straight_after_the_assignment(backend: Backend, protocol: GroupProtocol) -> None:
    with trio.fail_after(SECONDS_MAX):
        group, partition = await one_partition(backend, 20)
        group.protocol = protocol
        async with group.member() as member:
            await member.read_until(lambda: member.owned)
            await member.client.seek({partition: 15})
            await member.read_until(lambda: member.records)
        assert member.offsets(partition)[0] == 15


async def test_a_foreign_partition_is_not_sought(backend: Backend) -> None:
    with trio.fail_after(SECONDS_MAX):
        group, partition = await one_partition(backend, 1)
        async with group.member() as member:
            await member.read_until(lambda: member.owned)
            with pytest.raises(ClientError) as caught:
                await member.client.seek({Partition(partition.topic, 1): 0})
        assert caught.value.code == "_NOT_ASSIGNED"


async def test_requests_work_while_next_waits(backend: Backend) -> None:
    with trio.fail_after(SECONDS_MAX):
        group, partition = await one_partition(backend, 0)
        async with group.member() as member:
            await member.read_until(lambda: member.owned)
            async with reading(member):
                await member.client.pause([partition])
                await member.client.resume([partition])
                await member.client.seek({partition: 0})
                await backend.produce(partition, [b"x"])
                await member.wait(lambda: member.records)
