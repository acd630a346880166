"""librdkafka's settings: what we refuse, what we set where the user said nothing, and what may be logged.

Decides on the mapping alone, by two tables: `REFUSED` and `CHANGED_DEFAULTS`. A user's own value always wins over a
changed default. Whatever is not listed passes through unseen: librdkafka knows its settings, and says when one is
wrong. `prepare` of what `prepare` returned changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from ..errors import ConfigurationError

MAX_POLL_INTERVAL_MS = 300_000
"""librdkafka's default of ``max.poll.interval.ms``."""

ALIASES: Mapping[str, str] = {"metadata.broker.list": "bootstrap.servers"}
"""Other names that librdkafka takes for a setting that we read."""


@attrs.frozen
class Changed:
    """A default of ours where librdkafka has another.

    Args:
        value: Ours.
        theirs: librdkafka's.
        reason: Why.
    """

    value: Any
    theirs: Any
    reason: str


CHANGED_DEFAULTS: Mapping[str, Changed] = {
    "enable.auto.commit": Changed(
        False, True, "offsets are committed when their records are done, not when they were fetched"
    ),
    "enable.auto.offset.store": Changed(
        False, True, "the client's own idea of what is done is never used, so it need not keep one"
    ),
    "auto.offset.reset": Changed(
        "earliest",
        "largest",
        "`largest` skips without a word what was produced before the first commit, or while the committed offset fell "
        "out of the log; nothing is lost silently",
    ),
    "enable.partition.eof": Changed(
        True,
        False,
        "only so does the client tell where it stands in a partition that has no records for it; that place is "
        "committed, so that `auto.offset.reset` applies to the first start only",
    ),
    "fetch.queue.backoff.ms": Changed(
        10,
        1000,
        "fetching stops for this long whenever the client's queue has once been full: 1,230,000 instead of 180,000 "
        "records/s in a bare loop over 1,000,000 records of 100 bytes",
    ),
}
"""What `prepare` adds where the user gave no value."""


def _never(value: object) -> bool:
    return False


def _is_off(value: object) -> bool:
    return value is False or (isinstance(value, str) and value.strip().lower() in ("false", "f", "0"))


def is_on(value: object) -> bool:
    """How librdkafka reads a boolean."""
    return value is True or (isinstance(value, str) and value.strip().lower() in ("true", "t", "1"))


def _is_none(value: object) -> bool:
    return value is None


@attrs.frozen
class Refused:
    """A setting that would break a promise, or that nothing would read.

    Args:
        reason: Why, and what to do instead.
        unless: Values for which it is allowed.
        with_: Refused only together with this setting and value.
    """

    reason: str
    unless: Callable[[object], bool] = _never
    with_: tuple[str, str] | None = None


_BY_THE_BROKER = "with group.protocol=consumer the broker decides it: remove it, and set {} there"
_KIP_848 = ("group.protocol", "consumer")

REFUSED: Mapping[str, Refused] = {
    "enable.auto.commit": Refused(
        "it would commit records that are not handled yet: remove it; see commit_interval", unless=_is_off
    ),
    "enable.auto.offset.store": Refused(
        "it would mark records as done when they are fetched: remove it", unless=_is_off
    ),
    "auto.commit.interval.ms": Refused("nothing reads it: remove it; commit_interval is in seconds"),
    "enable.partition.eof": Refused(
        "only so does the client tell where it stands in a partition that has no records for it: remove it",
        unless=is_on,
    ),
    "on_commit": Refused(
        "the consumer needs this callback itself: remove it; statistics() tells of commits", unless=_is_none
    ),
    "partition.assignment.strategy": Refused(_BY_THE_BROKER.format("group.consumer.assignors"), with_=_KIP_848),
    "session.timeout.ms": Refused(_BY_THE_BROKER.format("group.consumer.session.timeout.ms"), with_=_KIP_848),
    "heartbeat.interval.ms": Refused(_BY_THE_BROKER.format("group.consumer.heartbeat.interval.ms"), with_=_KIP_848),
}
"""What `prepare` refuses."""

REQUIRED: Mapping[str, str] = {
    "bootstrap.servers": "name the brokers, for instance localhost:9092",
    "group.id": "name the consumer group; members with the same name share the topics",
}

_SECRET_PARTS = ("password", "secret", "passphrase", "token", "jaas", ".pem", "oauthbearer.config", "private.key")
_HIDDEN = "***"


def prepare(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Check the user's settings, and add our defaults.

    Raises:
        ConfigurationError: A setting is refused, or one that we need is missing.
    """
    for name in settings:
        if not isinstance(name, str):
            raise ConfigurationError(f"{name!r}: the name of a setting is text, for instance 'group.id'")
    prepared = dict(settings)
    for name, needed in REQUIRED.items():
        value = _find(prepared, name)
        if not isinstance(value, str) or not value.strip():
            raise ConfigurationError(f"{name}={value!r}: {needed}")
    for name, refused in REFUSED.items():
        if name not in prepared or refused.unless(prepared[name]):
            continue
        if refused.with_ is None or str(prepared.get(refused.with_[0])).lower() == refused.with_[1]:
            raise ConfigurationError(f"{name}={prepared[name]!r}: {refused.reason}")
    _as_milliseconds(prepared)
    given_by_topic = prepared.get("default.topic.config")
    for name, changed in CHANGED_DEFAULTS.items():
        if name not in prepared and not (isinstance(given_by_topic, Mapping) and name in given_by_topic):
            prepared[name] = changed.value
    return prepared


def max_poll_interval_seconds(settings: Mapping[str, Any]) -> float:
    """After how long without a poll the group takes this member's partitions away.

    Raises:
        ConfigurationError: ``max.poll.interval.ms`` is not a number.
    """
    return _as_milliseconds(settings) / 1000


def safe_to_log(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings, with stars for what is secret."""
    return {name: _HIDDEN if is_secret(name) else value for name, value in settings.items()}


def is_secret(name: str) -> bool:
    """Whether the value of this setting must not be seen."""
    lowered = name.lower()
    return any(part in lowered for part in _SECRET_PARTS)


def without_secrets(text: str, settings: Mapping[str, Any]) -> str:
    """A text of librdkafka's, with stars for every secret value that it may quote."""
    for name, value in settings.items():
        if is_secret(name) and isinstance(value, str) and value:
            text = text.replace(value, _HIDDEN)
    return text


def is_kip_848(settings: Mapping[str, Any]) -> bool:
    """Whether the group uses the new protocol."""
    name, value = _KIP_848
    return str(settings.get(name, "")).lower() == value


def _find(settings: Mapping[str, Any], name: str) -> object:
    if name in settings:
        return settings[name]
    return next((settings[alias] for alias, means in ALIASES.items() if means == name and alias in settings), None)


def _as_milliseconds(settings: Mapping[str, Any]) -> int:
    value = settings.get("max.poll.interval.ms", MAX_POLL_INTERVAL_MS)
    try:
        if isinstance(value, bool):
            raise TypeError
        milliseconds = int(value)
    except (TypeError, ValueError):
        milliseconds = 0
    if milliseconds < 1:
        raise ConfigurationError(f"max.poll.interval.ms={value!r}: give a whole number of milliseconds")
    return milliseconds
