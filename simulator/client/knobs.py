"""librdkafka's settings as the simulated client reads them: the one place for their defaults.

Of what is not listed nothing is read. Where a default differs from librdkafka's, it is because virtual time is paid
for: a world lasts some ten seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from trio_consumer.client.settings import max_poll_interval_seconds

MILLISECONDS: Mapping[str, tuple[str, int]] = {
    "session_timeout": ("session.timeout.ms", 45_000),
    "heartbeat_interval": ("heartbeat.interval.ms", 3_000),
    "socket_timeout": ("socket.timeout.ms", 60_000),
    "fetch_wait": ("fetch.wait.max.ms", 500),
    "fetch_backoff": ("fetch.error.backoff.ms", 500),
    "retry_backoff": ("retry.backoff.ms", 100),
    "retry_backoff_max": ("retry.backoff.max.ms", 1_000),
    "metadata_interval": ("topic.metadata.refresh.interval.ms", 5_000),  # librdkafka: 300,000
}
"""By name of the knob: the setting, and its default."""
FETCH_RECORDS_MAX = 200
"""Records in one answer to a fetch. librdkafka counts bytes."""


@attrs.frozen(kw_only=True)
class Knobs:
    """Times in seconds."""

    group: str
    instance_id: str | None
    protocol: str
    topics: tuple[str, ...]
    offset_reset: str
    read_committed: bool
    queued_min: int
    max_poll_interval: float
    session_timeout: float
    heartbeat_interval: float
    socket_timeout: float
    fetch_wait: float
    fetch_backoff: float
    retry_backoff: float
    retry_backoff_max: float
    metadata_interval: float

    @property
    def incremental(self) -> bool:
        """Whether partitions come and go singly, and not all at once."""
        return self.protocol != "range"


def read(settings: Mapping[str, Any], topics: tuple[str, ...]) -> Knobs:
    """The knobs that these settings set."""
    if str(settings.get("group.protocol", "classic")).lower() == "consumer":
        protocol = "consumer"
    else:
        strategies = str(settings.get("partition.assignment.strategy", "range"))
        protocol = "cooperative-sticky" if strategies.strip().startswith("cooperative") else "range"
    times = {name: int(settings.get(setting, default)) / 1000 for name, (setting, default) in MILLISECONDS.items()}
    instance_id = settings.get("group.instance.id")
    return Knobs(
        group=str(settings["group.id"]),
        instance_id=None if instance_id is None else str(instance_id),
        protocol=protocol,
        topics=topics,
        offset_reset=_RESETS.get(str(settings.get("auto.offset.reset", "latest")), "error"),
        read_committed=str(settings.get("isolation.level", "read_committed")) == "read_committed",
        queued_min=int(settings.get("queued.min.messages", 100_000)),
        max_poll_interval=max_poll_interval_seconds(settings),
        **times,
    )


_RESETS = {
    "earliest": "earliest",
    "beginning": "earliest",
    "smallest": "earliest",
    "latest": "latest",
    "end": "latest",
    "largest": "latest",
}
