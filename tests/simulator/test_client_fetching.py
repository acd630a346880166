"""Where the simulated client reads, what it skips, and what makes it go elsewhere."""

from __future__ import annotations

import pytest
import trio

from simulator.world.history import PositionReset
from tests.contract.member import reading
from trio_consumer import AuthorizationFailed, ClientError
from trio_consumer.client.port import Commit, Failed

from .client_kit import GROUP, TOPIC, Kit, course, play


@pytest.mark.parametrize(("policy", "first"), [("earliest", 5), ("latest", 20)])
def test_without_a_committed_offset_it_starts_by_policy(policy: str, first: int) -> None:
    async def script(kit: Kit) -> None:
        partition, *_ = kit.topic(1)
        await trio.sleep(1)
        kit.cluster.retain(partition, 5)
        async with kit.member("a", auto_offset_reset=policy) as a, reading(a):
            await a.wait(lambda: a.owned)
            await trio.sleep(1)
            kit.produce(partition)
            await a.wait(lambda: 20 in a.offsets(partition))
            assert a.offsets(partition)[0] == first
        assert kit.told(PositionReset) == [PositionReset("a.1", partition, -1, first)]

    play(script)


def test_without_a_committed_offset_error_is_an_error() -> None:
    """One error, and the partition is silent from then on."""

    async def script(kit: Kit) -> None:
        partition, *_ = kit.topic(1)
        async with kit.member("a", auto_offset_reset="error") as a, reading(a):
            await a.wait(lambda: a.has(Failed))
            await trio.sleep(5)
            assert course(a) == ["+0", "_AUTO_OFFSET_RESET"]
            assert not a.offsets(partition)
            (failed,) = a.failed(ClientError)
            assert failed.fatal  # by the adapter's table

    play(script)


@pytest.mark.parametrize("committed", [3, 1000])
def test_a_committed_offset_outside_of_the_log_is_reset(committed: int) -> None:
    async def script(kit: Kit) -> None:
        partition, *_ = kit.topic(1)
        await trio.sleep(1)
        kit.coordinator.set_offset(GROUP, partition, Commit(committed))
        kit.cluster.retain(partition, 5)
        async with kit.member("a") as a, reading(a):
            await a.wait(lambda: len(a.records) == 15)
            assert a.assigned[0].partitions[partition].offset == committed
            assert a.offsets(partition)[0] == 5
        assert kit.told(PositionReset) == [PositionReset("a.1", partition, committed, 5)]

    play(script)


@pytest.mark.parametrize("isolation", ["read_committed", "read_uncommitted"])
def test_transactions(isolation: str) -> None:
    """Markers are never records; aborted records only if asked for. Positions pass both."""

    async def script(kit: Kit) -> None:
        partition, *_ = kit.topic(1, 2)
        aborted, open_ = kit.cluster.begin_transaction(partition), kit.cluster.begin_transaction(partition)
        aborted.append(b"k", b"aborted")
        aborted.abort()  # marker at 3
        kit.produce(partition)  # 4
        open_.append(b"k", b"open")  # 5
        async with kit.member("a", isolation_level=isolation) as a, reading(a):
            await a.wait(lambda: a.positions.get(partition) == (5 if isolation == "read_committed" else 6))
            await trio.sleep(2)
            expected = [0, 1, 4] if isolation == "read_committed" else [0, 1, 2, 4, 5]
            assert a.offsets(partition) == expected
            open_.commit()  # marker at 6
            await a.wait(lambda: a.positions.get(partition) == 7)
            assert a.offsets(partition)[-1] == 5

    play(script)


def test_compaction_leaves_holes() -> None:
    async def script(kit: Kit) -> None:
        partition, *_ = kit.topic(1, 10)
        await trio.sleep(1)
        kit.cluster.compact(partition)
        async with kit.member("a") as a, reading(a):
            await a.wait(lambda: a.positions.get(partition) == 10)
            assert a.offsets(partition) == [9] or a.offsets(partition) == [8, 9]

    play(script)


def test_the_leader_moves() -> None:
    """Nothing is lost and nothing comes twice."""

    async def script(kit: Kit) -> None:
        partition, *_ = kit.topic(1, 10)
        async with kit.member("a") as a, reading(a):
            for node in (*kit.cluster.nodes, None, None):
                kit.cluster.move_leader(partition, node)
                await trio.sleep(0.5)
                kit.produce(partition, 5)
                await trio.sleep(0.1)
            await a.wait(lambda: a.positions.get(partition) == 35)
            assert a.offsets(partition) == list(range(35))
            assert course(a) == ["+0"]

    play(script)


def test_a_truncated_log_is_read_again_from_where_it_was_cut() -> None:
    """KIP-320: what replaces the records that were cut off is delivered, at the same offsets."""

    async def script(kit: Kit) -> None:
        partition, *_ = kit.topic(1, 20)
        async with kit.member("a") as a, reading(a):
            await a.wait(lambda: a.positions.get(partition) == 20)
            a.sought(partition)
            kit.cluster.truncate(partition, 15)
            kit.produce(partition, 8)
            await a.wait(lambda: 22 in a.offsets(partition))
            assert a.offsets(partition) == [*range(20), *range(15, 23)]
        assert kit.told(PositionReset)[-1] == PositionReset("a.1", partition, 20, 15)

    play(script)


def test_records_that_expire_while_they_wait_are_skipped() -> None:
    """The position was inside the log when the partition was paused, and is not when it is resumed."""

    async def script(kit: Kit) -> None:
        partition, *_ = kit.topic(1, 50)
        async with kit.member("a") as a:
            a.records_max = 10
            await a.read_until(lambda: len(a.records) >= 10)
            async with reading(a):
                await a.client.pause([partition])
                await trio.sleep(1)
                seen = len(a.records)
                kit.cluster.retain(partition, 40)
                await a.client.resume([partition])
                await a.wait(lambda: a.positions.get(partition) == 50)
            assert a.offsets(partition) == [*range(seen), *range(40, 50)]

    play(script)


def test_a_topic_that_may_not_be_read() -> None:
    """Said once, and fatal by the adapter's table."""

    async def script(kit: Kit) -> None:
        kit.topic(1, 5)
        async with kit.member("a") as a, reading(a):
            await a.wait(lambda: len(a.records) == 5)
            kit.cluster.deny(TOPIC)
            await a.wait(lambda: a.has(Failed))
            await trio.sleep(3)
            (failed,) = a.failed(AuthorizationFailed)
            assert failed.fatal

    play(script)


@pytest.mark.parametrize("kind", ["fetch-error", "fetch-slow", "fetch-partial", "fetch-throttled", "connection-reset"])
def test_faults_of_fetches_lose_nothing(kind: str) -> None:
    async def script(kit: Kit) -> None:
        first, second = kit.topic(2, 30)
        async with kit.member("a") as a, reading(a):
            await a.wait(lambda: a.owned)
            for _ in range(5):
                kit.force(kind, 3)
                kit.produce(first, 7)
                kit.produce(second, 3)
                await trio.sleep(2)
            await a.wait(lambda: a.positions == {first: 65, second: 45})
            assert (a.offsets(first), a.offsets(second)) == (list(range(65)), list(range(45)))
            assert course(a) == ["+01"]

    play(script)


@pytest.mark.parametrize("seed", range(8))
def test_pauses_and_seeks_in_any_order(seed: int) -> None:
    """Whatever the order, after a seek its offset is next, and after the last resume everything comes."""

    async def script(kit: Kit) -> None:
        partition, *_ = kit.topic(1, 100)
        async with kit.member("a") as a, reading(a):
            a.records_max = 7
            await a.wait(lambda: a.owned)
            for _ in range(30):
                act = kit.dice.below(4)
                if act == 0:
                    await a.client.pause([partition])
                elif act == 1:
                    await a.client.resume([partition])
                elif act == 2:
                    target = kit.dice.below(100)
                    await a.client.seek({partition: target})
                    a.sought(partition)
                    a.records.clear()
                    await a.client.resume([partition])
                    await a.wait(lambda: a.records)
                    assert a.records[0].offset == target
                else:
                    await trio.sleep(kit.dice.uniform(0, 0.2))
            await a.client.resume([partition])
            await a.client.seek({partition: 0})
            a.sought(partition)
            a.records.clear()
            await a.wait(lambda: len(a.records) == 100)
            assert a.offsets(partition) == list(range(100))

    play(script, seed=seed)
