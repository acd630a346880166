"""Partitions come, go to other members and come back, under each protocol."""

from __future__ import annotations

import trio

from trio_consumer import Partition
from trio_consumer.client.port import Assigned, Commit, Committed, Revoked

from .backend import SECONDS_MAX, Backend, GroupProtocol
from .member import Group, reading, until

PARTITIONS = 4


async def start(backend: Backend, protocol: GroupProtocol, records: int = 20) -> tuple[Group, list[Partition]]:
    topic = await backend.new_topic(PARTITIONS)
    partitions = [Partition(topic, number) for number in range(PARTITIONS)]
    for partition in partitions:
        await backend.produce(partition, [b"%d" % number for number in range(records)])
    return Group(backend, protocol, [topic]), partitions


async def test_the_only_member_gets_every_partition(backend: Backend, protocol: GroupProtocol) -> None:
    with trio.fail_after(SECONDS_MAX):
        group, partitions = await start(backend, protocol)
        async with group.member() as member:
            await member.read_until(lambda: len(member.owned) == PARTITIONS)
            first = member.events[0]
            assert isinstance(first, Assigned)
            assert first.partitions == dict.fromkeys(partitions, Committed())
            await member.read_until(lambda: len(member.records) == 20 * PARTITIONS)
    assert all(member.offsets(partition) == list(range(20)) for partition in partitions)


async def test_a_member_joins_and_leaves(backend: Backend, protocol: GroupProtocol) -> None:
    """The members share the partitions, never hold one twice, and the one that stays gets all back."""
    with trio.fail_after(SECONDS_MAX):
        group, partitions = await start(backend, protocol)
        async with group.member() as a, reading(a):
            await a.wait(lambda: len(a.owned) == PARTITIONS)
            async with group.member() as b, reading(b):
                await until(lambda: len(a.owned) == len(b.owned) == 2, a, b)
                assert a.owned | b.owned == set(partitions)
                assert a.has(Revoked)
            await a.wait(lambda: len(a.owned) == PARTITIONS)


async def test_every_record_reaches_a_member_across_a_handover(backend: Backend, protocol: GroupProtocol) -> None:
    with trio.fail_after(SECONDS_MAX):
        group, partitions = await start(backend, protocol)
        async with group.member() as a, reading(a):
            await a.wait(lambda: len(a.records) == 20 * PARTITIONS)
            async with group.member() as b, reading(b):
                await until(lambda: len(a.owned) == len(b.owned) == 2, a, b)
                for partition in partitions:
                    await backend.produce(partition, [b"more"])
                await until(
                    lambda: all(20 in a.offsets(partition) + b.offsets(partition) for partition in partitions), a, b
                )


async def test_a_member_joins_the_group_at_its_first_next(backend: Backend) -> None:
    """Without it, a consumer that was opened but does not run would hold partitions that nobody reads."""
    with trio.fail_after(SECONDS_MAX):
        group, _ = await start(backend, GroupProtocol.RANGE)
        async with group.member(), group.member() as b:
            await b.read_until(lambda: len(b.records) == 20 * PARTITIONS)
            assert len(b.owned) == PARTITIONS


async def test_committed_offset_and_metadata_come_with_the_assignment(
    backend: Backend, protocol: GroupProtocol
) -> None:
    """And reading begins at the committed offset."""
    with trio.fail_after(SECONDS_MAX):
        group, partitions = await start(backend, protocol)
        first, second, third, fourth = partitions
        async with group.member() as a:
            await a.read_until(lambda: len(a.owned) == PARTITIONS)
            await a.client.commit({first: Commit(7, "what is done: ü"), second: Commit(19), third: Commit(20, "all")})
        async with group.member() as b:
            await b.read_until(lambda: len(b.owned) == PARTITIONS)
            assert b.assigned[0].partitions == {
                first: Committed(7, "what is done: ü"),
                second: Committed(19),
                third: Committed(20, "all"),
                fourth: Committed(),
            }
            await b.read_until(lambda: len(b.records) == 13 + 1 + 20)
        assert [b.offsets(partition)[:1] for partition in partitions] == [[7], [19], [], [0]]


async def test_topics_by_regular_expression(backend: Backend) -> None:
    with trio.fail_after(SECONDS_MAX):
        group, partitions = await start(backend, GroupProtocol.RANGE)
        group.topics = (f"^{partitions[0].topic[:-3]}.*",)
        async with group.member() as member:
            await member.read_until(lambda: member.owned == set(partitions))


async def test_leaving_hands_the_partitions_over_at_once(backend: Backend, protocol: GroupProtocol) -> None:
    """Even with a revoke pending: the other member need not wait for a session to end."""
    with trio.fail_after(SECONDS_MAX):
        group, _ = await start(backend, protocol)
        async with trio.open_nursery() as nursery, group.member() as b:
            async with group.member() as a:
                await a.read_until(lambda: len(a.owned) == PARTITIONS)
                nursery.start_soon(b.run)  # noqa: ASYNC111  it ends with b
                while not isinstance(await a.read(), Revoked):
                    pass
            await b.wait(lambda: len(b.owned) == PARTITIONS)
            nursery.cancel_scope.cancel()
