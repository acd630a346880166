"""Fetches: what a broker answers, and when.

Follows ``ReplicaManager.fetchMessages`` and ``DelayedFetch``: an answer goes out at once if it brings something or has
an error to tell; else the fetch waits in a purgatory, until something changes for one of its partitions or its time is
over. Checks each partition in the broker's order: authorization, existence, leadership, leader epoch (KIP-320), range,
divergence.

Topic ids are not compared. A broker does (KIP-516), but the client then only learns the new id and goes on at its old
position in the topic that was created again; so it was observed, and so it is here.

One timer per waiting fetch, none per record. Entries are handed out as they lie in the log.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeAlias

from trio_consumer import Partition

from ..faults.faults import Faults
from ..runtime.clock import Timer, VirtualClock
from ..runtime.dice import Dice
from .replica import Replica
from .requests import Fetch, Fetched, FetchedPartition, FetchPartition, ListedOffsets, ListOffsets, Node

Reply: TypeAlias = Callable[[Fetched], None]

SLOW_SECONDS = (0.05, 1.5)
THROTTLE_SECONDS = (0.1, 1.0)
REFUSALS = ("NOT_LEADER_OR_FOLLOWER", "LEADER_NOT_AVAILABLE", "KAFKA_STORAGE_ERROR", "OFFSET_NOT_AVAILABLE")


class _Waiting:
    """A fetch in the purgatory."""

    __slots__ = ("fetching", "limit", "node", "replicas", "reply", "request", "retry", "timer")

    def __init__(self, fetching: Fetching, node: Node, request: Fetch, reply: Reply, limit: int) -> None:
        self.fetching = fetching
        self.node = node
        self.request = request
        self.reply = reply
        self.limit = limit
        self.retry = self.look  # one bound method, so that it can be found again
        self.replicas: list[Replica] = []
        self.timer: Timer

    def look(self) -> None:
        """Something has changed."""
        answer = self.fetching.collect(self.node, self.request, self.limit)
        if answer is not None:
            self.timer.cancel()
            self._leave(answer)

    def expire(self) -> None:
        """Its time is over."""
        self._leave(self.fetching.nothing(self.node, self.request))

    def _leave(self, answer: Fetched) -> None:
        for replica in self.replicas:
            replica.waiting.remove(self.retry)
        self.reply(answer)


class Fetching:
    """See the module.

    Args:
        clock: For waiting.
        dice: What a fault does in particular.
        faults: Which fire.
        find: The partition, unless it does not exist.
        denied: Topics that nobody may read, at each moment.
    """

    def __init__(
        self,
        clock: VirtualClock,
        dice: Dice,
        faults: Faults,
        find: Callable[[Partition], Replica | None],
        denied: Collection[str],
    ) -> None:
        self._clock = clock
        self._dice = dice
        self._fires = faults.fires
        self._find = find
        self._denied = denied

    def fetch(self, node: Node, process: str, request: Fetch, reply: Reply) -> None:
        """Answer at once, or later."""
        fires = self._fires
        limit = request.records_max
        if fires("fetch-throttled", process):
            reply(Fetched({}, self._dice.uniform(*THROTTLE_SECONDS)))
            return
        if request.partitions and fires("fetch-error", process):
            reply(self._refused(node, request))
            return
        if fires("fetch-partial", process):
            limit = 1 + self._dice.below(max(1, min(limit, 20)))
        slow = fires("fetch-slow", process)
        answer = self.collect(node, request, limit)
        if answer is None and request.wait > 0:
            self._park(node, request, reply, limit)
            return
        answer = answer or self.nothing(node, request)
        if slow:
            self._clock.after(self._dice.uniform(*SLOW_SECONDS), reply, answer)
        else:
            reply(answer)

    def _refused(self, node: Node, request: Fetch) -> Fetched:
        """One partition is refused, and the others bring nothing."""
        answer = dict(self.nothing(node, request).partitions)
        answer[self._dice.choice(list(request.partitions))] = FetchedPartition(self._dice.choice(REFUSALS))
        return Fetched(answer)

    def _park(self, node: Node, request: Fetch, reply: Reply, limit: int) -> None:
        waiting = _Waiting(self, node, request, reply, limit)
        for partition in request.partitions:
            replica = self._find(partition)
            if replica is not None:
                replica.waiting.append(waiting.retry)
                waiting.replicas.append(replica)
        waiting.timer = self._clock.after(request.wait, waiting.expire)

    def collect(self, node: Node, request: Fetch, limit: int) -> Fetched | None:
        """The answer as of now; ``None`` if it would bring nothing: most looks end so, and build none."""
        find, read_committed = self._find, request.read_committed
        for partition, wanted in request.partitions.items():
            replica = find(partition)
            if replica is None or self._checked(node, partition, replica, wanted) is not None:
                return self._collect(node, request, limit)
            below = replica.log.last_stable if read_committed else replica.log.high_watermark
            if wanted.offset < below and replica.log.holds(wanted.offset, below):
                return self._collect(node, request, limit)
        return None

    def nothing(self, node: Node, request: Fetch) -> Fetched:
        """The answer without entries."""
        return self._collect(node, request, 0)

    def _collect(self, node: Node, request: Fetch, limit: int) -> Fetched:
        """The answer for all partitions, also those that bring nothing: no incremental fetches (KIP-227)."""
        found: dict[Partition, FetchedPartition] = {}
        read_committed = request.read_committed
        for partition, wanted in request.partitions.items():
            replica = self._find(partition)
            answer = self._checked(node, partition, replica, wanted)
            if answer is None and replica is not None:
                log = replica.log
                below = log.last_stable if read_committed else log.high_watermark
                entries = log.read(wanted.offset, below, limit)
                limit -= len(entries)
                following = entries[-1].offset + 1 if entries else wanted.offset
                answer = FetchedPartition("", entries, following, log.high_watermark, log.last_stable, log.start)
            found[partition] = answer or _UNKNOWN
        return Fetched(found)

    def _checked(
        self, node: Node, partition: Partition, replica: Replica | None, wanted: FetchPartition
    ) -> FetchedPartition | None:
        """What there is to tell instead of entries."""
        if partition.topic in self._denied:
            return _DENIED
        if replica is None:
            return _UNKNOWN
        if replica.leader != node:
            return _NOT_LEADER
        epoch = wanted.leader_epoch
        if epoch >= 0 and epoch != replica.epoch:
            return _FENCED if epoch < replica.epoch else _TOO_NEW
        log, offset = replica.log, wanted.offset
        if wanted.last_epoch >= 0:
            known, ended = log.end_of_epoch(wanted.last_epoch)
            if known >= 0 and (known < wanted.last_epoch or ended < offset):
                return FetchedPartition("", (), offset, log.high_watermark, log.last_stable, log.start, ended)
        if not log.start <= offset <= log.end:
            return FetchedPartition("OFFSET_OUT_OF_RANGE", (), -1, log.high_watermark, log.last_stable, log.start)
        return None


_DENIED = FetchedPartition("TOPIC_AUTHORIZATION_FAILED")
_UNKNOWN = FetchedPartition("UNKNOWN_TOPIC_OR_PART")
_NOT_LEADER = FetchedPartition("NOT_LEADER_OR_FOLLOWER")
_FENCED = FetchedPartition("FENCED_LEADER_EPOCH")
_TOO_NEW = FetchedPartition("UNKNOWN_LEADER_EPOCH")


def listed(node: Node, request: ListOffsets, replica: Replica | None, denied: Collection[str]) -> ListedOffsets:
    """ListOffsets: where the log begins, or where its visible part ends."""
    if request.partition.topic in denied:
        return ListedOffsets("TOPIC_AUTHORIZATION_FAILED")
    if replica is None:
        return ListedOffsets("UNKNOWN_TOPIC_OR_PART")
    if replica.leader != node:
        return ListedOffsets("NOT_LEADER_OR_FOLLOWER")
    log = replica.log
    if request.earliest:
        return ListedOffsets("", log.start, log.epoch_at(log.start))
    if not replica.end_known:
        return ListedOffsets("OFFSET_NOT_AVAILABLE")
    offset = log.limit(request.read_committed)
    return ListedOffsets("", offset, log.epoch_at(offset))
