"""The check before the first record: does a broker answer, does it accept us, do the topics exist?

librdkafka itself waits for ever and says nothing, or says it once. Here each of these ends in one exception within
seconds. The check asks for the metadata of the whole cluster, because asking for a topic by its name can create it.
It runs on the client's thread, in short steps, so that it can be given up between any two.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
from confluent_kafka import Consumer, KafkaException

from ..errors import AuthenticationFailed, AuthorizationFailed, BrokerUnreachable, ClientError, UnknownTopic
from .settings import is_on
from .translation import translate

STARTUP_SECONDS = 10.0
"""How long brokers get to answer."""
STEP_SECONDS = 0.25
"""How long one request for metadata waits."""
TOPIC_SECONDS = 1.0
"""How long a topic gets to appear: brokers learn of a new one at different moments."""
TOPIC_STEP_SECONDS = 0.1

_WITHOUT_TOPIC = ("UNKNOWN_TOPIC_OR_PART", "TOPIC_EXCEPTION")


class GivenUp(Exception):
    """The check was called off."""


@attrs.define
class Startup:
    """One check.

    Args:
        settings: For the messages, and for ``allow.auto.create.topics``.
        topics: What will be subscribed.
        seconds: How long brokers get to answer.
        given_up: Asked between the steps.
    """

    settings: Mapping[str, Any]
    topics: Sequence[str]
    seconds: float
    given_up: Callable[[], bool]
    last: ClientError | None = None

    def note(self, error: ClientError) -> None:
        """An error that librdkafka reported meanwhile. Rejected credentials win over all that follows from them."""
        if self.last is None or (not self._decided() and error.code != "_ALL_BROKERS_DOWN"):
            self.last = error

    def check(self, consumer: Consumer) -> None:
        """Returns when all is well.

        Args:
            consumer: Not subscribed yet.

        Raises:
            BrokerUnreachable: No broker answered in time.
            AuthenticationFailed: We were refused.
            AuthorizationFailed: A topic may not be read.
            UnknownTopic: A topic does not exist.
            GivenUp: The check was called off.
        """
        until = time.monotonic() + self.seconds
        topic_until: float | None = None
        while True:
            found = self._ask(consumer, until)
            if topic_until is None:
                topic_until = min(until, time.monotonic() + TOPIC_SECONDS)
            missing = self._missing(found)
            if not missing:
                return
            if time.monotonic() >= topic_until:
                raise UnknownTopic(
                    "UNKNOWN_TOPIC_OR_PART",
                    f"topics {', '.join(missing)} do not exist on {self._servers}, or this principal may not see them: "
                    "create them, allow it, or correct their names",
                    fatal=True,
                )
            if self.given_up():
                raise GivenUp
            time.sleep(TOPIC_STEP_SECONDS)

    def _ask(self, consumer: Consumer, until: float) -> Mapping[str, Any]:
        while True:
            if self.given_up():
                raise GivenUp
            left = until - time.monotonic()
            try:
                found: Mapping[str, Any] = consumer.list_topics(timeout=max(0.001, min(STEP_SECONDS, left))).topics
                return found
            except KafkaException as error:
                if self.last is None:
                    self.last = translate(error)
            consumer.poll(0)  # serves the callbacks, which say more than the exception
            if self._decided() and self.last is not None:
                last = self.last
                raise AuthenticationFailed(last.code, f"{self._servers} refused us: {last}", fatal=True)
            if left <= 0:
                why = f"; the last error was: {self.last}" if self.last is not None else ""
                raise BrokerUnreachable(
                    self.last.code if self.last is not None else "_TRANSPORT",
                    f"no broker of bootstrap.servers={self._servers} answered within {self.seconds:g} s: check the "
                    f"addresses, that a broker runs there, and security.protocol{why}",
                    fatal=True,
                    retriable=True,
                )

    def _missing(self, found: Mapping[str, Any]) -> list[str]:
        if is_on(self.settings.get("allow.auto.create.topics")):
            return []
        missing = []
        for topic in self.topics:
            if topic.startswith("^"):
                continue
            error = found[topic].error if topic in found else None
            if topic not in found or (error is not None and error.name() in _WITHOUT_TOPIC):
                missing.append(topic)
            elif error is not None:
                translated = translate(error, topic, fatal=True)
                if isinstance(translated, AuthorizationFailed):
                    raise translated
        return missing

    def _decided(self) -> bool:
        return isinstance(self.last, AuthenticationFailed)

    @property
    def _servers(self) -> str:
        return str(self.settings.get("bootstrap.servers") or self.settings.get("metadata.broker.list"))
