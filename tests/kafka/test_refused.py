"""A consumer that can't start says why within seconds: no broker, no such topic, not let in."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any

import pytest
import trio

from tests.conftest import REQUIRE_KAFKA, refuse
from tests.kafka.broker import KafkaBroker, KafkaUnavailable
from tests.kafka.journal import Journal
from tests.kafka.members import PROTOCOLS, TEST_SECONDS_MAX, Handler, running, settings_of, until
from tests.support import keyed, new_topic, produce, unique
from trio_consumer import AuthenticationFailed, BrokerUnreachable, ClientError, UnknownTopic, open_consumer
from trio_consumer.client import confluent

SECONDS_MAX = 15.0
STARTUP_SECONDS = 3.0
"""How long the broker gets to answer; by default more."""
PASSWORD = "correct-horse"
WRONG_PASSWORD = "battery-staple"

_LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
SASL = {
    "listener.security.protocol.map": "PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
    "sasl.enabled.mechanisms": "PLAIN",
    "sasl.mechanism.inter.broker.protocol": "PLAIN",
    "listener.name.plaintext.plain.sasl.jaas.config": (
        f'{_LOGIN} username="broker" password="{PASSWORD}" user_broker="{PASSWORD}" user_us="{PASSWORD}";'
    ),
}
"""A broker that asks for a password."""


def credentials(password: str) -> dict[str, str]:
    return {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "us",
        "sasl.password": password,
    }


@pytest.fixture(scope="module")
def guarded() -> Iterator[KafkaBroker]:
    broker = KafkaBroker(SASL, credentials(PASSWORD))
    reason = None
    try:
        broker.start()
    except KafkaUnavailable as error:
        reason = str(error)
    if reason is not None:
        refuse("Kafka", REQUIRE_KAFKA, reason)
    with closing(broker):
        yield broker


async def refusal(settings: dict[str, Any], topic: str = "topic") -> ClientError:
    """What a consumer that must not start says."""
    connect = partial(confluent.connect, startup_deadline=STARTUP_SECONDS)
    with trio.fail_after(SECONDS_MAX):
        with pytest.raises(ClientError) as told:
            async with open_consumer(settings, topic, connect=connect) as consumer:
                await consumer.run(Handler(Journal()))
    return told.value


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_no_such_topic(kafka: KafkaBroker, protocol: str) -> None:
    topic = unique("nowhere")
    error = await refusal(settings_of(kafka.bootstrap_servers, protocol), topic)
    assert isinstance(error, UnknownTopic)
    assert topic in str(error)


async def test_no_broker() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        error = await refusal(settings_of(address))
    assert isinstance(error, BrokerUnreachable)
    assert address in str(error)


@pytest.mark.kafka
async def test_wrong_password(guarded: KafkaBroker) -> None:
    settings = {**settings_of(guarded.bootstrap_servers), **credentials(WRONG_PASSWORD)}
    error = await refusal(settings)
    assert isinstance(error, AuthenticationFailed)
    assert "sasl" in str(error)
    assert WRONG_PASSWORD not in str(error)


@pytest.mark.kafka
async def test_no_password_where_one_is_wanted(guarded: KafkaBroker) -> None:
    """The broker hangs up, which may have many reasons: the message names what to check."""
    error = await refusal(settings_of(guarded.bootstrap_servers))
    assert isinstance(error, (AuthenticationFailed, BrokerUnreachable))
    assert "security.protocol" in str(error)


@pytest.mark.kafka
async def test_right_password(guarded: KafkaBroker) -> None:
    topic, login = new_topic(guarded, 1), credentials(PASSWORD)
    handler = Handler(Journal())
    with trio.fail_after(TEST_SECONDS_MAX):
        await trio.to_thread.run_sync(lambda: produce(guarded.bootstrap_servers, topic, keyed(10), settings=login))
        async with running({**settings_of(guarded.bootstrap_servers), **login}, topic, handler):
            await until(lambda: len(handler.done) == 10)
