"""The check before the first record: does a broker answer, do the topics exist, may they be read?

The same limits and the same exceptions as in the real adapter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trio_consumer import AuthorizationFailed, BrokerUnreachable, UnknownTopic
from trio_consumer.client.settings import is_on
from trio_consumer.client.startup import STARTUP_SECONDS, TOPIC_SECONDS, TOPIC_STEP_SECONDS

from ..kafka.requests import Metadata, MetadataResponse, Response
from .errors import error_of
from .handle import Handle
from .thread import Blocking, wait

STEP_SECONDS = 0.25
_WITHOUT_TOPIC = ("UNKNOWN_TOPIC_OR_PART", "TOPIC_EXCEPTION")


class GivenUp(Exception):
    """The check was called off."""


def check(handle: Handle, settings: Mapping[str, Any]) -> Blocking[None]:
    """Returns when all is well.

    Raises:
        BrokerUnreachable: No broker answered in time.
        AuthorizationFailed: A topic may not be read.
        UnknownTopic: A topic does not exist.
        GivenUp: The check was called off.
    """
    servers = str(settings.get("bootstrap.servers") or settings.get("metadata.broker.list"))
    until = handle.now + STARTUP_SECONDS
    topic_until: float | None = None
    while True:
        found = yield from _ask(handle, until, servers)
        handle.brokers.learn(found)
        if topic_until is None:
            topic_until = min(until, handle.now + TOPIC_SECONDS)
        missing = [] if is_on(settings.get("allow.auto.create.topics")) else _missing(handle, found)
        if not missing:
            return
        if handle.now >= topic_until:
            raise UnknownTopic(
                "UNKNOWN_TOPIC_OR_PART",
                f"topics {', '.join(missing)} do not exist on {servers}, or this principal may not see them: "
                "create them, allow it, or correct their names",
                fatal=True,
            )
        yield from wait(lambda: handle.closing, handle.time, handle.now + TOPIC_STEP_SECONDS)
        if handle.closing:
            raise GivenUp


def _ask(handle: Handle, until: float, servers: str) -> Blocking[MetadataResponse]:
    """Metadata of the whole cluster, from whichever broker answers first."""
    answers: list[MetadataResponse] = []

    def answered(response: Response | None) -> None:
        if isinstance(response, MetadataResponse):
            answers.append(response)
        handle.wake()

    while True:
        step = min(until, handle.now + STEP_SECONDS)
        handle.send(handle.brokers.any(), Metadata(None), answered)
        if (yield from wait(lambda: answers or handle.closing, handle.time, step)):
            if handle.closing:
                raise GivenUp
            return answers[0]
        if handle.now >= until:
            raise BrokerUnreachable(
                "_TRANSPORT",
                f"no broker of bootstrap.servers={servers} answered within {STARTUP_SECONDS:g} s: check the addresses, "
                "that a broker runs there, and security.protocol",
                fatal=True,
                retriable=True,
            )


def _missing(handle: Handle, found: MetadataResponse) -> list[str]:
    missing = []
    for topic in handle.knobs.topics:
        if topic.startswith("^"):
            continue
        error = found.topics[topic].error if topic in found.topics else "UNKNOWN_TOPIC_OR_PART"
        if error in _WITHOUT_TOPIC:
            missing.append(topic)
        elif error:
            translated = error_of(error, topic, fatal=True)
            if isinstance(translated, AuthorizationFailed):
                raise translated
    return missing
