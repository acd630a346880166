"""Requests and responses between clients and brokers: the part of Kafka's protocol that a consumer's fate hangs on.

Names and fields follow Kafka's own (https://kafka.apache.org/protocol). Errors are Kafka's names as text; ``""`` is
none. A response that never comes, or comes late, is the network's doing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import attrs

from trio_consumer import Partition
from trio_consumer.client.port import Commit, Committed

from .log import Entry

Node: TypeAlias = int
"""A broker."""


@attrs.frozen
class FindCoordinator:
    group: str


@attrs.frozen
class FoundCoordinator:
    error: str = ""
    node: Node = -1


@attrs.frozen
class Metadata:
    """Names of topics; the client matches regular expressions itself against all when ``topics`` is ``None``."""

    topics: tuple[str, ...] | None


@attrs.frozen
class TopicMetadata:
    """Args:
    error: ``UNKNOWN_TOPIC_OR_PART``, ``TOPIC_AUTHORIZATION_FAILED`` or ``""``.
    topic_id: Changes when the topic is created again.
    leaders: Node of each partition, by its number; -1 while there is none.
    leader_epochs: By number of the partition.
    """

    error: str = ""
    topic_id: int = -1
    leaders: tuple[Node, ...] = ()
    leader_epochs: tuple[int, ...] = ()


@attrs.frozen
class MetadataResponse:
    topics: Mapping[str, TopicMetadata]


@attrs.frozen
class JoinGroup:
    """Classic protocol. ``member_id`` is ``""`` at the first try. ``owned`` goes with cooperative-sticky only."""

    group: str
    member_id: str
    instance_id: str | None
    session_timeout: float
    rebalance_timeout: float
    protocol: str
    topics: tuple[str, ...]
    owned: tuple[Partition, ...] = ()
    generation: int = -1


@attrs.frozen
class JoinedGroup:
    """``members`` is told to the leader only: by member id its subscription, as it was in `JoinGroup`."""

    error: str = ""
    member_id: str = ""
    generation: int = -1
    leader: str = ""
    members: Mapping[str, JoinGroup] = attrs.field(factory=dict)


@attrs.frozen
class SyncGroup:
    """``assignments`` comes from the leader only."""

    group: str
    member_id: str
    instance_id: str | None
    generation: int
    assignments: Mapping[str, tuple[Partition, ...]] = attrs.field(factory=dict)


@attrs.frozen
class SyncedGroup:
    error: str = ""
    assignment: tuple[Partition, ...] = ()


@attrs.frozen
class Heartbeat:
    group: str
    member_id: str
    instance_id: str | None
    generation: int


@attrs.frozen
class HeartbeatResponse:
    error: str = ""


@attrs.frozen
class LeaveGroup:
    group: str
    member_id: str
    instance_id: str | None


@attrs.frozen
class LeftGroup:
    error: str = ""


@attrs.frozen
class ConsumerGroupHeartbeat:
    """KIP-848. ``member_epoch`` is 0 to join, -1 to leave, -2 for a static member that leaves for a while.

    ``owned`` is what the member holds, or ``None`` if that did not change since it last said so.
    """

    group: str
    member_id: str
    member_epoch: int
    instance_id: str | None
    rebalance_timeout: float
    topics: tuple[str, ...] | None
    owned: tuple[Partition, ...] | None


@attrs.frozen
class ConsumerGroupHeartbeatResponse:
    """``assignment`` is ``None`` if nothing changed for this member."""

    error: str = ""
    member_epoch: int = 0
    heartbeat_interval: float = 1.0
    assignment: tuple[Partition, ...] | None = None


@attrs.frozen
class OffsetCommit:
    """``generation`` is the member epoch under KIP-848, and -1 with an empty ``member_id`` for an outsider.

    ``number`` is no field of Kafka's: it ties the request to `history.CommitAsked`; 0 for what no consumer asked for.
    ``padding`` neither: characters that the client appends to each metadata, and takes away again when it reads it.
    librdkafka sends a NUL, so through it a broker takes one character less.
    """

    group: str
    member_id: str
    instance_id: str | None
    generation: int
    offsets: Mapping[Partition, Commit]
    number: int = 0
    padding: int = 0


@attrs.frozen
class OffsetCommitted:
    """An error for each partition; ``""`` where it was committed."""

    errors: Mapping[Partition, str]


@attrs.frozen
class OffsetFetch:
    group: str
    partitions: tuple[Partition, ...]
    member_id: str = ""
    member_epoch: int = -1


@attrs.frozen
class OffsetFetched:
    error: str = ""
    offsets: Mapping[Partition, Committed] = attrs.field(factory=dict)


@attrs.frozen
class FetchPartition:
    """Args:
    offset: Of the first entry that is wanted.
    leader_epoch: The current one, as the client knows it: a broker that knows another one refuses. -1 for no check.
    topic_id: As the client knows it.
    last_epoch: Leader epoch of the last entry that the client has read before ``offset``, or -1. A log that was
        truncated since is found out by it (KIP-320).
    """

    offset: int
    leader_epoch: int
    topic_id: int
    last_epoch: int = -1


@attrs.frozen
class Fetch:
    """Answered at once if there is something, or after ``wait`` seconds."""

    partitions: Mapping[Partition, FetchPartition]
    records_max: int
    wait: float
    read_committed: bool


@attrs.frozen
class FetchedPartition:
    """Args:
    error: ``OFFSET_OUT_OF_RANGE``, ``NOT_LEADER_OR_FOLLOWER``, ``FENCED_LEADER_EPOCH``, ``UNKNOWN_TOPIC_OR_PART``,
        ``UNKNOWN_TOPIC_ID``, ``TOPIC_AUTHORIZATION_FAILED``, ... or ``""``.
    entries: What the log holds from the offset asked for, control and aborted entries included: the client skips those.
    next_offset: Where the next fetch begins: past holes that this answer passed.
    high_watermark: One past the last entry that consumers may see.
    last_stable: The same under read_committed.
    log_start: First offset that the log still holds.
    diverging: Offset from which another log than the client's was written, found by its leader epoch; -1 if none.
    """

    error: str = ""
    entries: tuple[Entry, ...] = ()
    next_offset: int = -1
    high_watermark: int = -1
    last_stable: int = -1
    log_start: int = -1
    diverging: int = -1


@attrs.frozen
class Fetched:
    """Args:
    partitions: Each of the request; none if the fetch was throttled.
    throttle: The client shall send no fetch to this broker for so many seconds; it will not be read before.
    """

    partitions: Mapping[Partition, FetchedPartition]
    throttle: float = 0.0


@attrs.frozen
class ListOffsets:
    """Where the log begins or ends: ``earliest`` or ``latest``."""

    partition: Partition
    earliest: bool
    read_committed: bool


@attrs.frozen
class ListedOffsets:
    error: str = ""
    offset: int = -1
    leader_epoch: int = -1


Request: TypeAlias = (
    FindCoordinator
    | Metadata
    | JoinGroup
    | SyncGroup
    | Heartbeat
    | LeaveGroup
    | ConsumerGroupHeartbeat
    | OffsetCommit
    | OffsetFetch
    | Fetch
    | ListOffsets
)
Response: TypeAlias = (
    FoundCoordinator
    | MetadataResponse
    | JoinedGroup
    | SyncedGroup
    | HeartbeatResponse
    | LeftGroup
    | ConsumerGroupHeartbeatResponse
    | OffsetCommitted
    | OffsetFetched
    | Fetched
    | ListedOffsets
)
GROUP_REQUESTS = (JoinGroup, SyncGroup, Heartbeat, LeaveGroup, ConsumerGroupHeartbeat, OffsetCommit, OffsetFetch)
"""What only the group's coordinator answers; another node says NOT_COORDINATOR."""
