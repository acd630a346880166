"""Every exception that the library raises. The type tells whose act it was.

========================  =======================================================
caller                    `ConfigurationError`, `StateError`
the caller's callbacks    `CallbackFailed`
handler                   `HandlerFailed`
broker or client          `ClientError` and its subclasses
our bug                   `InternalError`
========================  =======================================================
"""

from __future__ import annotations

from .record import Partition


class TrioConsumerError(Exception):
    """Base of all exceptions of this library."""


class ConfigurationError(TrioConsumerError, ValueError):
    """A setting is wrong. The message names it, its value and the remedy."""


class StateError(TrioConsumerError, RuntimeError):
    """The consumer was used out of order, for instance `run` was called a second time."""


class CallbackFailed(TrioConsumerError):
    """A callback or hook of the caller's raised; the cause is its exception.

    Attributes:
        name: The setting or argument that holds it, for instance ``stats_cb``.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} raised an exception; see its cause")
        self.name = name


class HandlerFailed(TrioConsumerError):
    """A record's attempts are exhausted and the consumer was told to halt; the cause is the handler's exception.

    The record is not committed: it is the first one handled again after a restart.

    Attributes:
        partition: Where the record is.
        offset: Its offset.
        attempts: How many times it was tried.
        others: Failures of other records that came up before everything had stopped.
    """

    def __init__(
        self,
        partition: Partition,
        offset: int,
        attempts: int,
        error: BaseException,
        others: tuple[HandlerFailed, ...] = (),
    ) -> None:
        tries = "1 attempt" if attempts == 1 else f"{attempts} attempts"
        also = f" (and {len(others)} more: see .others)" if others else ""
        super().__init__(f"handling {partition}@{offset} failed after {tries}: {type(error).__name__}: {error}{also}")
        self.partition = partition
        self.offset = offset
        self.attempts = attempts
        self.others = others


class ClientError(TrioConsumerError):
    """The broker, or the client on its behalf, reports an error.

    Attributes:
        code: Kafka's or librdkafka's name of the error, for instance ``ILLEGAL_GENERATION`` or ``_TRANSPORT``.
        fatal: True if this client can't go on.
        retriable: True if the same request may succeed later.
    """

    def __init__(self, code: str, message: str, *, fatal: bool = False, retriable: bool = False) -> None:
        super().__init__(f"{message} [{code}]")
        self.code = code
        self.fatal = fatal
        self.retriable = retriable


class AuthenticationFailed(ClientError):
    """The broker refused our credentials, or TLS could not be agreed on."""


class AuthorizationFailed(ClientError):
    """The broker knows us and does not allow this."""


class BrokerUnreachable(ClientError):
    """No broker answered at start."""


class UnknownTopic(ClientError):
    """A topic of the subscription does not exist."""


class Fenced(ClientError):
    """Another consumer took over this member's identity (``group.instance.id``), or the broker fenced it."""


class InternalError(TrioConsumerError):
    """A bug of this library. Please report it."""
