"""One partition as its leader has it: the log, who leads it, and the fetches that wait for more.

Follows the broker's ``Partition`` (leadership, high watermark) and KIP-207: a new leader may at first know an older
high watermark than the one before, and does not say where the log ends until it has caught up.

What is appended becomes visible a little later, all of a burst at once: replication is one timer per burst, never one
per record. Each act tells the history.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from trio_consumer import Partition
from trio_consumer.record import Headers

from ..runtime.clock import VirtualClock
from ..runtime.dice import Dice
from ..world.history import Appended, Compacted, Decided, History, LogStartMoved, Truncated
from .log import Log, Span
from .requests import Node

REPLICATION_SECONDS = (0.0005, 0.003)
"""Until the followers have what was appended, mostly."""
LAG_SECONDS = (0.02, 0.4)
"""The same when a follower lags."""
LAG_CHANCE = 0.04
NO_LEADER = -1
ELECTION_SECONDS = (0.01, 0.3)
"""How long a partition may be without a leader."""
EPOCH_TIME = 1_700_000_000_000
"""Milliseconds since the Unix epoch at which worlds begin."""


@attrs.frozen
class Surroundings:
    """What the parts of a cluster share."""

    clock: VirtualClock
    dice: Dice
    history: History
    nodes: Sequence[Node]


class Replica:
    """See the module.

    Attributes:
        partition: Which one.
        log: Its log.
        leader: The node that leads it; -1 while there is none.
        epoch: The leader epoch.
        gone: True once the topic was deleted.
        waiting: Called whenever a fetch could be answered otherwise than before. Each takes itself out.
    """

    def __init__(self, partition: Partition, leader: Node, surroundings: Surroundings) -> None:
        self.partition = partition
        self.leader = leader
        self.epoch = 0
        self.log = Log()
        self.log.begin_epoch(0)
        self.gone = False
        self.waiting: list[Callable[[], object]] = []
        self._clock = surroundings.clock
        self._dice = surroundings.dice
        self._history = surroundings.history
        self._nodes = surroundings.nodes
        self._replicating = False
        self._lags = False

    # Appending

    def append(
        self,
        key: bytes | None,
        value: bytes | None,
        headers: Headers | None = None,
        timestamp: int | None = None,
        span: Span | None = None,
    ) -> int:
        """A record, with the time of now unless it has one. With a span it belongs to an undecided transaction."""
        if timestamp is None:
            timestamp = self._now()
        offset = self.log.append(key, value, headers, timestamp, span).offset
        self._history.add(Appended(self.partition, offset, key, span is None))
        if not self._replicating:
            self._replicate_soon()
        return offset

    def decide(self, span: Span, committed: bool) -> None:
        """A transaction ends."""
        marker = self.log.decide(span, committed, self._now())
        self._history.add(Appended(self.partition, marker.offset, None, False))
        if span.offsets:
            self._history.add(Decided(self.partition, tuple(span.offsets), committed))
        if not self._replicating:
            self._replicate_soon()

    def _now(self) -> int:
        return EPOCH_TIME + int(self._clock.now * 1000)

    def _replicate_soon(self) -> None:
        dice = self._dice
        self._replicating = True
        seconds = dice.uniform(*(LAG_SECONDS if dice.chance(LAG_CHANCE) else REPLICATION_SECONDS))
        self._clock.after(seconds, self._replicated)

    def _replicated(self) -> None:
        self._replicating = False
        if self.log.high_watermark != self.log.end or self._lags:
            self._lags = False
            self.log.replicate(self.log.end)
            self.wake()

    def wake(self) -> None:
        """Look at each waiting fetch again."""
        if self.waiting:
            for retry in tuple(self.waiting):
                retry()

    # Leaders

    @property
    def end_known(self) -> bool:
        """False while a new leader does not say where the log ends (KIP-207)."""
        return not self._lags

    def move(self, node: Node | None) -> None:
        """Another leader, in a new epoch. Without a node the dice choose, and there may be no leader for a while."""
        self._begin_epoch()
        log, dice = self.log, self._dice
        if node is not None:
            self.leader = node
        else:
            others = [other for other in self._nodes if other != self.leader] or list(self._nodes)
            self._elect(dice.choice(others))
            if dice.chance(0.3):
                self._lags = True
                log.replicate(dice.between(max(log.start, log.high_watermark - 5), log.high_watermark))
                self._clock.after(dice.uniform(*LAG_SECONDS), self._replicated)
        self.wake()

    def _begin_epoch(self) -> None:
        self.epoch += 1
        self.log.begin_epoch(self.epoch)

    def _elect(self, node: Node) -> None:
        if self._dice.chance(0.3):
            self.leader = NO_LEADER
            self._clock.after(self._dice.uniform(*ELECTION_SECONDS), self._elected, node, self.epoch)
        else:
            self.leader = node

    def _elected(self, node: Node, epoch: int) -> None:
        if epoch == self.epoch:
            self.leader = node

    # Losing

    def truncate(self, end: int) -> None:
        """An unclean election: the new leader has less, and gives the offsets out again."""
        log = self.log
        markers = log.truncate(end, self.epoch + 1)
        self.epoch += 1
        self._history.add(Truncated(self.partition, end))
        for marker in markers:
            self._history.add(Appended(self.partition, marker.offset, None, False))
        self._lags = False
        log.replicate(log.end)
        others = [other for other in self._nodes if other != self.leader] or list(self._nodes)
        self._elect(self._dice.choice(others))
        self.wake()

    def retain(self, start: int) -> None:
        self.log.trim(start)
        self._history.add(LogStartMoved(self.partition, start))
        self.wake()

    def compact(self, horizon: bool | None) -> None:
        if horizon is None:
            horizon = self._dice.chance(0.5)
        removed = self.log.compact(horizon=horizon)
        if removed:
            self._history.add(Compacted(self.partition, removed))

    def delete(self) -> None:
        """The topic is deleted."""
        self.gone = True
        self.leader = NO_LEADER
        self.wake()


class Transaction:
    """A producer's transaction in one partition. Ends once; what happens to a deleted topic changes nothing."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._span = Span()
        self._ended = False

    def append(
        self,
        key: bytes | None,
        value: bytes | None,
        *,
        headers: Headers | None = None,
        timestamp: int | None = None,
    ) -> int:
        """A record that nobody sees under read_committed until the transaction has ended. Returns its offset."""
        if self._ended:
            raise ValueError(f"{self._replica.partition}: the transaction has ended: begin another one")
        if self._replica.gone:
            return -1
        return self._replica.append(key, value, headers, timestamp, self._span)

    def commit(self) -> None:
        self._end(True)

    def abort(self) -> None:
        self._end(False)

    def _end(self, committed: bool) -> None:
        if self._ended:
            raise ValueError(f"{self._replica.partition}: the transaction has ended already")
        self._ended = True
        if not self._replica.gone:
            self._replica.decide(self._span, committed)
