"""Faults that the simulated client brings about itself, how it starts, and that a seed decides all of it."""

from __future__ import annotations

import pytest
import trio

from simulator.world.history import Released, RevokeDelivered
from tests.contract.member import Member, reading, until
from trio_consumer import BrokerUnreachable, ClientError, UnknownTopic
from trio_consumer.client.port import Commit, Revoked

from .client_kit import GROUP, PROTOCOLS, TOPIC, Kit, play

ANY = pytest.mark.parametrize("protocol", PROTOCOLS)


def test_crash_in_commit() -> None:
    """It dies with the commit on its way, which may arrive; the next life of the member goes on."""

    async def script(kit: Kit) -> None:
        first, _ = kit.topic(2)
        async with kit.member("a") as a:
            await a.read_until(lambda: len(a.owned) == 2)
            kit.force("crash-in-commit")
            with pytest.raises(ClientError):
                for offset in range(1, 50):
                    await a.client.commit({first: Commit(offset)})
            assert not kit.processes["a"].alive
        async with kit.member("b") as b:
            await b.read_until(lambda: len(b.owned) == 2)
            assert b.assigned[0].partitions[first].offset == kit.committed(first)

    play(script)


@ANY
@pytest.mark.parametrize("seconds", [0.0, 2.0])
def test_crash_in_revoke(protocol: str, seconds: float) -> None:
    """It dies before it has released, however fast it would have."""

    async def script(kit: Kit) -> None:
        kit.topic(2)
        async with kit.member("b") as b, kit.member("a") as a:
            await a.read_until(lambda: len(a.owned) == 2)

            async def drain(event: Revoked) -> None:
                await trio.sleep(seconds)

            a.when_revoked(drain)
            kit.force("crash-in-revoke")
            async with reading(b), trio.open_nursery() as nursery:
                nursery.start_soon(until_closed, a)
                await b.wait(lambda: len(b.owned) == 2)
            assert not kit.processes["a"].alive
            assert [event.process for event in kit.told(RevokeDelivered)] == ["a.1"]
            assert not kit.told(Released)

    play(script, protocol)


async def until_closed(member: Member) -> None:
    """Read until its process is dead."""
    with pytest.raises(ClientError):
        await member.run()


def test_committed_offsets_that_cannot_be_read() -> None:
    """Said for each partition that could not be read; the client finds out by itself where to start."""

    async def script(kit: Kit) -> None:
        partitions = kit.topic(2)
        for partition in partitions:
            kit.coordinator.set_offset(GROUP, partition, Commit(5, "map"))
        kit.force("offset-fetch-fails", 2)  # for both together, then for the first alone
        async with kit.member("a") as a, reading(a):
            await a.wait(lambda: len(a.records) == 30)
            first, second = partitions
            found = a.assigned[0].partitions
            assert found[first].offset is None
            assert found[first].error
            assert (found[second].offset, found[second].metadata) == (5, "map")
            assert [a.offsets(one)[0] for one in partitions] == [5, 5]

    play(script)


def test_foreign_metadata() -> None:
    """Text of another tool, or an error instead of it; the offset stands."""

    async def script(kit: Kit) -> None:
        partition, *_ = kit.topic(1)
        kit.coordinator.set_offset(GROUP, partition, Commit(5, "ours"))
        kit.force("foreign-metadata")
        async with kit.member("a") as a, reading(a):
            await a.wait(lambda: a.owned)
            found = a.assigned[0].partitions[partition]
            assert found.offset == 5
            assert found.metadata != "ours"
            await a.wait(lambda: len(a.records) == 15)

    play(script)


def test_no_broker_answers() -> None:
    async def script(kit: Kit) -> None:
        kit.topic(1)
        kit.network.cut("a.1")
        began = trio.current_time()
        with pytest.raises(BrokerUnreachable, match="simulated:9092"):
            async with kit.member("a"):
                pytest.fail("opened")
        assert trio.current_time() - began == pytest.approx(10, abs=1)

    play(script)


def test_giving_up_the_start() -> None:
    """Cancelling what waits for the brokers ends it at once."""

    async def script(kit: Kit) -> None:
        kit.topic(1)
        kit.network.cut("a.1")
        with trio.move_on_after(3) as scope:
            async with kit.member("a"):
                pytest.fail("opened")
        assert scope.cancelled_caught
        assert trio.current_time() == pytest.approx(3, abs=0.1)

    play(script)


def test_a_topic_that_may_not_even_be_seen_is_unknown() -> None:
    """Brokers leave it out of the list of all topics."""

    async def script(kit: Kit) -> None:
        kit.topic(1)
        kit.cluster.deny(TOPIC, describe=True)
        with pytest.raises(UnknownTopic, match="may not see them"):
            async with kit.member("a"):
                pytest.fail("opened")

    play(script)


@ANY
def test_a_seed_decides_everything(protocol: str) -> None:
    async def script(kit: Kit) -> None:
        first, *_ = kit.topic(3)
        async with kit.member("a") as a, reading(a):
            await a.wait(lambda: first in a.owned)
            await a.client.commit({first: Commit(2)})
            async with kit.member("b") as b, reading(b):
                await until(lambda: len(a.owned) + len(b.owned) == 3 and len(b.owned) > 0, a, b)

    once, again, other = (play(script, protocol, seed=seed).history.moments for seed in (1, 1, 2))
    assert once == again
    assert once != other
