"""The brokers: who answers what, the topics, and the levers by which others change them.

`Cluster.serve` is the one way in for requests, as over a connection to one node (``KafkaApis``). Groups are the
coordinator's, fetches are `Fetching`'s, a partition is a `Replica`. All nodes know the same metadata at the same
instant; clients do not.

The levers are for workloads, the nemesis and scripted scenarios. Each checks its arguments, acts at once, and tells the
history. An access rule (`deny`) belongs to the name of a topic, so it outlives the topic, as in Kafka.

Not modelled: followers as such (there is one log, and a high watermark that comes after), fetching from followers
(KIP-392), fetch sessions (KIP-227), sizes in bytes, log segments and their times, deduplication of producers, nodes
whose metadata lags behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias, cast

import attrs

from trio_consumer import ConfigurationError, Partition
from trio_consumer.record import Headers

from ..faults.faults import Faults
from ..runtime.clock import VirtualClock
from ..runtime.dice import Dice
from ..world.history import CommitRefused, History, TopicCreated, TopicDeleted
from .coordinator import Coordinator
from .fetching import Fetching, listed
from .log import Entry, Log
from .replica import Replica, Surroundings, Transaction
from .requests import (
    GROUP_REQUESTS,
    ConsumerGroupHeartbeat,
    ConsumerGroupHeartbeatResponse,
    Fetch,
    FindCoordinator,
    FoundCoordinator,
    Heartbeat,
    HeartbeatResponse,
    JoinedGroup,
    JoinGroup,
    LeaveGroup,
    LeftGroup,
    ListOffsets,
    Metadata,
    MetadataResponse,
    Node,
    OffsetCommit,
    OffsetCommitted,
    OffsetFetch,
    OffsetFetched,
    Request,
    Response,
    SyncedGroup,
    SyncGroup,
    TopicMetadata,
)

Reply: TypeAlias = Callable[[Response], None]


@attrs.frozen
class Topic:
    """One life of a topic."""

    topic_id: int
    replicas: list[Replica]


class Cluster:
    """See the module.

    Args:
        clock: Virtual time.
        dice: What is left to chance: replication, elections, what a fault does in particular.
        faults: Asked where a point fault could happen.
        history: Is told of every change.
        nodes: How many brokers there are.
        version: Of the brokers.

    Attributes:
        nodes: The brokers, from 1.
        coordinator: Of all groups.
    """

    def __init__(
        self,
        clock: VirtualClock,
        dice: Dice,
        faults: Faults,
        history: History,
        *,
        nodes: int = 3,
        version: str = "4.3",
    ) -> None:
        if nodes < 1:
            raise ConfigurationError(f"nodes={nodes}: a cluster needs at least one broker")
        self.nodes: tuple[Node, ...] = tuple(range(1, nodes + 1))
        self._history = history
        self._faults = faults
        self._surroundings = Surroundings(clock, dice.split("log"), history, self.nodes)
        self._topics: dict[str, Topic] = {}
        self._replicas: dict[Partition, Replica] = {}
        self._topic_ids = 0
        self._denied: dict[str, bool] = {}  # by topic: whether its existence is hidden too
        self._denied_groups: dict[str, None] = {}
        self._fetching = Fetching(clock, dice.split("fetch"), faults, self._replicas.get, self._denied)
        self.coordinator = Coordinator(
            clock,
            dice.split("coordinator"),
            faults,
            history,
            nodes=self.nodes,
            topics=self._counts,
            version=version,
        )
        self._serving: Mapping[type, Callable[[Node, str, Request, Reply], None]] = {
            Fetch: cast("Callable[[Node, str, Request, Reply], None]", self._fetching.fetch),
            ListOffsets: self._list_offsets,
            Metadata: self._metadata,
            FindCoordinator: self._find_coordinator,
            **dict.fromkeys(GROUP_REQUESTS, self._group),
        }

    def _counts(self) -> dict[str, int]:
        return {name: len(topic.replicas) for name, topic in self._topics.items()}

    # Requests

    def serve(self, node: Node, process: str, request: Request, reply: Reply) -> None:
        """A request arrives at a node. ``reply`` is called once, now or later.

        Raises:
            TypeError: No broker serves it.
        """
        serving = self._serving.get(type(request))
        if serving is None:
            raise TypeError(
                f"{type(request).__name__} is no request that a broker serves: see simulator.kafka.requests"
            )
        serving(node, process, request, reply)

    def _list_offsets(self, node: Node, process: str, request: Request, reply: Reply) -> None:
        request = cast(ListOffsets, request)
        reply(listed(node, request, self._replicas.get(request.partition), self._denied))

    def _metadata(self, node: Node, process: str, request: Request, reply: Reply) -> None:
        asked = cast(Metadata, request).topics
        if asked is None:
            asked = tuple(topic for topic in self._topics if not self._denied.get(topic))
        reply(MetadataResponse({topic: self._described(topic) for topic in asked}))

    def _described(self, name: str) -> TopicMetadata:
        topic = self._topics.get(name)
        if self._denied.get(name):
            return TopicMetadata("TOPIC_AUTHORIZATION_FAILED")
        if topic is None:
            return TopicMetadata("UNKNOWN_TOPIC_OR_PART")
        return TopicMetadata(
            "",
            topic.topic_id,
            tuple([replica.leader for replica in topic.replicas]),
            tuple([replica.epoch for replica in topic.replicas]),
        )

    def _find_coordinator(self, node: Node, process: str, request: Request, reply: Reply) -> None:
        group = cast(FindCoordinator, request).group
        if group in self._denied_groups:
            reply(FoundCoordinator("GROUP_AUTHORIZATION_FAILED"))
            return
        found = self.coordinator.node_of(group)
        reply(FoundCoordinator("COORDINATOR_NOT_AVAILABLE") if found is None else FoundCoordinator("", found))

    def _group(self, node: Node, process: str, request: Request, reply: Reply) -> None:
        group = request.group  # type: ignore[union-attr]
        if group in self._denied_groups:
            self._refuse(process, request, "GROUP_AUTHORIZATION_FAILED", reply)
        elif self.coordinator.node_of(group) not in (node, None):  # an unavailable coordinator says so itself
            self._refuse(process, request, "NOT_COORDINATOR", reply)
        elif self._denied and type(request) is OffsetCommit:
            self._commit_allowed(process, request, reply)
        else:
            self.coordinator.handle(process, request, reply)

    def _refuse(self, process: str, request: Request, error: str, reply: Reply) -> None:
        if isinstance(request, OffsetCommit):
            reply(OffsetCommitted(self._refuse_commit(process, request, error, tuple(request.offsets))))
        else:
            reply(_REFUSALS[type(request)](error))

    def _refuse_commit(
        self, process: str, request: OffsetCommit, error: str, partitions: tuple[Partition, ...]
    ) -> dict[Partition, str]:
        for partition in partitions:
            self._history.add(CommitRefused(process, request.number, request.group, partition, error))
        return dict.fromkeys(partitions, error)

    def _commit_allowed(self, process: str, request: OffsetCommit, reply: Reply) -> None:
        """Committing needs the right to read: what is denied is refused before the coordinator sees the rest."""
        denied = tuple(partition for partition in request.offsets if partition.topic in self._denied)
        errors = self._refuse_commit(process, request, "TOPIC_AUTHORIZATION_FAILED", denied)
        rest = {partition: commit for partition, commit in request.offsets.items() if partition not in errors}
        if rest or not errors:

            def merged(response: Response) -> None:
                reply(OffsetCommitted({**errors, **cast(OffsetCommitted, response).errors}))

            self.coordinator.handle(process, attrs.evolve(request, offsets=rest), merged)
        else:
            reply(OffsetCommitted(errors))

    # Levers: topics

    def create_topic(self, topic: str, partitions: int) -> None:
        """A new topic."""
        if topic in self._topics:
            raise ConfigurationError(f"topic {topic!r} exists already: delete_topic() or add_partitions()")
        if not topic or partitions < 1:
            raise ConfigurationError(f"topic {topic!r} with {partitions} partitions: give a name, and at least 1")
        self._topic_ids += 1
        self._topics[topic] = Topic(self._topic_ids, [])
        self._grow(topic, partitions)

    def add_partitions(self, topic: str, total: int) -> None:
        """The topic has so many partitions from now on."""
        count = len(self._topic(topic).replicas)
        if total <= count:
            raise ConfigurationError(f"{topic!r} has {count} partitions, and partitions only grow: total={total}")
        self._grow(topic, total)

    def _grow(self, topic: str, total: int) -> None:
        replicas = self._topics[topic].replicas
        for number in range(len(replicas), total):
            partition = Partition(topic, number)
            leader = self.nodes[number % len(self.nodes)]
            self._replicas[partition] = replica = Replica(partition, leader, self._surroundings)
            replicas.append(replica)
        self._history.add(TopicCreated(topic, self._topics[topic].topic_id, total))
        self.coordinator.topics_changed()

    def delete_topic(self, topic: str) -> None:
        """The topic, its records and its committed offsets are gone."""
        replicas = self._topic(topic).replicas
        del self._topics[topic]
        for replica in replicas:
            del self._replicas[replica.partition]
        self._history.add(TopicDeleted(topic))
        self.coordinator.topics_changed()
        for replica in replicas:
            replica.delete()

    def recreate_topic(self, topic: str) -> None:
        """Deleted, and at once created again under its name, with as many partitions: another topic id, empty logs."""
        partitions = len(self._topic(topic).replicas)
        self.delete_topic(topic)
        self.create_topic(topic, partitions)

    def deny(self, topic: str, *, describe: bool = False) -> None:
        """Nobody may read the topic, nor commit for it.

        Args:
            topic: Its name; it need not exist.
            describe: True if nobody may know of it either: metadata is refused too.
        """
        self._denied[topic] = describe
        self._wake(topic)

    def allow(self, topic: str) -> None:
        """Everybody may read it again."""
        self._denied.pop(topic, None)

    def deny_group(self, group: str) -> None:
        """Nobody may be a member of the group, nor read or commit its offsets, nor find its coordinator."""
        self._denied_groups[group] = None

    def allow_group(self, group: str) -> None:
        """Everybody may again."""
        self._denied_groups.pop(group, None)

    def _wake(self, topic: str) -> None:
        if topic in self._topics:
            for replica in self._topics[topic].replicas:
                replica.wake()

    # Levers: logs

    def append(
        self,
        partition: Partition,
        key: bytes | None,
        value: bytes | None,
        *,
        headers: Headers | None = None,
        timestamp: int | None = None,
    ) -> int:
        """A producer's record. Returns its offset.

        A producer without idempotence may append it twice (``duplicate-append``); it is told of the second one only,
        whose answer arrived.
        """
        replica = self._replica(partition)
        offset = replica.append(key, value, headers, timestamp)
        if self._faults.fires("duplicate-append"):
            offset = replica.append(key, value, headers, timestamp)
        return offset

    def begin_transaction(self, partition: Partition) -> Transaction:
        """A producer's transaction."""
        return Transaction(self._replica(partition))

    def move_leader(self, partition: Partition, node: Node | None = None) -> None:
        """Another leader, and a new leader epoch.

        Args:
            partition: Which one.
            node: The new leader, at once; by ``None`` the dice choose, there may be none for a while, and it may know
                an older high watermark.
        """
        if node is not None and node not in self.nodes:
            raise ConfigurationError(f"node={node}: the brokers are {', '.join(map(str, self.nodes))}")
        self._replica(partition).move(node)

    def truncate(self, partition: Partition, end: int) -> None:
        """Unclean leader election: entries from this offset on are gone, and the offsets are used again."""
        replica = self._replica(partition)
        if not replica.log.start <= end <= replica.log.end:
            raise ConfigurationError(f"end={end}: {partition} goes from {replica.log.start} to {replica.log.end}")
        replica.truncate(end)

    def retain(self, partition: Partition, start: int) -> None:
        """Retention or DeleteRecords: entries below are gone."""
        replica = self._replica(partition)
        log = replica.log
        if not log.start <= start <= log.high_watermark:
            raise ConfigurationError(
                f"start={start}: {partition} can be cut from {log.start} to its high watermark {log.high_watermark}"
            )
        replica.retain(start)

    def compact(self, partition: Partition, *, horizon: bool | None = None) -> None:
        """Only the last record of each key is left.

        Args:
            partition: Which one.
            horizon: Whether tombstones and needless markers go too; by ``None`` the dice decide.
        """
        self._replica(partition).compact(horizon)

    # What others may know

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has; 0 if it does not exist."""
        found = self._topics.get(topic)
        return 0 if found is None else len(found.replicas)

    def end(self, partition: Partition) -> int:
        """The offset of the next entry."""
        return self._replica(partition).log.end

    def log(self, partition: Partition) -> Log:
        """To look at, not to change."""
        return self._replica(partition).log

    def leader(self, partition: Partition) -> Node:
        """The node that leads it; -1 while there is none."""
        return self._replica(partition).leader

    def visible(self, partition: Partition, read_committed: bool = True) -> list[Entry]:
        """The records that a consumer may be given now."""
        return self._replica(partition).log.visible(read_committed)

    def _topic(self, topic: str) -> Topic:
        found = self._topics.get(topic)
        if found is None:
            raise ConfigurationError(f"there is no topic {topic!r}: there are {', '.join(self._topics) or 'none'}")
        return found

    def _replica(self, partition: Partition) -> Replica:
        found = self._replicas.get(partition)
        if found is None:
            count = len(self._topic(partition.topic).replicas)
            raise ConfigurationError(
                f"there is no {partition}: {partition.topic!r} has the partitions 0 to {count - 1}"
            )
        return found


_REFUSALS: Mapping[type, Callable[[str], Response]] = {
    JoinGroup: JoinedGroup,
    SyncGroup: SyncedGroup,
    Heartbeat: HeartbeatResponse,
    LeaveGroup: LeftGroup,
    ConsumerGroupHeartbeat: ConsumerGroupHeartbeatResponse,
    OffsetFetch: OffsetFetched,
}
"""The answer to each request of a group that takes an error for all of it."""
