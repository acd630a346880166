"""Our own settings: one frozen, validated class, where each default stands once.

What librdkafka calls a setting is not here; see `trio_consumer.client.settings`.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Any, Literal, TypeAlias, TypedDict

import attrs

from .core.offset_map import CHARACTERS_MAX
from .core.retries import Backoff
from .errors import ConfigurationError
from .record import Partition, Record

OFFSET_MAP_CHARACTERS_MAX = 4095
"""What a real broker takes through this client: `offset.metadata.max.bytes` (4,096) less the NUL that it appends."""


class Order(enum.Enum):
    """Which records wait for each other. A lane has at most one record in flight and keeps offset order."""

    KEY = "key"
    """One lane for each key of each partition."""
    PARTITION = "partition"
    """One lane for each partition."""
    UNORDERED = "unordered"
    """No record waits for another."""


LaneFunction: TypeAlias = Callable[[Record], Hashable]
"""Names a record's lane within its partition from its undecoded key, value and headers; ``None`` is a null key."""

TenureHook: TypeAlias = Callable[[Partition], Awaitable[None]]
"""Called with the partition whose tenure starts or ends."""

Decoder: TypeAlias = Callable[[bytes], Any]


def _number(least: float, most: float = math.inf, *, whole: bool = False) -> Any:
    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        right = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not right or not least <= value <= most or value == math.inf:  # type: ignore[operator]
            kind = "a whole number" if whole else "a number"
            bound = f"of at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
            raise ConfigurationError(f"{attribute.name}={value!r}: give {kind} {bound}")

    return check


def _callable(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not callable(value):
        raise ConfigurationError(f"{attribute.name}={value!r}: give a function or None")


def _one_of(*values: object) -> Any:
    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value not in values:
            raise ConfigurationError(f"{attribute.name}={value!r}: give one of {', '.join(map(repr, values))}")

    return check


def _order(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, Order) and not callable(value):
        raise ConfigurationError(f"order={value!r}: give an Order or a function from a record to its lane")


def _attempts(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise ConfigurationError(f"attempts={value!r}: give at least 1 (no retries), or None for no limit")


def _backoff(value: object) -> Backoff:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Backoff(first=value, factor=1, limit=max(value, 30), jitter=0)
    if not isinstance(value, Backoff):
        raise ConfigurationError(f"backoff={value!r}: give a Backoff or a number of seconds")
    return value


@attrs.frozen(kw_only=True)
class ConsumerConfig:
    """Everything that ``open_consumer`` takes besides librdkafka's settings and the topics.

    Args:
        order: Which records wait for each other; or a function that names a record's lane.
        null_key: What `Order.KEY` does with records without a key: ``"unordered"``, or ``"partition"``, where all of a
            partition's share one lane.
        concurrency: Handlers in flight at once, at most.
        attempts: How often a record is tried before it is exhausted; ``None`` for no limit.
        backoff: The pause before the next attempt; a number is a fixed pause in seconds.
        exhausted: What becomes of a record whose attempts are exhausted: ``"halt"`` raises `HandlerFailed` from
            ``run``; ``"skip"`` counts it, logs it and goes on as if it had been handled.
        decode_key: Called inside the attempt with the key's bytes; an exception fails the record.
        decode_value: Called inside the attempt with the value's bytes; an exception fails the record.
        commit_interval: Seconds between commits, at most, while there is something new to commit.
        commit_count: Records resolved since the last commit that make a commit due before its interval is over.
        grace: Seconds that running handlers get to finish before they are cancelled, on a revoke and on a halt.
        revoke_deadline: Seconds after which a revoke has ended, handlers and commit included. Below half of
            ``max.poll.interval.ms``.
        stop_deadline: Seconds for the last commit on drain, halt and cancellation.
        queued_records_max: Records that wait for a handler, in total.
        queued_records_max_per_partition: Records that wait for a handler, in one partition (plus the batches on
            their way).
        queued_bytes_max: Bytes of keys and values that wait for a handler, in total (plus the batches on their way).
        queued_bytes_max_per_partition: The same for one partition.
        offset_map_characters_max: Limit of the offset map in a commit's metadata. Raise it only with the broker's
            ``offset.metadata.max.bytes``; 0 commits plain offsets.
        tenure_start: Awaited with the partition before its first record is handled.
        tenure_end: Awaited with the partition after its last handler has ended, and before the commit of a revoke.
    """

    order: Order | LaneFunction = attrs.field(default=Order.KEY, validator=_order)
    null_key: Literal["unordered", "partition"] = attrs.field(
        default="unordered", validator=_one_of("unordered", "partition")
    )
    concurrency: int = attrs.field(default=256, validator=_number(1, whole=True))
    attempts: int | None = attrs.field(default=5, validator=_attempts)
    backoff: Backoff = attrs.field(factory=Backoff, converter=_backoff)
    exhausted: Literal["halt", "skip"] = attrs.field(default="halt", validator=_one_of("halt", "skip"))
    decode_key: Decoder | None = attrs.field(default=None, validator=_callable)
    decode_value: Decoder | None = attrs.field(default=None, validator=_callable)
    commit_interval: float = attrs.field(default=0.5, validator=_number(0.001))
    commit_count: int = attrs.field(default=50_000, validator=_number(1, whole=True))
    grace: float = attrs.field(default=5.0, validator=_number(0))
    revoke_deadline: float = attrs.field(default=20.0, validator=_number(0.001))
    stop_deadline: float = attrs.field(default=10.0, validator=_number(0))
    # Two batches, of one record at least, can be on their way.
    queued_records_max: int = attrs.field(default=100_000, validator=_number(2, whole=True))
    queued_records_max_per_partition: int = attrs.field(default=10_000, validator=_number(1, whole=True))
    queued_bytes_max: int = attrs.field(default=256 * 2**20, validator=_number(1, whole=True))
    queued_bytes_max_per_partition: int = attrs.field(default=64 * 2**20, validator=_number(1, whole=True))
    offset_map_characters_max: int = attrs.field(
        default=OFFSET_MAP_CHARACTERS_MAX, validator=_number(0, CHARACTERS_MAX, whole=True)
    )
    tenure_start: TenureHook | None = attrs.field(default=None, validator=_callable)
    tenure_end: TenureHook | None = attrs.field(default=None, validator=_callable)

    def __attrs_post_init__(self) -> None:
        if self.grace > self.revoke_deadline / 2:
            raise ConfigurationError(
                f"grace={self.grace:g} s is longer than half of revoke_deadline={self.revoke_deadline:g} s: the rest "
                "of the deadline is for cancelled handlers, hooks and the commit; lower the first or raise the second"
            )

    def check_poll_interval(self, seconds: float) -> None:
        """Raises `ConfigurationError` where a revoke could outlast the client's ``max.poll.interval.ms``."""
        if not self.revoke_deadline < seconds / 2:
            raise ConfigurationError(
                f"revoke_deadline={self.revoke_deadline:g} s must be below half of max.poll.interval.ms="
                f"{seconds * 1000:.0f}, as nothing polls during a revoke: lower the first or raise the second"
            )


class ConsumerOptions(TypedDict, total=False):
    """The keyword arguments of ``open_consumer``: the fields of `ConsumerConfig`, for type checkers."""

    order: Order | LaneFunction
    null_key: Literal["unordered", "partition"]
    concurrency: int
    attempts: int | None
    backoff: Backoff | float
    exhausted: Literal["halt", "skip"]
    decode_key: Decoder | None
    decode_value: Decoder | None
    commit_interval: float
    commit_count: int
    grace: float
    revoke_deadline: float
    stop_deadline: float
    queued_records_max: int
    queued_records_max_per_partition: int
    queued_bytes_max: int
    queued_bytes_max_per_partition: int
    offset_map_characters_max: int
    tenure_start: TenureHook | None
    tenure_end: TenureHook | None


def gather(options: Mapping[str, Any]) -> ConsumerConfig:
    """Our keyword arguments as one validated object.

    Raises:
        ConfigurationError: An option is unknown or its value is wrong.
    """
    known = {field.name for field in attrs.fields(ConsumerConfig)}
    for name in options:
        if name not in known:
            raise ConfigurationError(
                f"{name}={options[name]!r}: no such option; there are {', '.join(sorted(known))}. "
                "librdkafka's settings go into the first argument, by their own names"
            )
    return ConsumerConfig(**options)
