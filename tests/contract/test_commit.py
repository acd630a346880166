"""Commits: what reaches the broker, what is refused on this side, and what an answer means."""

from __future__ import annotations

import pytest
import trio

from trio_consumer import ClientError, Partition
from trio_consumer.client.port import Commit, Committed, Revoked

from .backend import SECONDS_MAX, Backend, GroupProtocol
from .member import Group, reading, until

METADATA_CHARACTERS_MAX = 4095


async def start(
    backend: Backend, protocol: GroupProtocol = GroupProtocol.RANGE, records: int = 10
) -> tuple[Group, Partition, Partition]:
    topic = await backend.new_topic(2)
    partitions = Partition(topic, 0), Partition(topic, 1)
    for partition in partitions:
        await backend.produce(partition, [b"x"] * records)
    return Group(backend, protocol, [topic]), *partitions


async def test_a_commit_is_acknowledged(backend: Backend, protocol: GroupProtocol) -> None:
    """When the call returns, the broker has it. While next waits, and while nobody reads."""
    with trio.fail_after(SECONDS_MAX):
        group, first, second = await start(backend, protocol)
        async with group.member() as member:
            await member.read_until(lambda: len(member.records) == 20)
            await member.client.commit({first: Commit(1)})
            assert (await group.committed([first]))[first] == 1
            async with reading(member):
                await member.client.commit({first: Commit(2), second: Commit(3)})
                assert await group.committed([first, second]) == {first: 2, second: 3}


async def test_many_commits_in_a_row(backend: Backend, protocol: GroupProtocol) -> None:
    """The same offset twice, and backwards: each call gets its own answer."""
    with trio.fail_after(SECONDS_MAX):
        group, first, second = await start(backend, protocol)
        async with group.member() as member, reading(member):
            await member.wait(lambda: len(member.records) == 20)
            for offset in (1, 1, 5, 2, 2, 10):
                await member.client.commit({first: Commit(offset), second: Commit(offset)})
        assert await group.committed([first, second]) == {first: 10, second: 10}


async def test_a_commit_with_records_waiting(backend: Backend) -> None:
    """Nobody reads, and far more records than one batch could be fetched: they must not get in the way of the answer,
    nor be lost or reordered by it."""
    with trio.fail_after(SECONDS_MAX):
        group, first, second = await start(backend, records=500)
        async with group.member() as member:
            member.records_max = 10
            await member.read_until(lambda: member.records)
            for offset in range(1, 30):
                await member.client.commit({first: Commit(offset)})
            await member.read_until(lambda: len(member.records) == 1000)
            await member.read_until(lambda: member.positions == {first: 500, second: 500})
        assert member.offsets(first) == member.offsets(second) == list(range(500))


async def test_an_empty_commit_is_nothing(backend: Backend) -> None:
    with trio.fail_after(SECONDS_MAX):
        group, _, _ = await start(backend)
        async with group.member() as member:
            await member.client.commit({})  # not even an assignment is needed


async def test_the_longest_metadata(backend: Backend, protocol: GroupProtocol) -> None:
    """4,095 characters: one less than the broker's default limit, since the client appends a NUL."""
    text = "".join(chr(33 + number % 90) for number in range(METADATA_CHARACTERS_MAX))
    with trio.fail_after(SECONDS_MAX):
        group, first, _ = await start(backend, protocol)
        async with group.member() as member:
            await member.read_until(lambda: len(member.owned) == 2)
            await member.client.commit({first: Commit(4, text)})
        async with group.member() as member:
            await member.read_until(lambda: len(member.owned) == 2)
            assert member.assigned[0].partitions[first] == Committed(4, text)


@pytest.mark.usefixtures("with_metadata_limit")
async def test_too_long_metadata_is_refused(backend: Backend) -> None:
    """An error says nothing about the single partitions: here one of them was committed."""
    with trio.fail_after(SECONDS_MAX):
        group, first, second = await start(backend)
        async with group.member() as member:
            await member.read_until(lambda: len(member.owned) == 2)
            with pytest.raises(ClientError) as caught:
                await member.client.commit({first: Commit(4, "x" * 4096), second: Commit(5)})
            assert caught.value.code == "OFFSET_METADATA_TOO_LARGE"
            assert await group.committed([first, second]) == {first: None, second: 5}
            await member.client.commit({first: Commit(4, "shorter")})
            assert await group.committed([first, second]) == {first: 4, second: 5}


async def test_a_cancelled_commit_only_stops_waiting(backend: Backend) -> None:
    """Later ones get their own answers."""
    with trio.fail_after(SECONDS_MAX):
        group, first, _ = await start(backend)
        async with group.member() as member, reading(member):
            await member.wait(lambda: len(member.owned) == 2)
            with trio.CancelScope() as scope:
                scope.cancel()
                await member.client.commit({first: Commit(3)})
            assert scope.cancelled_caught
            await member.client.commit({first: Commit(4)})
        assert (await group.committed([first]))[first] == 4


async def test_what_is_not_assigned_is_not_committed(backend: Backend) -> None:
    """Before the first assignment, and a partition that was never ours; nothing else of the request is sent either."""
    with trio.fail_after(SECONDS_MAX):
        group, first, second = await start(backend)
        foreign = Partition(first.topic, 2)
        async with group.member() as member:
            for partition in (first, foreign):
                with pytest.raises(ClientError) as caught:
                    await member.client.commit({partition: Commit(1)})
                assert caught.value.code == "_NOT_ASSIGNED"
            await member.read_until(lambda: len(member.owned) == 2)
            with pytest.raises(ClientError) as caught:
                await member.client.commit({first: Commit(1), foreign: Commit(1)})
            assert caught.value.code == "_NOT_ASSIGNED"
        assert await group.committed([first, second]) == {first: None, second: None}


async def test_a_later_tenure_is_not_reached_by_an_earlier_commit(backend: Backend, protocol: GroupProtocol) -> None:
    """A partition went and came back. Until its new assignment has been read, nothing can be committed for it."""
    with trio.fail_after(SECONDS_MAX):
        group, _, _ = await start(backend, protocol)
        async with group.member() as a:
            await a.read_until(lambda: len(a.owned) == 2)
            async with group.member() as b, trio.open_nursery() as nursery:
                nursery.start_soon(b.run)
                async with reading(a):
                    await until(lambda: len(a.owned) == len(b.owned) == 1, a, b)
                (moved,) = b.owned
                await b.client.commit({moved: Commit(7)})
                nursery.cancel_scope.cancel()
            with pytest.raises(ClientError) as caught:
                await a.client.commit({moved: Commit(2)})
            assert caught.value.code == "_NOT_ASSIGNED"
            await a.read_until(lambda: len(a.owned) == 2)
            assert a.assigned[-1].partitions[moved].offset == 7
            await a.client.commit({moved: Commit(9)})
        assert (await group.committed([moved]))[moved] == 9


async def test_a_revoked_partition_is_not_committed_after_its_release(
    backend: Backend, protocol: GroupProtocol
) -> None:
    with trio.fail_after(SECONDS_MAX):
        group, _, _ = await start(backend, protocol)
        codes: list[str] = []
        async with group.member() as a:

            async def release_early(event: Revoked) -> None:
                a.client.release(event)
                with pytest.raises(ClientError) as caught:
                    await a.client.commit({partition: Commit(2) for partition in event.partitions})
                codes.append(caught.value.code)

            a.when_revoked(release_early)
            async with reading(a):
                await a.wait(lambda: len(a.owned) == 2)
                async with group.member() as b, reading(b):
                    await b.wait(lambda: b.owned)
        assert codes[0] == "_NOT_ASSIGNED"
