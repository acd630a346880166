"""Errors as the real adapter raises them: librdkafka's code, through the adapter's own translation."""

from __future__ import annotations

from collections.abc import Mapping

from confluent_kafka import KafkaError

from trio_consumer import ClientError, Partition
from trio_consumer.client.port import Commit
from trio_consumer.client.translation import DEAD, translate

CLIENT_NAMES = {"UNKNOWN_SERVER_ERROR": "UNKNOWN"}
"""Where confluent-kafka has another name for one of Kafka's errors."""

_made: dict[str, KafkaError] = {}


def error_of(code: str, context: str = "", *, behind: str = "", fatal: bool | None = None) -> ClientError:
    """The exception for one of Kafka's or librdkafka's codes.

    Args:
        code: Its name.
        context: What was tried, or where.
        behind: For ``_FATAL``: the code of the reason.
        fatal: Whether the client can't go on, if that is known better than by the code.
    """
    if behind and code == DEAD:
        reason = KafkaError(getattr(KafkaError, behind)).str()
        return translate(KafkaError(KafkaError._FATAL, f"Fatal error: {reason}"), context, fatal=fatal)
    error = _made.get(code)
    if error is None:
        error = _made[code] = KafkaError(getattr(KafkaError, CLIENT_NAMES.get(code, code)))
    return translate(error, context, fatal=fatal)


def commit_error(code: str, errors: Mapping[Partition, str], offsets: Mapping[Partition, Commit]) -> ClientError | None:
    """The one error of a commit: of the whole, or of its first partition that has one."""
    code = code or next((errors[partition] for partition in offsets if errors.get(partition)), "")
    if not code:
        return None
    names = [f"{partition}@{one.offset}" for partition, one in offsets.items()]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return error_of(code, f"commit of {', '.join(names[:3])}{more}")
