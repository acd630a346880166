"""Fixtures for every test: a real Kafka, an embedded cluster, one of each in turn, and a browser.

Tests that use a real Kafka carry the marker ``kafka``, those that use a browser the marker ``browser``. Where it is
unavailable they skip and say why; with ``TRIO_CONSUMER_REQUIRE_KAFKA=1`` or ``TRIO_CONSUMER_REQUIRE_BROWSER=1`` they
fail instead, and with ``TRIO_CONSUMER_REQUIRE_PEERS=1`` those of the benchmarks' peers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import pytest

from tests.kafka.broker import KafkaBroker, KafkaUnavailable
from tests.simulator.browser import Browser, BrowserUnavailable
from tests.support import Cluster
from trio_consumer.client.embedded import EmbeddedCluster

REQUIRE_KAFKA = "TRIO_CONSUMER_REQUIRE_KAFKA"
REQUIRE_BROWSER = "TRIO_CONSUMER_REQUIRE_BROWSER"
REQUIRE_PEERS = "TRIO_CONSUMER_REQUIRE_PEERS"


def refuse(what: str, required: str, reason: str) -> NoReturn:
    """Skip for want of something, or fail where the environment requires it."""
    if os.environ.get(required) == "1":
        pytest.fail(f"{required}=1, and {what} is unavailable: {reason}", pytrace=False)
    pytest.skip(f"{what} is unavailable: {reason}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        names = getattr(item, "fixturenames", ())
        chosen = getattr(getattr(item, "callspec", None), "params", {}).get("cluster")
        if "kafka" in names or "own_kafka" in names or chosen == "kafka":
            item.add_marker("kafka")
        if "browser" in names:
            item.add_marker("browser")


@contextmanager
def started_kafka() -> Iterator[KafkaBroker]:
    broker = KafkaBroker()
    reason = None
    try:
        broker.start()
    except KafkaUnavailable as error:
        reason = str(error)
    if reason is not None:
        refuse("Kafka", REQUIRE_KAFKA, reason)
    try:
        yield broker
    finally:
        broker.close()


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaBroker]:
    """A real Kafka broker that all tests share: use topics and groups of your own, and do not stop it."""
    with started_kafka() as broker:
        yield broker


@pytest.fixture
def own_kafka() -> Iterator[KafkaBroker]:
    """A real Kafka broker for one test, which may kill, freeze and restart it."""
    with started_kafka() as broker:
        yield broker


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium that all tests share."""
    reason = None
    started = None
    try:
        started = Browser()
    except BrowserUnavailable as error:
        reason = str(error)
    if started is None:
        refuse("a browser", REQUIRE_BROWSER, reason or "")
    try:
        yield started
    finally:
        started.close()


@pytest.fixture
def embedded() -> Iterator[EmbeddedCluster]:
    """One embedded broker for one test, without topics. It is ready at once."""
    with EmbeddedCluster() as cluster:
        yield cluster


@pytest.fixture(params=["embedded", "kafka"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """The test runs once on an embedded cluster of its own and once on the shared real Kafka."""
    found: Cluster = request.getfixturevalue(request.param)
    return found
