"""Fetching: from leaders to the application's queue.

One fetch at a time to each node, for all partitions that it leads and that are in want of records. An answer is used
only for partitions that nothing has happened to meanwhile: whatever moves a partition gives it a new version. Control
entries and records of aborted transactions are skipped, and the position passes them.

Invariants:

- ``position`` is behind the last record that was handed to the application; after a pause, or when a rebalance begins,
  what is in the queue is dropped, and fetching goes on from there.
- Between a rebalance's begin and the end of its callback nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from trio_consumer import Partition
from trio_consumer.client.port import Committed

from ..kafka.log import Entry
from ..kafka.requests import (
    Fetch,
    FetchedPartition,
    FetchPartition,
    ListedOffsets,
    ListOffsets,
    Node,
    Response,
)
from ..kafka.requests import Fetched as FetchResponse
from ..world.history import PositionReset
from . import offsets
from .handle import EndOp, ErrorOp, Handle
from .knobs import FETCH_RECORDS_MAX

UNKNOWN = -1
_MOVED = (
    "NOT_LEADER_OR_FOLLOWER",
    "LEADER_NOT_AVAILABLE",
    "BROKER_NOT_AVAILABLE",
    "REPLICA_NOT_AVAILABLE",
    "OFFSET_NOT_AVAILABLE",
    "KAFKA_STORAGE_ERROR",
    "FENCED_LEADER_EPOCH",
    "UNKNOWN_LEADER_EPOCH",
    "UNKNOWN_TOPIC_OR_PART",
    "UNKNOWN_TOPIC_ID",
)


class Feed:
    """One assigned partition.

    ``version`` tells whether an answer or what is queued still counts; ``errand`` whether a start that was asked for
    does. They differ: a pause or a rebalance voids what was fetched, and not where fetching is to begin.
    """

    __slots__ = (
        "active",
        "end",
        "epoch",
        "errand",
        "error",
        "full",
        "held_until",
        "in_queue",
        "next",
        "partition",
        "paused",
        "position",
        "reached",
        "start",
        "taken_epoch",
        "version",
    )

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.version = 0
        self.errand = 0
        self.start = UNKNOWN
        self.active = False
        self.paused = False
        self.position = UNKNOWN
        self.next = UNKNOWN
        self.end = UNKNOWN
        self.reached = UNKNOWN
        self.held_until = 0.0
        self.in_queue = 0
        self.full = False
        self.epoch = self.taken_epoch = UNKNOWN
        self.error = ""


class Fetched:
    """Records in the queue to the application; some may have been taken already."""

    __slots__ = ("entries", "feed", "taken", "version")

    def __init__(self, feed: Feed, entries: list[Entry]) -> None:
        self.feed = feed
        self.version = feed.version
        self.entries = entries
        self.taken = 0


class Fetching:
    """See the module.

    Attributes:
        asking: True while starts of partitions are asked for.
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._feeds: dict[Partition, Feed] = {}
        self._in_flight: set[Node] = set()
        self._held = False
        self._asking: dict[Partition, int] = {}
        self._pump_due = False
        self._numbers = 0

    def _next_number(self) -> int:
        """Of a version or an errand. Unique: an answer to an earlier tenure may still come."""
        self._numbers += 1
        return self._numbers

    @property
    def asking(self) -> bool:
        return bool(self._asking)

    # What membership says

    def hold(self) -> None:
        """A rebalance begins: fetch nothing, and drop what the application has not taken."""
        self._held = True
        for feed in self._feeds.values():
            self._rewind(feed)

    def go_on(self) -> None:
        """The callback has returned."""
        self._held = False
        self._pump()

    def add(self, partitions: Iterable[Partition]) -> None:
        added = tuple(partitions)
        for partition in added:
            feed = self._feeds[partition] = Feed(partition)
            feed.version = feed.errand = self._next_number()
        if added:
            self._start(added)

    def remove(self, partitions: Iterable[Partition]) -> None:
        for partition in partitions:
            feed = self._feeds.pop(partition, None)
            if feed is not None:
                self._rewind(feed)
                feed.active = False
            self._asking.pop(partition, None)

    # Where to start

    def _start(self, partitions: tuple[Partition, ...], tries: int = 0) -> None:
        """Ask where the group stands."""
        errands = {one: self._feeds[one].errand for one in partitions if one in self._feeds}
        if not errands or self._handle.closing:
            return
        self._asking.update(errands)

        def found(error: str, committed: Mapping[Partition, Committed]) -> None:
            waiting = tuple(one for one, errand in errands.items() if self._asking.get(one) == errand)
            if error and waiting:
                self._handle.after(self._handle.backoff(tries), self._start, waiting, tries + 1)
                return
            for partition in waiting:
                del self._asking[partition]
                feed = self._feeds.get(partition)
                if feed is not None and feed.errand == errands[partition] and feed.next == UNKNOWN:
                    start = committed.get(partition, Committed()).offset
                    if start is None or start < 0:
                        self._reset(feed, UNKNOWN, "no committed offset")
                    else:
                        self._go_to(feed, start)
            self._handle.membership.served()
            self._pump()

        offsets.fetch(self._handle, tuple(errands), found)

    def _go_to(self, feed: Feed, offset: int) -> None:
        feed.start = feed.next = offset
        feed.epoch = feed.taken_epoch = UNKNOWN
        feed.reached = UNKNOWN
        feed.active = True

    def _reset(self, feed: Feed, before: int, why: str) -> None:
        """By auto.offset.reset. What is in the queue already stays there."""
        feed.active = False
        policy = self._handle.knobs.offset_reset
        if policy == "error":
            self._handle.emit(ErrorOp("_AUTO_OFFSET_RESET", why, str(feed.partition)))
            feed.next = UNKNOWN
        else:
            self._list(feed, feed.errand, before, policy == "earliest", 0)

    def _list(self, feed: Feed, errand: int, before: int, earliest: bool, tries: int) -> None:
        """Ask the leader where the log begins or ends, until it says so."""
        handle = self._handle
        if handle.closing or feed.errand != errand or self._feeds.get(feed.partition) is not feed:
            return
        node = handle.brokers.leader(feed.partition)

        def again() -> None:
            handle.after(handle.backoff(tries), self._list, feed, errand, before, earliest, tries + 1)

        def listed(response: Response | None) -> None:
            if feed.errand != errand or self._feeds.get(feed.partition) is not feed:
                return
            if isinstance(response, ListedOffsets) and not response.error:
                handle.history.add(PositionReset(handle.name, feed.partition, before, response.offset))
                self._go_to(feed, response.offset)
                self._pump()
            else:
                handle.brokers.refresh()
                again()

        if node < 0:
            handle.brokers.refresh()
            again()
        else:
            handle.send(node, ListOffsets(feed.partition, earliest, handle.knobs.read_committed), listed)

    # What the application says

    def pause(self, partitions: Iterable[Partition]) -> None:
        for partition in partitions:
            feed = self._feeds.get(partition)
            if feed is not None and not feed.paused:
                feed.paused = True
                self._rewind(feed)

    def resume(self, partitions: Iterable[Partition]) -> None:
        for partition in partitions:
            feed = self._feeds.get(partition)
            if feed is not None:
                feed.paused = False
        self._pump()

    def seek(self, partition: Partition, offset: int) -> bool:
        """False if it is not assigned."""
        feed = self._feeds.get(partition)
        if feed is None:
            return False
        self._rewind(feed)
        feed.errand = self._next_number()
        self._asking.pop(partition, None)
        feed.position = UNKNOWN
        self._go_to(feed, offset)
        self._pump()
        return True

    def position(self, partition: Partition) -> int:
        """Behind the last record that was handed out; -1 before the first."""
        feed = self._feeds.get(partition)
        return UNKNOWN if feed is None else feed.position

    def end(self, partition: Partition) -> int:
        """The log's end, as the last answer told it; -1 if there was none."""
        feed = self._feeds.get(partition)
        return UNKNOWN if feed is None else feed.end

    def is_current(self, op: Fetched | EndOp) -> bool:
        """Whether what is in the queue still counts."""
        if isinstance(op, EndOp):
            feed = self._feeds.get(op.partition)
            return feed is not None and feed.version == op.version
        return op.version == op.feed.version

    def take(self, op: Fetched, count: int) -> list[Entry]:
        """Hand out so many records of it."""
        feed = op.feed
        entries = op.entries[op.taken : op.taken + count]
        op.taken += len(entries)
        feed.position = entries[-1].offset + 1
        feed.taken_epoch = entries[-1].leader_epoch
        feed.in_queue -= len(entries)
        if feed.in_queue == 0 and feed.full:
            feed.full = False
            self._pump()
        return entries

    def _rewind(self, feed: Feed) -> None:
        """Drop what is in the queue or on its way; fetching goes on after what was handed out."""
        feed.version = self._next_number()
        feed.in_queue = 0
        feed.reached = UNKNOWN  # an end that is dropped with the rest is said again
        if feed.active:
            feed.next = feed.start if feed.position == UNKNOWN else feed.position
            feed.epoch = feed.taken_epoch

    # To and from the leaders

    def leaders_changed(self) -> None:
        """There is new metadata."""
        self._pump()

    def _pump(self) -> None:
        """Fetch what can be fetched, soon."""
        if not self._pump_due and not self._held and self._feeds and not self._handle.closing:
            self._pump_due = True
            self._handle.after(0.0, self._fetch)

    def _fetch(self) -> None:
        self._pump_due = False
        handle = self._handle
        if self._held or handle.closing or handle.fatal:
            return
        now, brokers, queued_min = handle.now, handle.brokers, handle.knobs.queued_min
        wanted: dict[Node, dict[Partition, FetchPartition]] = {}
        versions: dict[Partition, int] = {}
        for partition, feed in self._feeds.items():
            if not feed.active or feed.paused or feed.in_queue >= queued_min or feed.held_until > now:
                feed.full = feed.in_queue >= queued_min
                continue
            node = brokers.leader(partition)
            if node < 0:
                brokers.refresh()
                self._hold_back(feed)
            elif node not in self._in_flight:
                metadata = brokers.topics[partition.topic]
                epoch = metadata.leader_epochs[partition.number]
                # What was read is compared with the log only after the leader has changed.
                last_epoch = feed.epoch if epoch > feed.epoch else UNKNOWN
                ask = FetchPartition(feed.next, epoch, metadata.topic_id, last_epoch)
                wanted.setdefault(node, {})[partition] = ask
                versions[partition] = feed.version
        if wanted and len(self._feeds) > 1:
            # None is always the first one in line.
            first = next(iter(self._feeds))
            self._feeds[first] = self._feeds.pop(first)
        for node, partitions in wanted.items():
            self._in_flight.add(node)
            request = Fetch(partitions, FETCH_RECORDS_MAX, handle.knobs.fetch_wait, handle.knobs.read_committed)
            timeout = handle.knobs.socket_timeout + handle.knobs.fetch_wait
            handle.send(node, request, _Answer(self, node, versions), timeout)

    def _hold_back(self, feed: Feed) -> None:
        seconds = self._handle.knobs.fetch_backoff
        feed.held_until = self._handle.now + seconds
        self._handle.after(seconds, self._pump)

    def _answered(self, node: Node, versions: Mapping[Partition, int], response: Response | None) -> None:
        self._in_flight.discard(node)
        if self._handle.closing:
            return
        if isinstance(response, FetchResponse):
            for partition, answer in response.partitions.items():
                feed = self._feeds.get(partition)
                if feed is not None and feed.version == versions.get(partition):
                    self._take_in(feed, answer)
            if response.throttle > 0:
                self._in_flight.add(node)
                self._handle.after(response.throttle, self._answered, node, {}, None)
                return
        elif versions:
            self._handle.brokers.refresh()
            for partition in versions:
                if partition in self._feeds and self._handle.brokers.leader(partition) == node:
                    self._hold_back(self._feeds[partition])
        self._pump()

    def _take_in(self, feed: Feed, answer: FetchedPartition) -> None:
        if answer.diverging >= 0 and answer.diverging < feed.next:
            self._truncated(feed, answer.diverging)
        elif answer.error:
            self._refused(feed, answer.error)
        else:
            self._received(feed, answer)

    def _received(self, feed: Feed, answer: FetchedPartition) -> None:
        handle = self._handle
        feed.error = ""
        feed.end = answer.high_watermark
        end = answer.last_stable if handle.knobs.read_committed else answer.high_watermark
        if feed.next == end and feed.reached != end:
            feed.reached = end
            handle.emit(EndOp(feed.partition, end, feed.version))
        entries, start, committed = answer.entries, feed.next, handle.knobs.read_committed
        if entries:
            feed.epoch = entries[-1].leader_epoch
        if answer.next_offset > feed.next:
            feed.next = answer.next_offset
        elif entries:
            feed.next = entries[-1].offset + 1
        kept = [one for one in entries if not one.control and one.offset >= start and not (committed and one.aborted)]
        if kept:
            feed.in_queue += len(kept)
            handle.emit(Fetched(feed, kept))

    def _refused(self, feed: Feed, error: str) -> None:
        handle = self._handle
        if error == "OFFSET_OUT_OF_RANGE":
            self._reset(feed, feed.next, "fetch failed due to requested offset not available on the broker")
            return
        if error in _MOVED:
            handle.brokers.refresh()
        elif error != feed.error:
            handle.emit(ErrorOp(error, "Fetch failed", str(feed.partition)))
            feed.error = error
        self._hold_back(feed)

    def _truncated(self, feed: Feed, offset: int) -> None:
        """The log that we read was cut off there, and goes on differently."""
        handle = self._handle
        if handle.knobs.offset_reset == "error":
            self._rewind(feed)
            feed.active = False
            handle.emit(ErrorOp("_LOG_TRUNCATION", "Partition log truncation detected", str(feed.partition)))
            return
        before = feed.next
        self._rewind(feed)
        # What was fetched and not handed out yet is fetched again, as far as it is left.
        offset = min(offset, feed.next)
        handle.history.add(PositionReset(handle.name, feed.partition, before, offset))
        self._go_to(feed, offset)


class _Answer:
    """Takes the answer to one fetch. Cheaper than a closure with three cells on the hot path."""

    __slots__ = ("_fetching", "_node", "_versions")

    def __init__(self, fetching: Fetching, node: Node, versions: Mapping[Partition, int]) -> None:
        self._fetching = fetching
        self._node = node
        self._versions = versions

    def __call__(self, response: Response | None) -> None:
        self._fetching._answered(self._node, self._versions, response)
