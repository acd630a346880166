"""Orders, null keys, lane functions and decoding, as a handler sees them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.shell.scripted import ScriptedClient
from tests.shell.stage import A, B, Handler, keys, running
from trio_consumer import HandlerFailed, Order, Record
from trio_consumer.client.port import Commit


async def second(record: Record) -> None:
    await trio.sleep(1)


@pytest.mark.parametrize(
    ("order", "null_key", "seconds", "peak"),
    [
        (Order.KEY, "unordered", 4, 18),  # 4 of each key one by one, 8 without at once, in each of the partitions
        (Order.KEY, "partition", 8, 4),
        (Order.PARTITION, "unordered", 12, 2),
        (Order.PARTITION, "partition", 12, 2),
        (Order.UNORDERED, "unordered", 1, 24),
        (Order.UNORDERED, "partition", 1, 24),
        (lambda record: None, "unordered", 1, 24),
        (lambda record: None, "partition", 12, 2),
        (lambda record: record.offset // 3, "unordered", 3, 8),
        (lambda record: record.key or b"a", "unordered", 12, 2),
    ],
)
async def test_concurrency(autojump_clock: MockClock, order: Any, null_key: Any, seconds: float, peak: int) -> None:
    client, handler = ScriptedClient(), Handler(second, keyed=order is Order.KEY)
    for partition in (A, B):
        client.produce(partition, b"a", None, None, b"a", None, None, b"a", None, None, b"a", None, None)
    async with running(client, handler, A, B, order=order, null_key=null_key):
        await trio.sleep(seconds - 0.5)
        assert handler.running
        await trio.sleep(0.6)
        assert len(handler.done) == 24
    assert handler.peak == peak
    assert client.committed == {A: Commit(12), B: Commit(12)}


@pytest.mark.parametrize("order", [Order.PARTITION, lambda record: "one"])
async def test_a_partition_in_order(autojump_clock: MockClock, order: Any) -> None:
    client, handler = ScriptedClient(), Handler()
    client.produce(A, *keys(100))
    async with running(client, handler, A, order=order):
        await trio.sleep(1)
    assert handler.done == [(0, offset) for offset in range(100)]


def raising(record: Record) -> Hashable:
    raise KeyError("no such tenant")


def unhashable(record: Record) -> Any:
    return []


@pytest.mark.parametrize(("function", "kind"), [(raising, KeyError), (unhashable, TypeError)])
@pytest.mark.parametrize("wrong", [0, 3])
async def test_a_lane_function_that_raises_fails_its_record(
    autojump_clock: MockClock, function: Callable[[Record], Hashable], kind: type[Exception], wrong: int
) -> None:
    client, handler = ScriptedClient(), Handler()

    def lane(record: Record) -> Hashable:
        return function(record) if record.offset == wrong else record.key

    client.produce(A, *keys(6, 2))
    async with running(client, handler, A, order=lane, attempts=3, backoff=1) as stage:
        failure = await stage.failure()
    assert isinstance(failure, HandlerFailed)
    assert (failure.offset, failure.attempts) == (wrong, 3)
    assert isinstance(failure.__cause__, kind)
    assert sorted(handler.done) == [(0, offset) for offset in range(6) if offset != wrong]
    assert client.committed[A].offset == wrong


async def test_a_record_whose_lane_function_raised_can_be_skipped(autojump_clock: MockClock) -> None:
    client, handler = ScriptedClient(), Handler()
    client.produce(A, *keys(5))
    async with running(client, handler, A, order=raising, attempts=2, backoff=1, exhausted="skip") as stage:
        await trio.sleep(10)
        assert stage.consumer.statistics().skipped == 5
    assert not handler.started
    assert client.committed == {A: Commit(5)}


async def test_a_lane_function_sees_what_was_fetched(autojump_clock: MockClock) -> None:
    client, seen = ScriptedClient(), []

    def lane(record: Record) -> Hashable:
        seen.append((record.key, record.value))
        return None

    client.produce(A, b"1", value=b"2")
    async with running(client, Handler(), A, order=lane, decode_key=int, decode_value=int):
        await wait_all_tasks_blocked()
    assert seen == [(b"1", b"2")]


async def test_decoding(autojump_clock: MockClock) -> None:
    client, seen = ScriptedClient(), []

    async def work(record: Record) -> None:
        seen.append((record.key, record.value))

    client.produce(A, b"1", b"2", value=b"3")
    client.produce(A, None, b"4", value=None)  # neither null keys nor tombstones are decoded
    async with running(client, work, A, decode_key=int, decode_value=float):
        await trio.sleep(1)
    assert sorted(seen, key=repr) == [(1, 3.0), (2, 3.0), (4, None), (None, None)]


async def test_lanes_are_by_the_keys_bytes(autojump_clock: MockClock) -> None:
    client = ScriptedClient()
    client.produce(A, b"1", b"01", b"001")
    async with running(client, second, A, decode_key=int) as stage:
        assert stage.consumer.statistics().in_flight == 3


@pytest.mark.parametrize(("decode_key", "decode_value"), [(int, None), (None, int)])
async def test_bytes_that_cannot_be_decoded_fail_the_record(
    autojump_clock: MockClock, decode_key: Any, decode_value: Any
) -> None:
    client, handler = ScriptedClient(), Handler()
    client.produce(A, b"1", value=b"1")
    client.produce(A, b"x", value=b"x")
    client.produce(A, b"2", value=b"2")
    async with running(
        client, handler, A, attempts=2, backoff=1, decode_key=decode_key, decode_value=decode_value
    ) as stage:
        failure = await stage.failure()
    assert isinstance(failure, HandlerFailed)
    assert (failure.offset, failure.attempts) == (1, 2)
    assert isinstance(failure.__cause__, ValueError)
    assert handler.done == [(0, 0), (0, 2)]
    assert client.committed[A].offset == 1


async def test_a_decoder_may_become_able(autojump_clock: MockClock) -> None:
    """It runs in each attempt, for instance against a registry that was away."""
    client, calls = ScriptedClient(), []

    def decode(data: bytes) -> str:
        calls.append(data)
        if len(calls) < 3:
            raise ConnectionError
        return data.decode()

    client.produce(A, b"a")
    async with running(client, Handler(), A, decode_value=decode, backoff=1):
        await trio.sleep(10)
    assert len(calls) == 3
    assert client.committed == {A: Commit(1)}


class Key:
    """A lane's name that breaks once its first record has been handled."""

    broken = False

    def __hash__(self) -> int:
        if Key.broken:
            raise RuntimeError("no hash any more")
        return 1

    def __eq__(self, other: object) -> bool:
        return True


async def test_a_lane_that_breaks_under_us_ends_run(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a silent stall, whatever a worker dies of."""

    async def work(record: Record) -> None:
        monkeypatch.setattr(Key, "broken", True)
        await trio.sleep(1)

    client = ScriptedClient()
    client.produce(A, b"a", b"b")
    async with running(client, work, A, order=lambda record: Key()) as stage:
        failure = await stage.failure()
    assert isinstance(failure, RuntimeError)
    assert str(failure) == "no hash any more"
