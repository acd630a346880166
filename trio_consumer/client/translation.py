"""From confluent-kafka's errors to ours, by one table. The only place that knows their numbers and names.

An error keeps its own name as ``code``. What is fatal is librdkafka's word, and what the table `FATAL` adds to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from confluent_kafka import KafkaError, KafkaException

from ..errors import AuthenticationFailed, AuthorizationFailed, ClientError, Fenced, UnknownTopic
from ..record import Partition


def code_of(error: KafkaError) -> str:
    return str(error.name())


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

DEAD = "_FATAL"
"""librdkafka's code for: this client can't go on. The error says so by this code only; its ``fatal()`` is false."""

BEHIND_DEAD = tuple(
    (code_of(error), error.str())
    for error in map(
        KafkaError,
        (
            KafkaError.FENCED_INSTANCE_ID,
            KafkaError.UNRELEASED_INSTANCE_ID,
            KafkaError.FENCED_MEMBER_EPOCH,
            KafkaError.GROUP_AUTHORIZATION_FAILED,
            KafkaError.UNSUPPORTED_ASSIGNOR,
            KafkaError.GROUP_MAX_SIZE_REACHED,
            KafkaError.INVALID_REQUEST,
        ),
    )
)
"""Errors that make a client dead, and librdkafka's text for each: the reason is only told in the text."""

FATAL: Mapping[str, str] = {
    DEAD: "librdkafka's word",
    "_AUTO_OFFSET_RESET": "auto.offset.reset=error, and the partition is silent from then on",
    "TOPIC_AUTHORIZATION_FAILED": "nothing of the topic can be read",
    "GROUP_AUTHORIZATION_FAILED": "the group can't be joined",
    "INCONSISTENT_GROUP_PROTOCOL": "the group can't be joined",
    "INVALID_SESSION_TIMEOUT": "the group can't be joined",
    "INVALID_GROUP_ID": "the group can't be joined",
    "UNSUPPORTED_ASSIGNOR": "the group can't be joined",
}
"""Errors that librdkafka calls transient and repeats for ever, and why the consumer ends all the same."""

REMEDIES: Mapping[type[ClientError], str] = {
    AuthenticationFailed: "check security.protocol and the sasl.* and ssl.* settings",
    AuthorizationFailed: "let this principal read the topic and the group (ACLs of the broker)",
    Fenced: "give every running consumer a group.instance.id of its own",
}


def translate(error: KafkaError | KafkaException, context: str = "", *, fatal: bool | None = None) -> ClientError:
    """Our exception for one of theirs.

    Args:
        error: Theirs.
        context: What was tried.
        fatal: Whether the client can't go on, if the caller knows better than the error.
    """
    if isinstance(error, KafkaException):
        # What it carries is one of theirs, except when the binding itself fails.
        first = error.args[0] if error.args else None
        if not isinstance(first, KafkaError):
            return ClientError("_FAIL", _text(context, str(error)))
        error = first
    code, reason = code_of(error), error.str()
    is_fatal = (error.fatal() or code in FATAL) if fatal is None else fatal
    if code == DEAD:
        code, reason = next(((name, text) for name, text in BEHIND_DEAD if text in reason), (code, reason))
    kind = CLASSES.get(code, ClientError)
    text = _text(context, reason or code)
    if kind in REMEDIES:
        text = f"{text}; {REMEDIES[kind]}"
    return kind(code, text, fatal=is_fatal, retriable=error.retriable())


def not_assigned(what: str, partitions: Iterable[Partition]) -> ClientError:
    """Refuses a request for partitions that are not ours."""
    names = ", ".join(map(str, partitions))
    return ClientError(NOT_ASSIGNED, f"{what} of {names}: not assigned to this member, or not any more")


def closed(what: str) -> ClientError:
    """Answers a request that outlived its client."""
    return ClientError(CLOSED, f"{what}: the client was closed before there was an answer")


def _text(context: str, text: str) -> str:
    return f"{context}: {text}" if context else text
