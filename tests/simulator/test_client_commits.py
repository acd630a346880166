"""Commits of the simulated client on their way: what is sent again, what waits, what an error means."""

from __future__ import annotations

import pytest
import trio

from simulator.world.history import CommitAnswered, CommitApplied, CommitAsked, CommitRefused
from tests.contract.member import reading, until
from trio_consumer import ClientError, Partition
from trio_consumer.client.port import Commit, Revoked

from .client_kit import GROUP, PROTOCOLS, Kit, course, play

ANY = pytest.mark.parametrize("protocol", PROTOCOLS)


def applied(kit: Kit, partition: Partition) -> list[int]:
    return [event.offset for event in kit.told(CommitApplied) if event.partition == partition]


@pytest.mark.parametrize(
    "kind",
    [
        "commit-response-lost",
        "commit-delayed",
        "commit-not-coordinator",
        "commit-loading",
        "commit-timed-out",
        "commit-resent",
    ],
)
@ANY
def test_a_commit_comes_through(kind: str, protocol: str) -> None:
    """Each fault once: the client sends again, and the caller never knows."""

    async def script(kit: Kit) -> None:
        first, _ = kit.topic(2)
        async with kit.member("a") as a, reading(a):
            await a.wait(lambda: len(a.owned) == 2)
            kit.force(kind)
            await a.client.commit({first: Commit(7, "map")})
            assert not kit.faults.forced[kind]
            assert kit.committed(first) == 7
            (asked,) = kit.told(CommitAsked)
            assert asked == CommitAsked("a.1", 1, {first: (7, "map")}, False)
            assert kit.told(CommitAnswered) == [CommitAnswered("a.1", 1, "")]
            assert {event.number for event in kit.told(CommitApplied)} == {1}
            assert course(a) == ["+01"]

    play(script, protocol)


@ANY
def test_a_commit_that_fails_in_part(protocol: str) -> None:
    """One error for the whole, although the other partition was committed."""

    async def script(kit: Kit) -> None:
        first, second = kit.topic(2)
        async with kit.member("a") as a, reading(a):
            await a.wait(lambda: len(a.owned) == 2)
            kit.force("commit-fails-in-part")
            with pytest.raises(ClientError) as caught:
                await a.client.commit({first: Commit(1), second: Commit(2)})
            (refused,) = kit.told(CommitRefused)
            assert caught.value.code == refused.error
            assert sorted([kit.committed(first) or 0, kit.committed(second) or 0])[0] == 0
            assert len(kit.told(CommitApplied)) == 1

    play(script, protocol)


def test_a_commit_that_is_sent_again_lands_after_a_newer_one() -> None:
    """The old one's answer was lost; meanwhile a newer one, inside a revoke, is acknowledged."""

    async def script(kit: Kit) -> None:
        first, second = kit.topic(2)
        async with kit.member("a") as a, kit.member("b") as b, reading(a):
            await a.wait(lambda: len(a.records) == 40)

            async def commit(event: Revoked) -> None:
                await a.client.commit(dict.fromkeys(event.partitions, Commit(15)))

            a.when_revoked(commit)
            async with reading(b), trio.open_nursery() as nursery:
                await trio.sleep(0.01)
                kit.force("commit-resent")
                nursery.start_soon(a.client.commit, {first: Commit(10), second: Commit(10)})
                await until(lambda: len(a.owned) == len(b.owned) == 1, a, b)

    orders = [applied(play(script, seed=seed), Partition("topic", 0)) for seed in range(10)]
    assert [10, 15, 10] in orders


@ANY
def test_only_what_is_owned_is_committed_after_a_handover(protocol: str) -> None:
    async def script(kit: Kit) -> None:
        partitions = kit.topic(2)
        async with kit.member("a") as a, kit.member("b") as b, reading(a):
            await a.wait(lambda: len(a.owned) == 2)
            async with reading(b):
                await until(lambda: len(a.owned) == len(b.owned) == 1, a, b)
                with pytest.raises(ClientError) as caught:
                    await a.client.commit(dict.fromkeys(partitions, Commit(3)))
                assert caught.value.code == "_NOT_ASSIGNED"
                assert not kit.told(CommitApplied)

    play(script, protocol)


def test_a_commit_by_a_member_that_was_expelled_loses_all() -> None:
    """The coordinator does not know it: the code says so, and the partitions are lost at once."""

    async def script(kit: Kit) -> None:
        first, _ = kit.topic(2)
        async with kit.member("a") as a, reading(a):
            await a.wait(lambda: len(a.owned) == 2)
            (member_id,) = kit.coordinator.members(GROUP)
            kit.coordinator.expel(GROUP, member_id)
            with pytest.raises(ClientError) as caught:
                await a.client.commit({first: Commit(3)})
            assert caught.value.code == "UNKNOWN_MEMBER_ID"
            await a.wait(lambda: not a.owned)
            await a.wait(lambda: len(a.owned) == 2)
            assert course(a) == ["+01", "x01", "+01"]

    play(script, "range")


def test_the_coordinator_takes_less_metadata_by_the_clients_nul() -> None:
    async def script(kit: Kit) -> None:
        first, _ = kit.topic(2)
        async with kit.member("a") as a, reading(a):
            await a.wait(lambda: len(a.owned) == 2)
            await a.client.commit({first: Commit(3, "x" * 4095)})
            with pytest.raises(ClientError) as caught:
                await a.client.commit({first: Commit(3, "x" * 4096)})
            assert caught.value.code == "OFFSET_METADATA_TOO_LARGE"

    play(script)


@ANY
def test_leaving_commits_nothing(protocol: str) -> None:
    async def script(kit: Kit) -> None:
        kit.topic(2)
        async with kit.member("a") as a:
            await a.read_until(lambda: len(a.records) == 40)
        assert not kit.told(CommitApplied)
        assert not kit.coordinator.members(GROUP)

    play(script, protocol)


def test_nothing_of_a_dead_process_arrives_later() -> None:
    """A commit that is on its way may arrive; one that is asked for after the death never does."""

    async def script(kit: Kit) -> None:
        first, _ = kit.topic(2)
        async with kit.member("a") as a:
            await a.read_until(lambda: len(a.owned) == 2)
            kit.processes["a"].end()
            with pytest.raises(ClientError) as caught:
                await a.client.commit({first: Commit(3)})
            assert caught.value.code == "_DESTROY"
            with pytest.raises(ClientError):
                while True:
                    await a.read()
        await trio.sleep(10)
        assert kit.committed(first) is None
        assert not kit.told(CommitAsked)

    play(script)
