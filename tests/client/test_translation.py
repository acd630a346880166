"""From confluent-kafka's errors to ours."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from trio_consumer import AuthenticationFailed, AuthorizationFailed, ClientError, Fenced, UnknownTopic
from trio_consumer.client.translation import translate


@pytest.mark.parametrize(
    ("code", "kind", "name", "fatal"),
    [
        (KafkaError._AUTHENTICATION, AuthenticationFailed, "_AUTHENTICATION", False),
        (KafkaError._SSL, AuthenticationFailed, "_SSL", False),
        (KafkaError.SASL_AUTHENTICATION_FAILED, AuthenticationFailed, "SASL_AUTHENTICATION_FAILED", False),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, AuthorizationFailed, "TOPIC_AUTHORIZATION_FAILED", True),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, AuthorizationFailed, "GROUP_AUTHORIZATION_FAILED", True),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, UnknownTopic, "UNKNOWN_TOPIC_OR_PART", False),
        (KafkaError.FENCED_INSTANCE_ID, Fenced, "FENCED_INSTANCE_ID", False),
        (KafkaError.ILLEGAL_GENERATION, ClientError, "ILLEGAL_GENERATION", False),
        (KafkaError._TRANSPORT, ClientError, "_TRANSPORT", False),
        (KafkaError._AUTO_OFFSET_RESET, ClientError, "_AUTO_OFFSET_RESET", True),
        (KafkaError._FATAL, ClientError, "_FATAL", True),
    ],
)
def test_classes(code: int, kind: type[ClientError], name: str, fatal: bool) -> None:
    for theirs in (KafkaError(code), KafkaException(KafkaError(code))):
        ours = translate(theirs, "what was tried")
        assert type(ours) is kind
        assert (ours.code, ours.fatal) == (name, fatal)
        assert str(ours).startswith("what was tried: ")
        assert str(ours).endswith(f"[{name}]")


def test_a_dead_client_is_named_after_the_reason() -> None:
    """librdkafka reports every fatal error by one code, and tells the reason in the text only."""
    reason = KafkaError(KafkaError.FENCED_INSTANCE_ID).str()
    ours = translate(KafkaError(KafkaError._FATAL, f"Fatal error: {reason}: and so on"))
    assert type(ours) is Fenced
    assert (ours.code, ours.fatal) == ("FENCED_INSTANCE_ID", True)
    assert "group.instance.id of its own" in str(ours)


def test_the_caller_may_know_better_what_is_fatal() -> None:
    assert translate(KafkaError(KafkaError._TRANSPORT), fatal=True).fatal
    assert not translate(KafkaError(KafkaError._FATAL), fatal=False).fatal


def test_an_exception_without_an_error() -> None:
    assert translate(KafkaException("words only"), "seek").code == "_FAIL"
