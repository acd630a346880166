"""What may be a handler: everything that returns an awaitable, and nothing else."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.shell.scripted import ScriptedClient
from tests.shell.stage import A, keys, running
from trio_consumer import ConfigurationError, HandlerFailed, Record
from trio_consumer.client.port import Commit

Seen = list[int]


async def handle(seen: Seen, record: Record) -> None:
    await trio.sleep(0.1)
    seen.append(record.offset)


class Handling:
    def __init__(self, seen: Seen) -> None:
        self.seen = seen

    async def __call__(self, record: Record) -> None:
        await handle(self.seen, record)

    async def method(self, record: Record) -> None:
        await handle(self.seen, record)


class Later:
    """An awaitable that is no coroutine."""

    def __init__(self, seen: Seen, record: Record) -> None:
        self.seen, self.record = seen, record

    def __await__(self) -> Generator[Any, Any, None]:
        return handle(self.seen, self.record).__await__()


@pytest.mark.parametrize(
    "make",
    [
        lambda seen: functools.partial(handle, seen),
        lambda seen: lambda record: handle(seen, record),
        lambda seen: lambda record: Later(seen, record),
        lambda seen: Handling(seen),
        lambda seen: Handling(seen).method,
        lambda seen: functools.partial(Handling(seen)),
    ],
    ids=["partial", "lambda", "awaitable", "object", "method", "partial of an object"],
)
@pytest.mark.parametrize("decode", [False, True])
async def test_accepted(
    autojump_clock: MockClock, make: Callable[[Seen], Callable[[Record], Awaitable[object]]], decode: bool
) -> None:
    client, seen = ScriptedClient(), Seen()
    client.produce(A, *keys(10))
    async with running(client, make(seen), A, decode_key=bytes.decode if decode else None):
        await trio.sleep(1)
    assert sorted(seen) == list(range(10))
    assert client.committed == {A: Commit(10)}


def plain(record: Record) -> None:
    pass


def generator(record: Record) -> Any:
    yield record


async def async_generator(record: Record) -> Any:  # noqa: ASYNC900
    yield record


@pytest.mark.parametrize("wrong", [plain, lambda record: 7, generator, async_generator, str])
async def test_not_async(autojump_clock: MockClock, wrong: Any) -> None:
    """The very first record says so, and none of them is taken for handled."""
    client = ScriptedClient()
    client.produce(A, *keys(100))
    async with running(client, wrong, A) as stage:
        began = trio.current_time()
        failure = await stage.failure()
        assert trio.current_time() == began
        assert stage.consumer.statistics().handled == 0
    assert isinstance(failure, ConfigurationError)
    assert "not async" in str(failure)
    assert "async def" in str(failure)
    assert not any(commit[A].offset for commit in client.commits)


async def test_a_plain_function_that_raises_fails_its_record(autojump_clock: MockClock) -> None:
    def wrong(record: Record) -> Awaitable[None]:
        raise KeyError("routing")

    client = ScriptedClient()
    client.produce(A, b"a")
    async with running(client, wrong, A, attempts=2, backoff=1) as stage:
        failure = await stage.failure()
    assert isinstance(failure, HandlerFailed)
    assert failure.attempts == 2
    assert isinstance(failure.__cause__, KeyError)
