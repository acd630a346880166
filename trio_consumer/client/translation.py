"""From confluent-kafka's errors to ours, by one table. The only place that knows their numbers and names.

An error keeps its own name as ``code``. What is fatal is librdkafka's word, except for rejected credentials at start,
which `trio_consumer.client.startup` decides.
"""

from __future__ import annotations

from collections.abc import Mapping

from confluent_kafka import KafkaError, KafkaException

from ..errors import AuthenticationFailed, AuthorizationFailed, ClientError, Fenced, UnknownTopic

NOT_ASSIGNED = "_NOT_ASSIGNED"
"""Our own code: a request for a partition that is not ours, refused before anything was sent."""
CLOSED = "_DESTROY"
"""librdkafka's code for requests that outlive their client; ours too."""

CLASSES: Mapping[str, type[ClientError]] = {
    "_AUTHENTICATION": AuthenticationFailed,
    "_SSL": AuthenticationFailed,
    "SASL_AUTHENTICATION_FAILED": AuthenticationFailed,
    "UNSUPPORTED_SASL_MECHANISM": AuthenticationFailed,
    "ILLEGAL_SASL_STATE": AuthenticationFailed,
    "TOPIC_AUTHORIZATION_FAILED": AuthorizationFailed,
    "GROUP_AUTHORIZATION_FAILED": AuthorizationFailed,
    "CLUSTER_AUTHORIZATION_FAILED": AuthorizationFailed,
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED": AuthorizationFailed,
    "DELEGATION_TOKEN_AUTHORIZATION_FAILED": AuthorizationFailed,
    "UNKNOWN_TOPIC_OR_PART": UnknownTopic,
    "_UNKNOWN_TOPIC": UnknownTopic,
    "TOPIC_EXCEPTION": UnknownTopic,
    "FENCED_INSTANCE_ID": Fenced,
    "UNRELEASED_INSTANCE_ID": Fenced,
}
"""By Kafka's or librdkafka's name of the error; any other is a plain `ClientError`."""

REMEDIES: Mapping[type[ClientError], str] = {
    AuthenticationFailed: "check security.protocol and the sasl.* and ssl.* settings",
    AuthorizationFailed: "let this principal read the topic and the group (ACLs of the broker)",
    Fenced: "give every running consumer a group.instance.id of its own",
}


def code_of(error: KafkaError) -> str:
    return str(error.name())


def translate(error: KafkaError | KafkaException, context: str = "", *, fatal: bool | None = None) -> ClientError:
    """Our exception for one of theirs.

    Args:
        error: Theirs.
        context: What was tried.
        fatal: Whether the client can't go on, if the caller knows better than the error.
    """
    if isinstance(error, KafkaException):
        first = error.args[0] if error.args else None
        if not isinstance(first, KafkaError):
            return ClientError("_FAIL", _text(context, str(error)))
        error = first
    code = code_of(error)
    kind = CLASSES.get(code, ClientError)
    text = _text(context, error.str() or code)
    if kind in REMEDIES:
        text = f"{text}; {REMEDIES[kind]}"
    is_fatal = error.fatal() if fatal is None else fatal
    return kind(code, text, fatal=is_fatal, retriable=error.retriable())


def not_assigned(what: str, partitions: object) -> ClientError:
    """Refuses a request for partitions that are not ours."""
    return ClientError(NOT_ASSIGNED, f"{what} of {partitions}: not assigned to this member (any more)")


def closed(what: str) -> ClientError:
    """Answers a request that outlived its client."""
    return ClientError(CLOSED, f"{what}: the client was closed before there was an answer")


def _text(context: str, text: str) -> str:
    return f"{context}: {text}" if context else text
