"""What we refuse, what we add, and what may be logged."""

from __future__ import annotations

from typing import Any

import pytest

from trio_consumer import ConfigurationError
from trio_consumer.client.settings import (
    CHANGED_DEFAULTS,
    REFUSED,
    max_poll_interval_seconds,
    prepare,
    safe_to_log,
    without_secrets,
)

LEAST: dict[str, Any] = {"bootstrap.servers": "localhost:9092", "group.id": "billing"}
KIP_848 = {"group.protocol": "consumer"}


def test_changed_defaults_are_added() -> None:
    assert prepare(LEAST) == {
        **LEAST,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "enable.partition.eof": True,
        "fetch.queue.backoff.ms": 10,
    }


def test_the_given_mapping_is_left_alone() -> None:
    given = dict(LEAST)
    prepare(given)
    assert given == LEAST


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", False),
        ("auto.offset.reset", "latest"),
        ("fetch.queue.backoff.ms", 1000),
        ("client.id", "anything else"),
        ("session.timeout.ms", 6000),
        ("on_commit", None),
        ("allow.auto.create.topics", True),
    ],
)
def test_a_users_own_value_wins(name: str, value: object) -> None:
    assert prepare({**LEAST, name: value})[name] == value


def test_a_default_for_all_topics_wins_too() -> None:
    prepared = prepare({**LEAST, "default.topic.config": {"auto.offset.reset": "latest"}})
    assert "auto.offset.reset" not in prepared


def test_preparing_twice_changes_nothing() -> None:
    once = prepare({**LEAST, "fetch.queue.backoff.ms": 50, "stats_cb": print})
    assert prepare(once) == once


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"group.id": "billing"}, r"bootstrap\.servers=None: name the brokers"),
        ({**LEAST, "bootstrap.servers": " "}, r"bootstrap\.servers=' ': name the brokers"),
        ({"bootstrap.servers": "localhost"}, r"group\.id=None: name the consumer group"),
        ({**LEAST, "group.id": ""}, r"group\.id='': name the consumer group"),
        ({**LEAST, "group.id": 5}, r"group\.id=5: name the consumer group"),
        (dict([*LEAST.items(), (7, 8)]), "7: the name of a setting is text"),
        (
            {**LEAST, "enable.auto.commit": True},
            r"enable\.auto\.commit=True: it would commit records that are not handled",
        ),
        ({**LEAST, "enable.auto.commit": "true"}, r"enable\.auto\.commit='true'"),
        (
            {**LEAST, "enable.auto.offset.store": True},
            r"enable\.auto\.offset\.store=True: it would mark records as done",
        ),
        ({**LEAST, "auto.commit.interval.ms": 100}, r"auto\.commit\.interval\.ms=100: nothing reads it"),
        ({**LEAST, "on_commit": print}, "on_commit=<built-in function print>: the consumer needs this callback itself"),
        ({**LEAST, **KIP_848, "session.timeout.ms": 6000}, r"session\.timeout\.ms=6000: with group\.protocol=consumer"),
        ({**LEAST, **KIP_848, "heartbeat.interval.ms": 1}, r"heartbeat\.interval\.ms=1: with group\.protocol=consumer"),
        (
            {**LEAST, "group.protocol": "CONSUMER", "partition.assignment.strategy": "range"},
            r"partition\.assignment\.strategy='range': with group\.protocol=consumer",
        ),
        ({**LEAST, "max.poll.interval.ms": "soon"}, r"max\.poll\.interval\.ms='soon': give a whole number"),
        ({**LEAST, "max.poll.interval.ms": 0}, r"max\.poll\.interval\.ms=0: give a whole number"),
        ({**LEAST, "max.poll.interval.ms": True}, r"max\.poll\.interval\.ms=True: give a whole number"),
    ],
)
def test_what_is_refused(settings: dict[Any, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        prepare(settings)


def test_the_alias_of_the_brokers() -> None:
    prepare({"metadata.broker.list": "localhost", "group.id": "billing"})


def test_every_row_has_a_reason() -> None:
    assert all(row.reason and row.value != row.theirs for row in CHANGED_DEFAULTS.values())
    assert all(row.reason for row in REFUSED.values())


def test_poll_interval() -> None:
    assert max_poll_interval_seconds({}) == 300
    assert max_poll_interval_seconds({"max.poll.interval.ms": "7500"}) == 7.5


@pytest.mark.parametrize(
    "name",
    [
        "sasl.password",
        "ssl.key.password",
        "ssl.key.pem",
        "ssl.keystore.password",
        "sasl.oauthbearer.config",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.assertion.private.key.passphrase",
    ],
)
def test_secrets_are_not_logged(name: str) -> None:
    settings = {**LEAST, name: "hunter2"}
    assert safe_to_log(settings) == {**LEAST, name: "***"}
    assert without_secrets("the value hunter2 is wrong", settings) == "the value *** is wrong"
