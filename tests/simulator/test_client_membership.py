"""The simulated client in a group: what it is told, in which order, as real clients were."""

from __future__ import annotations

import pytest
import trio

from tests.contract.member import Member, reading, until
from trio_consumer import ClientError, Partition
from trio_consumer.client.port import Commit, Revoked

from .client_kit import CLASSIC, GROUP, PROTOCOLS, SESSION_SECONDS, TOPIC, Kit, course, play


async def balanced(kit: Kit, a: Member, b: Member) -> list[Partition]:
    """Let both read until each has one of two partitions; what `a` has."""
    async with reading(a):
        await until(lambda: len(a.owned) == len(b.owned) == 1 and len(a.records) >= 20, a, b)
    return list(a.owned)


ANY = pytest.mark.parametrize("protocol", PROTOCOLS)
OF_CLASSIC = pytest.mark.parametrize("protocol", CLASSIC)


@OF_CLASSIC
def test_poll_interval_exceeded_by_a_classic_member(protocol: str) -> None:
    """It leaves at once; a commit before the next poll comes from nobody."""

    async def script(kit: Kit) -> None:
        partitions = kit.topic(2)
        async with kit.member("a") as a, kit.member("b") as b, reading(b):
            (kept,) = await balanced(kit, a, b)
            before = len(course(a))
            for partition in partitions:
                kit.produce(partition, 500)
            a.records_max = 5
            await a.read()
            await trio.sleep(7)
            assert len(b.owned) == 2
            with pytest.raises(ClientError) as caught:
                await a.client.commit({kept: Commit(1)})
            assert caught.value.code == "UNKNOWN_MEMBER_ID"
            await a.read_until(lambda: len(course(a)) > before + 2)
            assert course(a)[before : before + 2] == [f"x{kept.number}", "_MAX_POLL_EXCEEDED"]
            async with reading(a):
                await until(lambda: len(a.owned) == len(b.owned) == 1, a, b)

    play(script, protocol)


def test_poll_interval_exceeded_by_a_static_member_in_the_middle_of_a_rebalance() -> None:
    """The client skips the loss and keeps a partition without a callback; it is made to join again."""

    async def script(kit: Kit) -> None:
        partitions = kit.topic(2)
        async with kit.member("a", group_instance_id="one") as a:
            await a.read_until(lambda: len(a.owned) == 2 and len(a.records) == 40)
            for partition in partitions:
                kit.produce(partition, 500)
            a.records_max = 5
            await a.read()
            async with kit.member("b") as b, reading(b):
                await trio.sleep(7)  # joins by itself, and has a revoke in hand when the time is over
                async with reading(a):
                    await until(lambda: len(a.owned) == len(b.owned) == 1, a, b)
                    (kept,) = a.owned
                    await until(lambda: a.positions.get(kept) == 520, a)
            gone, lost = course(a)[1:3]
            assert course(a)[:4] == ["+01", gone, lost, "_MAX_POLL_EXCEEDED"]
            assert {gone, lost} in ({"-0", "x1"}, {"-1", "x0"})
            assert course(a)[4:] == [f"+{kept.number}"]

    play(script, "cooperative-sticky")


def test_poll_interval_exceeded_under_kip_848() -> None:
    """The member does not leave: its commits are taken until the broker ends its session, and nobody gets its share
    before.
    """

    async def script(kit: Kit) -> None:
        kit.coordinator.settings.session = 10.0
        partitions = kit.topic(2)
        async with kit.member("a") as a, kit.member("b") as b, reading(b):
            (kept,) = await balanced(kit, a, b)
            before = len(course(a))
            for partition in partitions:
                kit.produce(partition, 500)
            a.records_max = 5
            await a.read()
            await trio.sleep(9)
            assert len(b.owned) == 1
            await a.client.commit({kept: Commit(7)})
            assert kit.committed(kept) == 7
            await a.read_until(lambda: len(course(a)) > before + 2)
            assert course(a)[before : before + 2] == [f"x{kept.number}", "_MAX_POLL_EXCEEDED"]

    play(script, "consumer")


@ANY
def test_a_stopped_process_loses_what_another_took(protocol: str) -> None:
    """SIGSTOP for longer than the session."""

    async def script(kit: Kit) -> None:
        kit.topic(2)
        async with kit.member("a") as a, kit.member("b") as b, reading(a), reading(b):
            await until(lambda: len(a.owned) == len(b.owned) == 1, a, b)
            kit.processes["a"].freeze(whole=True)
            await b.wait(lambda: len(b.owned) == 2)
            before = len(course(a))
            kit.processes["a"].thaw()
            await until(lambda: len(a.owned) == len(b.owned) == 1, a, b)
            assert course(a)[before][0] == "x"

    play(script, protocol)


@OF_CLASSIC
def test_cut_off_for_longer_than_the_session_classic(protocol: str) -> None:
    """Its own timer says so, while it is still cut off."""

    async def script(kit: Kit) -> None:
        kit.topic(2)
        async with kit.member("a") as a, reading(a):
            await a.wait(lambda: len(a.owned) == 2)
            kit.network.cut("a.1")
            with trio.fail_after(2 * SESSION_SECONDS):
                await a.wait(lambda: not a.owned)
            assert course(a) == ["+01", "x01"]
            kit.network.mend()
            await a.wait(lambda: len(a.owned) == 2)

    play(script, protocol)


def test_cut_off_for_longer_than_the_session_kip_848() -> None:
    """It is told nothing until it is connected again."""

    async def script(kit: Kit) -> None:
        kit.topic(2)
        async with kit.member("a") as a, kit.member("b") as b, reading(a), reading(b):
            await until(lambda: len(a.owned) == len(b.owned) == 1, a, b)
            before = len(course(a))
            kit.network.cut("a.1")
            await b.wait(lambda: len(b.owned) == 2)
            await trio.sleep(SESSION_SECONDS)
            assert len(course(a)) == before
            kit.network.mend()
            await a.wait(lambda: len(course(a)) > before)
            assert course(a)[before][0] == "x"
            await until(lambda: len(a.owned) == len(b.owned) == 1, a, b)

    play(script, "consumer")


def test_no_coordinator_for_longer_than_the_session_classic() -> None:
    """Lost by its own timer. The commit asked for meanwhile fails when it has waited for a session."""

    async def script(kit: Kit) -> None:
        first, _ = kit.topic(2)
        async with kit.member("a") as a, reading(a):
            await a.wait(lambda: len(a.owned) == 2)
            kit.coordinator.down(GROUP, 30.0)
            began = trio.current_time()
            with pytest.raises(ClientError) as caught:
                await a.client.commit({first: Commit(3)})
            assert caught.value.code in ("_WAIT_COORD", "NOT_COORDINATOR")
            assert SESSION_SECONDS <= trio.current_time() - began < 3 * SESSION_SECONDS
            await a.wait(lambda: not a.owned)
            await a.wait(lambda: len(a.owned) == 2)
            assert course(a) == ["+01", "x01", "+01"]

    play(script, "range")


def test_no_coordinator_for_longer_than_the_session_kip_848() -> None:
    """The member hears nothing, and its commit goes through when the coordinator is back."""

    async def script(kit: Kit) -> None:
        first, _ = kit.topic(2)
        async with kit.member("a") as a, reading(a):
            await a.wait(lambda: len(a.owned) == 2)
            kit.coordinator.down(GROUP, 15.0)
            await a.client.commit({first: Commit(3)})
            assert trio.current_time() > 15
            assert kit.committed(first) == 3
            assert course(a) == ["+01"]

    play(script, "consumer")


@ANY
def test_a_static_member_restarts_without_a_rebalance(protocol: str) -> None:
    """It leaves no group when it closes, so its partitions wait for it, and nobody else is told."""

    async def script(kit: Kit) -> None:
        kit.topic(2)
        async with kit.member("b", group_instance_id="two") as b, reading(b):
            async with kit.member("a", group_instance_id="one") as a, reading(a):
                await until(lambda: len(a.owned) == len(b.owned) == 1, a, b)
                owned = set(a.owned)
            before = len(course(b))
            async with kit.member("c", group_instance_id="one") as c, reading(c):
                await c.wait(lambda: c.owned == owned)
                assert len(course(b)) == before

    play(script, protocol)


@ANY
def test_partitions_are_added(protocol: str) -> None:
    """Range gives up everything first; the others only get the new one."""

    async def script(kit: Kit) -> None:
        kit.topic(2)
        async with kit.member("a") as a, reading(a):
            await a.wait(lambda: len(a.owned) == 2)
            kit.cluster.add_partitions(TOPIC, 3)
            await a.wait(lambda: len(a.owned) == 3)
            assert course(a) == (["+01", "-01", "+012"] if protocol == "range" else ["+01", "+2"])

    play(script, protocol)


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        ("range", ["+01", "UNKNOWN_TOPIC_OR_PART", "-01"]),
        ("cooperative-sticky", ["+01", "UNKNOWN_TOPIC_OR_PART", "x01"]),
        ("consumer", ["+01", "-01"]),
    ],
)
def test_the_topic_is_deleted(protocol: str, expected: list[str]) -> None:
    async def script(kit: Kit) -> None:
        first, _ = kit.topic(2)
        async with kit.member("a") as a, reading(a):
            await a.wait(lambda: len(a.records) == 40)
            await a.client.commit({first: Commit(3)})
            kit.cluster.delete_topic(TOPIC)
            await a.wait(lambda: not a.owned)
            assert course(a) == expected
            assert kit.committed(first) is None

    play(script, protocol)


@ANY
def test_a_topic_that_was_created_again_is_read_on_at_the_old_position(protocol: str) -> None:
    async def script(kit: Kit) -> None:
        first, *_ = kit.topic(1, 20)
        async with kit.member("a", topic_metadata_refresh_interval_ms=300) as a, reading(a):
            await a.wait(lambda: len(a.records) == 20)
            kit.cluster.recreate_topic(TOPIC)
            kit.produce(first, 30)
            a.sought(first)
            await a.wait(lambda: 29 in a.offsets(first))
            assert a.offsets(first) == list(range(30))
            assert course(a) == ["+0"]

    play(script, protocol)


def test_a_commit_behind_a_join_waits_for_the_join() -> None:
    """A member has joined again, a peer is slow: the answer comes when the join ends, and the generation is old."""

    async def script(kit: Kit) -> None:
        kit.topic(2)
        slow = {"max_poll_interval_ms": 20_000}
        async with kit.member("a", **slow) as a, kit.member("b", **slow) as b, reading(a), reading(b):
            await until(lambda: len(a.owned) == len(b.owned) == 1, a, b)
            partition = next(iter(a.owned))
            kit.processes["b"].freeze(whole=True)
            async with kit.member("c", **slow) as c, reading(c):
                await trio.sleep(1)  # by now a knows of c, and has joined again
                began = trio.current_time()
                with pytest.raises(ClientError) as caught:
                    await a.client.commit({partition: Commit(1)})
                assert caught.value.code in ("ILLEGAL_GENERATION", "REBALANCE_IN_PROGRESS")
                assert trio.current_time() - began > 1
            kit.processes["b"].thaw()

    play(script, "cooperative-sticky")


@ANY
def test_an_overrun_revoke_is_a_loss_by_the_adapters_own_deadline(protocol: str) -> None:
    """At four fifths of max.poll.interval.ms; a release that comes later changes nothing."""

    async def script(kit: Kit) -> None:
        kit.topic(2)
        async with kit.member("a") as a, kit.member("b") as b:
            await a.read_until(lambda: len(a.owned) == 2)
            async with reading(b):
                while not isinstance(event := await a.read(), Revoked):
                    pass
                began = trio.current_time()
                a.owned.update(event.partitions)
                await a.read()
                assert trio.current_time() - began == pytest.approx(4.8, abs=0.2)
                assert course(a)[-1][0] == "x"
                a.client.release(event)
                async with reading(a):
                    await until(lambda: len(a.owned) == len(b.owned) == 1, a, b)

    play(script, protocol)


@ANY
def test_new_topics_of_a_pattern_are_found(protocol: str) -> None:
    async def script(kit: Kit) -> None:
        kit.topic(1)
        async with kit.member("a", ["^top.*"]) as a, reading(a):
            await a.wait(lambda: len(a.owned) == 1)
            kit.cluster.create_topic("topmost", 1)
            kit.cluster.create_topic("other", 1)
            await a.wait(lambda: Partition("topmost", 0) in a.owned)
            await trio.sleep(10)
            assert sorted(a.owned) == [Partition("topic", 0), Partition("topmost", 0)]

    play(script, protocol)


@ANY
def test_an_expelled_member_loses_all_and_joins_again(protocol: str) -> None:
    async def script(kit: Kit) -> None:
        kit.topic(2)
        async with kit.member("a") as a, reading(a):
            await a.wait(lambda: len(a.owned) == 2)
            (member_id,) = kit.coordinator.members(GROUP)
            kit.coordinator.expel(GROUP, member_id)
            await a.wait(lambda: not a.owned)
            await a.wait(lambda: len(a.owned) == 2)
            assert course(a) == ["+01", "x01", "+01"]

    play(script, protocol)


@ANY
@pytest.mark.parametrize("seed", range(5))
def test_a_storm_of_members_settles(protocol: str, seed: int) -> None:
    """Whatever joins and leaves, in the end each partition has one owner."""

    async def script(kit: Kit) -> None:
        partitions = kit.topic(5)
        async with kit.member("a") as a, reading(a), trio.open_nursery() as nursery:

            async def visit(name: str, begin: float, seconds: float) -> None:
                await trio.sleep(begin)
                async with kit.member(name) as guest:
                    with trio.move_on_after(seconds):
                        await guest.run()

            for number in range(6):
                nursery.start_soon(visit, f"g{number}", kit.dice.uniform(0, 3), kit.dice.uniform(0, 4))
            await trio.sleep(20)
            assert a.owned == set(partitions)

    play(script, protocol, seed=seed)
