"""Between `Revoked` and `release`: nothing is fetched, commits work, and the next owner begins where they say."""

from __future__ import annotations

import pytest
import trio

from trio_consumer import ClientError, Partition
from trio_consumer.client.port import Commit, Committed, Lost, Revoked

from .backend import SECONDS_MAX, Backend, Differs, GroupProtocol
from .member import Group, reading, until

INCREMENTAL = pytest.mark.parametrize(
    "protocol", [GroupProtocol.COOPERATIVE, GroupProtocol.CONSUMER], ids=lambda protocol: protocol.value
)


async def start(backend: Backend, protocol: GroupProtocol) -> tuple[Group, list[Partition]]:
    topic = await backend.new_topic(4)
    partitions = [Partition(topic, number) for number in range(4)]
    for partition in partitions:
        await backend.produce(partition, [b"%d" % number for number in range(20)])
    return Group(backend, protocol, [topic]), partitions


def may_refuse_commits(backend: Backend, protocol: GroupProtocol) -> bool:
    return protocol is not GroupProtocol.CONSUMER and Differs.REFUSES_COMMITS_WHILE_REBALANCING in backend.differs


async def test_commit_inside_a_revoke(backend: Backend, protocol: GroupProtocol) -> None:
    """The member that gets the partition begins at that offset, with that metadata."""
    with trio.fail_after(SECONDS_MAX):
        group, _ = await start(backend, protocol)
        async with group.member() as a, group.member() as b:
            errors: list[str] = []

            async def commit(event: Revoked) -> None:
                try:
                    await a.client.commit({one: Commit(11 + one.number, f"{one}") for one in event.partitions})
                except ClientError as error:
                    errors.append(error.code)

            a.when_revoked(commit)
            async with reading(a):
                await a.wait(lambda: len(a.records) == 80)
                async with reading(b):
                    await until(lambda: len(a.owned) == len(b.owned) == 2, a, b)
                    found = b.assigned[-1].partitions
            if not may_refuse_commits(backend, protocol):
                assert errors == []
            if errors:
                assert set(errors) == {"REBALANCE_IN_PROGRESS"}
            else:
                assert found == {one: Committed(11 + one.number, f"{one}") for one in b.owned}


@INCREMENTAL
async def test_retained_partitions_are_committed_inside_a_revoke(backend: Backend, protocol: GroupProtocol) -> None:
    with trio.fail_after(SECONDS_MAX):
        group, partitions = await start(backend, protocol)
        async with group.member() as a, group.member() as b:
            errors: list[str] = []

            async def commit_all(event: Revoked) -> None:
                assert len(event.partitions) < 4
                try:
                    await a.client.commit(dict.fromkeys(partitions, Commit(13)))
                except ClientError as error:
                    errors.append(error.code)

            a.when_revoked(commit_all)
            async with reading(a):
                await a.wait(lambda: len(a.records) == 80)
                async with reading(b):
                    await until(lambda: len(a.owned) == len(b.owned) == 2, a, b)
            if errors and may_refuse_commits(backend, protocol):
                assert set(errors) == {"REBALANCE_IN_PROGRESS"}
            else:
                assert errors == []
                assert await group.committed(partitions) == dict.fromkeys(partitions, 13)


async def test_other_requests_work_inside_a_revoke(backend: Backend, protocol: GroupProtocol) -> None:
    with trio.fail_after(SECONDS_MAX):
        group, partitions = await start(backend, protocol)
        async with group.member() as a, group.member() as b:

            async def request(event: Revoked) -> None:
                await a.client.pause(partitions)
                await a.client.resume(partitions)

            a.when_revoked(request)
            async with reading(a):
                await a.wait(lambda: len(a.records) == 80)
                async with reading(b):
                    await until(lambda: len(a.owned) == len(b.owned) == 2, a, b)


async def test_nothing_happens_until_the_release(backend: Backend, protocol: GroupProtocol) -> None:
    """The other member gets nothing, and no event follows, whatever is requested meanwhile."""
    with trio.fail_after(SECONDS_MAX):
        group, partitions = await start(backend, protocol)
        async with group.member() as a, group.member() as b, trio.open_nursery() as nursery:
            await a.read_until(lambda: len(a.records) == 80)
            nursery.start_soon(b.run)
            while not isinstance(event := await a.read(), Revoked):
                pass
            revoked = set(event.partitions)
            nursery.start_soon(a.run)
            read_before = len(a.events), len(a.records)
            for partition in partitions:
                await backend.produce(partition, [b"more"])
            for _ in range(5):  # each takes a turn of the client
                await a.client.pause(partitions)
            assert (len(a.events), len(a.records)) == read_before
            assert not b.owned & revoked
            a.client.release(event)
            await until(lambda: len(a.owned) == len(b.owned) == 2, a, b)
            nursery.cancel_scope.cancel()


async def test_a_commit_that_is_overtaken_by_a_revoke_is_answered(backend: Backend, protocol: GroupProtocol) -> None:
    """It may be answered before, during or after the revoke, but not never."""
    with trio.fail_after(SECONDS_MAX):
        group, _ = await start(backend, protocol)
        answered = 0
        async with group.member() as a, group.member() as b:
            async with reading(a):
                await a.wait(lambda: len(a.records) == 80)
                async with reading(b):
                    offset = 0
                    while not (len(a.owned) == len(b.owned) == 2):
                        offset = min(20, offset + 1)
                        await a.wait(lambda: a.owned)  # a commit of nothing takes no time
                        try:
                            await a.client.commit(dict.fromkeys(a.owned, Commit(offset)))
                        except ClientError as error:
                            assert error.code in {  # noqa: PT017
                                "_NOT_ASSIGNED",
                                "REBALANCE_IN_PROGRESS",
                                "ILLEGAL_GENERATION",
                                "STALE_MEMBER_EPOCH",
                                "UNKNOWN_MEMBER_ID",
                            }
                        answered += 1
        assert answered


async def test_a_revoke_that_is_not_released_in_time_is_a_loss(backend: Backend) -> None:
    """The client can't be polled meanwhile, so before the group throws this member out it gives up by itself."""
    with trio.fail_after(SECONDS_MAX):
        group, _ = await start(backend, GroupProtocol.COOPERATIVE)
        short = {"max_poll_interval_ms": 3000, "session_timeout_ms": 2000}
        async with group.member(**short) as a, group.member() as b, trio.open_nursery() as nursery:
            await a.read_until(lambda: len(a.records) == 80)
            nursery.start_soon(b.run)
            while not isinstance(event := await a.read(), Revoked):
                pass
            a.owned.update(event.partitions)  # they are lost later
            while not isinstance(lost := await a.read(), Lost):
                pass
            assert set(lost.partitions) == set(event.partitions)
            with pytest.raises(ClientError) as caught:
                await a.client.commit(dict.fromkeys(event.partitions, Commit(1)))
            assert caught.value.code == "_NOT_ASSIGNED"
            a.client.release(event)  # too late, and harmless
            nursery.start_soon(a.run)
            await until(lambda: len(a.owned) == len(b.owned) == 2, a, b)
            nursery.cancel_scope.cancel()
