"""What the client reports: transient errors are counted, fatal ones end `run`."""

from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.shell.scripted import ScriptedClient
from tests.shell.stage import A, Gates, Handler, keys, opened, running
from trio_consumer import CallbackFailed, ClientError, Fenced, InternalError
from trio_consumer.client.port import Commit


async def test_transient_errors_are_counted_and_logged_once_a_minute(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    client, handler = ScriptedClient(), Handler()
    async with running(client, handler, A) as stage:
        for _ in range(150):
            client.fail(ClientError("_TRANSPORT", "connection refused"))
            await trio.sleep(1)
        client.fail(ClientError("_ALL_BROKERS_DOWN", "2 of 2 brokers are down"))
        client.produce(A, *keys(5))
        await trio.sleep(1)
        assert stage.consumer.statistics().client_errors == {"_TRANSPORT": 150, "_ALL_BROKERS_DOWN": 1}
    assert client.committed == {A: Commit(5)}
    logged = [record.message for record in caplog.records if record.levelno >= logging.INFO]
    assert len([message for message in logged if "_TRANSPORT" in message]) == 3
    assert len([message for message in logged if "_ALL_BROKERS_DOWN" in message]) == 1


@pytest.mark.parametrize(
    "error",
    [
        ClientError("_FATAL", "over", fatal=True),
        Fenced("FENCED_INSTANCE_ID", "another instance", fatal=True),
        InternalError("the client's thread failed"),
        RuntimeError("foreign"),
    ],
)
async def test_fatal_errors_end_run(autojump_clock: MockClock, error: Exception) -> None:
    """Bare, at once, and without a last commit: it could only fail, or do harm."""
    client, handler = ScriptedClient(), Handler(Gates((0, 1)))
    client.produce(A, b"a", b"b")
    async with opened(client, commit_interval=100) as consumer:
        client.assign(A)
        with pytest.raises(type(error)) as caught:
            async with trio.open_nursery() as nursery:
                # In a task of its own, so that a group would be seen.
                async def run() -> None:
                    try:
                        await consumer.run(handler)
                    except type(error) as found:
                        raised.append(found)
                        nursery.cancel_scope.cancel()

                raised: list[BaseException] = []
                nursery.start_soon(run)
                await wait_all_tasks_blocked()
                client.fail(error)
                await trio.sleep_forever()
            raise raised[0]
        assert caught.value is error
        if isinstance(error, ClientError):
            assert consumer.statistics().client_errors == {error.code: 1}
    assert handler.cancelled == [(0, 1)]
    assert not client.requests


async def test_a_callback_that_fails_ends_run_in_order(autojump_clock: MockClock) -> None:
    client, handler, failure = ScriptedClient(), Handler(), CallbackFailed("stats_cb")
    client.produce(A, *keys(5))
    async with running(client, handler, A, commit_interval=100) as stage:
        client.fail(failure)
        client.revoke(A)  # the client lives, and so do its events
        assert await stage.failure() is failure
    assert client.committed == {A: Commit(5)}


async def test_the_first_error_wins(autojump_clock: MockClock) -> None:
    client = ScriptedClient()
    first, second = CallbackFailed("error_cb"), CallbackFailed("stats_cb")
    async with running(client, Handler(), A) as stage:
        client.fail(first)
        client.fail(second)
        assert await stage.failure() is first


async def test_nothing_is_polled_after_a_fatal_error(autojump_clock: MockClock) -> None:
    client = ScriptedClient()
    async with running(client, Handler(), A) as stage:
        client.fail(ClientError("_FATAL", "over", fatal=True))
        await stage.failure()
        assert not client.polled
