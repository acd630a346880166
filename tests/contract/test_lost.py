"""Partitions that are gone without a revoke: the member was fenced, or did not poll in time."""

from __future__ import annotations

import pytest
import trio

from trio_consumer import ClientError, Fenced, Partition
from trio_consumer.client.port import Commit, Lost, Revoked

from .backend import SECONDS_MAX, Backend, GroupProtocol
from .member import Group, Member, reading, until

CLASSIC = pytest.mark.parametrize(
    "protocol", [GroupProtocol.RANGE, GroupProtocol.COOPERATIVE], ids=lambda protocol: protocol.value
)


async def start(backend: Backend, protocol: GroupProtocol, records: int = 20) -> tuple[Group, list[Partition]]:
    topic = await backend.new_topic(2)
    partitions = [Partition(topic, number) for number in range(2)]
    for partition in partitions:
        await backend.produce(partition, [b"%d" % number for number in range(records)])
    return Group(backend, protocol, [topic]), partitions


def check_fenced(member: Member) -> None:
    (failed,) = member.failed(Fenced)
    assert failed.fatal
    assert isinstance(failed.error, Fenced)
    assert failed.error.code == "FENCED_INSTANCE_ID" or failed.error.code == "UNRELEASED_INSTANCE_ID"
    assert "group.instance.id" in str(failed.error)


@CLASSIC
@pytest.mark.usefixtures("with_static_members")
async def test_a_static_member_is_fenced_by_a_newcomer(backend: Backend, protocol: GroupProtocol) -> None:
    """librdkafka says one fatal error and silently empties the assignment; here that is a loss, then a failure."""
    with trio.fail_after(SECONDS_MAX):
        group, partitions = await start(backend, protocol)
        async with group.member(group_instance_id="one") as a, group.member(group_instance_id="one") as b:
            await a.read_until(lambda: len(a.owned) == 2)
            async with reading(b):
                await b.wait(lambda: len(b.owned) == 2)
                await a.read_until(lambda: a.failed(Fenced))
            check_fenced(a)
            assert not a.owned
            assert not a.has(Revoked)
            assert isinstance(a.events[-2], Lost)
            with pytest.raises(ClientError) as caught:
                await a.client.commit({partitions[0]: Commit(1)})
            assert caught.value.code == "_NOT_ASSIGNED"


@pytest.mark.usefixtures("with_static_members")
async def test_a_static_newcomer_is_fenced_under_kip_848(backend: Backend) -> None:
    """Under KIP-848 it is the newcomer that can't work."""
    with trio.fail_after(SECONDS_MAX):
        group, _ = await start(backend, GroupProtocol.CONSUMER)
        async with group.member(group_instance_id="one") as a, group.member(group_instance_id="one") as b:
            await a.read_until(lambda: len(a.owned) == 2)
            async with reading(a):
                await b.read_until(lambda: b.failed(Fenced))
            check_fenced(b)
            assert not b.owned
            assert len(a.owned) == 2


async def test_the_poll_interval_is_exceeded(backend: Backend, protocol: GroupProtocol) -> None:
    """Nobody calls next. The partitions are lost, a commit for them is refused, and they come again."""
    with trio.fail_after(SECONDS_MAX):
        group, partitions = await start(backend, protocol, records=2000)
        short = {"max_poll_interval_ms": 2500}
        if protocol is not GroupProtocol.CONSUMER:
            short["session_timeout_ms"] = 2000
        async with group.member(**short) as member:
            member.records_max = 5
            await member.read_until(lambda: len(member.records) >= 5)
            # Both batches that may be fetched are, so the client is not polled. Nothing but time can pass here.
            await trio.sleep(3.5)
            await member.read_until(lambda: member.has(Lost))
            assert not member.owned
            with pytest.raises(ClientError) as caught:
                await member.client.commit({partitions[0]: Commit(1)})
            assert caught.value.code == "_NOT_ASSIGNED"
            await member.read_until(lambda: len(member.owned) == 2)
            assert [one.fatal for one in member.failed(ClientError)] == [False]
            # Read again from where the group stands.
            seen = len(member.records)
            await member.read_until(lambda: len(member.records) > seen)
            assert member.records[seen].offset == 0


@pytest.mark.usefixtures("with_static_members")
async def test_a_loss_that_a_rebalance_overtakes(backend: Backend) -> None:
    """A static member that does not poll in time while the group rebalances: librdkafka keeps what the group leaves to
    it, without a callback, and what the group took stays without an owner. It joins again, and all is well."""
    with trio.fail_after(2 * SECONDS_MAX):
        group, _ = await start(backend, GroupProtocol.COOPERATIVE, records=2000)
        short = {"max_poll_interval_ms": backend.session_ms}
        async with group.member(group_instance_id="one", **short) as a, group.member() as b:
            a.records_max = 5
            await a.read_until(lambda: len(a.records) >= 5)
            async with reading(b):
                # a's client is not polled any more. It joins again all the same, and has a revoke in hand.
                await trio.sleep(backend.session_ms / 1000 + 1.5)
                await a.read_until(lambda: a.has(Lost))
                assert a.has(Revoked), "no rebalance overtook it"
                assert not a.owned
                seen = len(a.records)
                a.records_max = 1000
                async with reading(a):
                    await until(lambda: len(a.owned) == len(b.owned) == 1, a, b)
                    (kept,) = a.owned
                    await until(lambda: len(a.records) > seen and a.positions[kept] == 2000, a)
            assert not a.owned & b.owned
            # Read again from where the group stands: nothing was committed.
            assert (a.records[seen].topic, a.records[seen].partition, a.records[seen].offset) == (*kept, 0)
            assert [one.fatal for one in a.failed(ClientError)] == [False]
            await a.client.commit({kept: Commit(1)})
        assert (await group.committed([kept])) == {kept: 1}


async def test_a_loss_that_was_not_read_yet_refuses_commits(backend: Backend) -> None:
    """The reader does not know yet that its partition is gone; the client does, and brokers fence no partitions."""
    with trio.fail_after(SECONDS_MAX):
        group, partitions = await start(backend, GroupProtocol.COOPERATIVE, records=0)
        short = {"max_poll_interval_ms": 3000, "session_timeout_ms": 2000}
        async with group.member(**short) as a, group.member() as b, trio.open_nursery() as nursery:
            await a.read_until(lambda: len(a.owned) == 2)
            nursery.start_soon(b.run)
            while not isinstance(event := await a.read(), Revoked):
                pass
            # Not released in time, so lost; b gets it. a reads nothing of that.
            await b.wait(lambda: b.owned)
            with pytest.raises(ClientError) as caught:
                await a.client.commit(dict.fromkeys(event.partitions, Commit(1)))
            assert caught.value.code == "_NOT_ASSIGNED"
            nursery.cancel_scope.cancel()
        assert await group.committed(partitions) == dict.fromkeys(partitions)
