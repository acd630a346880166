"""What the confluent-kafka adapter does beyond the port: start and end, settings, callbacks, errors of librdkafka."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from tests.support import Cluster, new_topic, produce, unique
from trio_consumer import (
    AuthenticationFailed,
    AuthorizationFailed,
    BrokerUnreachable,
    CallbackFailed,
    ClientError,
    ConfigurationError,
    Partition,
    Record,
    StateError,
)
from trio_consumer.client.confluent import ConfluentClient, connect
from trio_consumer.client.embedded import Api, EmbeddedCluster
from trio_consumer.client.port import Assigned, Commit, Event, Failed, Records, Revoked

SECONDS_MAX = 30.0


def settings(cluster: Cluster, **more: Any) -> dict[str, Any]:
    return {
        "bootstrap.servers": cluster.bootstrap_servers,
        "group.id": unique("group"),
        "session.timeout.ms": 2000,
        "heartbeat.interval.ms": 200,
        **{name.replace("__", "."): value for name, value in more.items()},
    }


@asynccontextmanager
async def opened(
    cluster: Cluster, partitions: int = 1, records: int = 0, **more: Any
) -> AsyncGenerator[tuple[ConfluentClient, Partition], None]:
    """A client of a topic of its own, and the topic's first partition. Settings have two underscores for a dot."""
    topic = new_topic(cluster, partitions)
    if records:
        produce(cluster.bootstrap_servers, topic, [(None, b"x")] * records, partition=0)
    with trio.fail_after(SECONDS_MAX):
        async with connect(settings(cluster, **more), [topic]) as client:
            yield client, Partition(topic, 0)


async def until(client: ConfluentClient, reached: Callable[[Event], bool]) -> Event:
    """Read until an event is such; revokes are released."""
    while not reached(event := await client.next(100)):
        if isinstance(event, Revoked):
            client.release(event)
    return event


def is_assigned(event: Event) -> bool:
    return isinstance(event, Assigned)


def failure(kind: type[Exception]) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, Failed) and isinstance(event.error, kind)


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# Start


async def test_no_broker(unused_port: int) -> None:
    nowhere = {"bootstrap.servers": f"127.0.0.1:{unused_port}", "group.id": "g"}
    with trio.fail_after(SECONDS_MAX):
        with pytest.raises(BrokerUnreachable) as caught:
            async with connect(nowhere, ["t"], startup_deadline=0.5):
                pytest.fail("connected to nothing")
    assert f"bootstrap.servers=127.0.0.1:{unused_port} answered within 0.5 s" in str(caught.value)
    assert "Connection refused" in str(caught.value)
    assert caught.value.fatal


async def test_a_start_can_be_cancelled(unused_port: int) -> None:
    """At once, although librdkafka goes on trying for a moment."""
    nowhere = {"bootstrap.servers": f"127.0.0.1:{unused_port}", "group.id": "g"}
    with trio.fail_after(5):
        with trio.move_on_after(0.1) as scope:
            async with connect(nowhere, ["t"], startup_deadline=3600):
                pytest.fail("connected to nothing")
    assert scope.cancelled_caught


async def test_a_broker_that_comes_late(embedded: EmbeddedCluster) -> None:
    topic = new_topic(embedded, 1)
    embedded.stop_broker()
    errors: list[str] = []
    token = trio.lowlevel.current_trio_token()
    refused = trio.Event()

    def on_error(error: Any) -> None:
        errors.append(error.name())
        token.run_sync_soon(refused.set)

    async def start_after_refusal() -> None:
        await refused.wait()
        embedded.start_broker()

    with trio.fail_after(SECONDS_MAX):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(start_after_refusal)
            async with connect(settings(embedded, error_cb=on_error), [topic], startup_deadline=20) as client:
                await until(client, is_assigned)
    assert "_TRANSPORT" in errors


async def test_a_topic_that_comes_late(embedded: EmbeddedCluster) -> None:
    """Brokers learn of a new topic at different moments, so one look is not enough."""
    topic = unique("late")
    embedded.track_requests()
    with trio.fail_after(SECONDS_MAX):
        async with trio.open_nursery() as nursery:

            async def create() -> None:
                while not embedded.requests(Api.METADATA):  # noqa: ASYNC110 - the cluster can't notify
                    await trio.sleep(0.01)
                embedded.create_topic(topic, 1)

            nursery.start_soon(create)
            async with connect(settings(embedded), [topic]) as client:
                await until(client, is_assigned)


async def test_rejected_credentials(cluster: Cluster) -> None:
    """Said at once, not when the deadline has passed: waiting does not mend a password."""
    wrong = {"security__protocol": "sasl_plaintext", "sasl__mechanism": "PLAIN", "sasl__username": "u"}
    with trio.fail_after(SECONDS_MAX):
        with pytest.raises(AuthenticationFailed, match=r"check security\.protocol") as caught:
            async with connect(settings(cluster, **wrong, sasl__password="hunter2"), ["t"], startup_deadline=3600):
                pytest.fail("connected")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"no.such.setting": 1}, r"no\.such\.setting"),
        ({"session.timeout.ms": "soon"}, r"session\.timeout\.ms"),
        ({"max.poll.interval.ms": 7000, "session.timeout.ms": 8000}, r"max\.poll\.interval\.ms.*session\.timeout\.ms"),
        ({"security.protocol": "ssl", "ssl.key.pem": "hunter2"}, r"ssl\.key\.pem"),
        ({"stats_cb": 5}, "stats_cb=5: give a function"),
        ({"logger": 5}, r"logger=5: give a logging\.Logger"),
    ],
)
async def test_a_setting_that_librdkafka_refuses(wrong: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        async with connect({"bootstrap.servers": "localhost", "group.id": "g", **wrong}, ["t"]):
            pytest.fail("a client with a wrong setting was opened")
    assert "hunter2" not in str(caught.value)


# End


async def test_what_waits_is_answered_when_the_client_closes(embedded: EmbeddedCluster) -> None:
    codes: dict[str, str] = {}

    async def waiting(name: str, call: Callable[[], Any]) -> None:
        try:
            await call()
        except ClientError as error:
            codes[name] = error.code

    async with trio.open_nursery() as nursery:
        async with opened(embedded) as (client, partition):
            await until(client, is_assigned)
            embedded.delay_answers(Api.OFFSET_COMMIT, 600)
            nursery.start_soon(waiting, "commit", lambda: client.commit({partition: Commit(1)}))
            nursery.start_soon(waiting, "next", lambda: client.next(1))
            await trio.testing.wait_all_tasks_blocked()
        embedded.stop_broker()
    assert codes == {"commit": "_DESTROY", "next": "_DESTROY"}
    with pytest.raises(ClientError, match="_DESTROY"):
        await client.commit({partition: Commit(1)})
    with pytest.raises(ClientError, match="_DESTROY"):
        await client.pause([partition])


async def test_leaving_while_no_broker_answers(embedded: EmbeddedCluster) -> None:
    async with opened(embedded) as (client, _):
        await until(client, is_assigned)
        embedded.stop_broker()


async def test_events_have_one_reader(embedded: EmbeddedCluster) -> None:
    async with opened(embedded) as (client, _):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(until, client, lambda event: False)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(StateError, match="one reader"):
                await client.next(1)
            nursery.cancel_scope.cancel()
        with pytest.raises(ValueError, match="records_max=0"):
            await client.next(0)


# Errors


@pytest.mark.parametrize("code", ["ILLEGAL_GENERATION", "REBALANCE_IN_PROGRESS", "UNKNOWN_MEMBER_ID"])
async def test_a_failed_commit(embedded: EmbeddedCluster, code: str) -> None:
    async with opened(embedded) as (client, partition):
        await until(client, is_assigned)
        embedded.fail_requests(Api.OFFSET_COMMIT, code)
        with pytest.raises(ClientError, match=rf"commit of {partition.topic}\[0\]@3: ") as caught:
            await client.commit({partition: Commit(3, "secret of ours")})
        assert caught.value.code == code
        assert "secret" not in str(caught.value)


async def test_metadata_that_cannot_be_sent(embedded: EmbeddedCluster) -> None:
    async with opened(embedded) as (client, partition):
        await until(client, is_assigned)
        with pytest.raises(ClientError, match="_INVALID_ARG"):
            await client.commit({partition: Commit(3, "a\0b")})
        await client.commit({partition: Commit(3, "ab")})


async def test_an_outage_is_reported_and_survived(embedded: EmbeddedCluster) -> None:
    seen: list[str] = []
    more: dict[str, Any] = {"error_cb": lambda error: seen.append(error.name()), "reconnect__backoff__max__ms": 200}
    async with opened(embedded, records=3, **more) as (client, partition):
        await until(client, lambda event: isinstance(event, Records) and event.positions.get(partition) == 3)
        embedded.stop_broker()
        failed = await until(client, failure(ClientError))
        assert isinstance(failed, Failed)
        assert not failed.fatal
        embedded.start_broker()
        await trio.to_thread.run_sync(produce, embedded.bootstrap_servers, partition.topic, [(None, b"x")])
        await until(client, lambda event: isinstance(event, Records) and event.positions.get(partition, 0) == 4)
    assert seen


async def test_a_group_that_may_not_be_joined(embedded: EmbeddedCluster) -> None:
    """librdkafka would try again for ever."""
    async with opened(embedded) as (client, _):
        embedded.fail_requests(Api.JOIN_GROUP, "GROUP_AUTHORIZATION_FAILED", 100)
        failed = await until(client, failure(AuthorizationFailed))
        assert isinstance(failed, Failed)
        assert failed.fatal


async def test_offsets_out_of_range_with_reset_to_error(embedded: EmbeddedCluster) -> None:
    """librdkafka says it once and leaves the partition silent."""
    async with opened(embedded, records=3, auto__offset__reset="error") as (client, _):
        failed = await until(client, failure(ClientError))
        assert isinstance(failed, Failed)
        assert failed.fatal


# Callbacks and logging


class Broken(Exception):
    pass


def broken(*arguments: object) -> None:
    raise Broken


async def test_a_callback_that_raises_loses_no_record(embedded: EmbeddedCluster) -> None:
    records: list[Record] = []
    async with opened(embedded, records=2000, stats_cb=broken, statistics__interval__ms=1) as (client, _):
        failed = False
        while len(records) < 2000 or not failed:
            event = await client.next(10)
            if isinstance(event, Records):
                records += event.records
            elif isinstance(event, Failed):
                assert event.fatal
                assert isinstance(event.error, CallbackFailed)
                assert event.error.name == "stats_cb"
                assert isinstance(event.error.__cause__, Broken)
                failed = True
    assert [record.offset for record in records] == list(range(2000))


async def test_callbacks_are_called(embedded: EmbeddedCluster) -> None:
    seen: list[str] = []
    async with opened(embedded, stats_cb=seen.append, statistics__interval__ms=10) as (client, _):
        with trio.CancelScope() as scope:
            while True:
                with trio.move_on_after(0.01):
                    await client.next(1)
                if seen:
                    scope.cancel()
                    await trio.lowlevel.checkpoint()
    assert seen[0].startswith("{")


async def test_an_error_callback_that_raises(unused_port: int) -> None:
    """Before the start: the exception ends it."""
    nowhere = {"bootstrap.servers": f"127.0.0.1:{unused_port}", "group.id": "g", "error_cb": broken}
    with trio.fail_after(SECONDS_MAX):
        with pytest.raises(CallbackFailed, match="error_cb") as caught:
            async with connect(nowhere, ["t"], startup_deadline=3600):
                pytest.fail("connected to nothing")
    assert isinstance(caught.value.__cause__, Broken)


async def test_an_oauth_callback_that_raises(embedded: EmbeddedCluster) -> None:
    """librdkafka's constructor waits ten seconds for a token; we do not."""
    more = {"security__protocol": "sasl_plaintext", "sasl__mechanism": "OAUTHBEARER", "oauth_cb": broken}
    with trio.fail_after(5):
        with pytest.raises(CallbackFailed, match="oauth_cb") as caught:
            async with connect(settings(embedded, **more), ["t"]):
                pytest.fail("connected without a token")
    assert isinstance(caught.value.__cause__, Broken)


async def test_librdkafka_logs_through_the_standard_library(
    unused_port: int, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    nowhere = {"bootstrap.servers": f"127.0.0.1:{unused_port}", "group.id": "g"}
    with caplog.at_level(logging.DEBUG, "trio_consumer.client"):
        with pytest.raises(BrokerUnreachable):
            async with connect(nowhere, ["t"], startup_deadline=0.3):
                pytest.fail("connected to nothing")
    assert "Connection refused" in caplog.text
    assert capfd.readouterr().err == ""


async def test_a_logger_of_the_users(unused_port: int, caplog: pytest.LogCaptureFixture) -> None:
    nowhere = {"bootstrap.servers": f"127.0.0.1:{unused_port}", "group.id": "g"}
    with caplog.at_level(logging.DEBUG):
        with pytest.raises(BrokerUnreachable):
            async with connect({**nowhere, "logger": logging.getLogger("mine")}, ["t"], startup_deadline=0.3):
                pytest.fail("connected to nothing")
    assert {record.name for record in caplog.records} == {"mine"}


async def test_partitions_of_one_number_in_two_topics(embedded: EmbeddedCluster) -> None:
    topics = [new_topic(embedded, 1) for _ in range(2)]
    for topic in topics:
        produce(embedded.bootstrap_servers, topic, [(None, topic.encode())] * 500, partition=0)
    seen: list[Record] = []
    with trio.fail_after(SECONDS_MAX):
        async with connect(settings(embedded, auto__offset__reset="earliest"), topics) as client:
            await until(client, is_assigned)
            while len(seen) < 1_000:
                event = await client.next(2_000)
                seen += event.records if isinstance(event, Records) else ()
    assert [record.topic.encode() for record in seen] == [record.value for record in seen]
    assert {topic: [one.offset for one in seen if one.topic == topic] for topic in topics} == {
        topic: list(range(500)) for topic in topics
    }
