"""What is produced, and what handles it: the producer and the stock handler.

The producer knows the kinds of records that handlers stumble over: null keys, tombstones, bytes that are no text,
timestamps that go back, transactions that are aborted. The stock handler does what handlers do, and each fault of the
group ``handler`` happens in it.
"""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import trio

from trio_consumer import Partition, Record
from trio_consumer.record import Headers

from .history import DeadLettered, EffectApplied
from .scenario import TOPIC, Scenario

if TYPE_CHECKING:
    from ..kafka.cluster import Cluster
    from ..runtime.clock import Timer, VirtualClock
    from ..runtime.dice import Dice
    from ..runtime.processes import Process
    from .world import World

BURSTS = 10
"""The records come in about so many bursts over the first phase; a third is there from the start."""
POISON = b"\xff\xfe not text"
MISBEHAVIOUR = (
    "handler-slow",
    "handler-fails",
    "handler-raises-group",
    "handler-hangs",
    "handler-ignores-cancellation",
    "handler-fails-always",
)
LONGER = 20
"""A slow handler takes so many times as long."""


class StockError(Exception):
    """What the stock handler raises."""


class Producer:
    """Produces the scenario's records by timers."""

    def __init__(self, scenario: Scenario, cluster: Cluster, clock: VirtualClock, dice: Dice) -> None:
        self._scenario = scenario
        self._cluster = cluster
        self._clock = clock
        self._dice = dice
        self._left = scenario.records
        self._produced = 0
        self._open: list[Timer] = []

    def start(self) -> None:
        first = self._left // 3
        self.burst(first)
        size = max(1, (self._left + BURSTS - 1) // BURSTS)
        for _ in range(BURSTS):
            self._clock.after(self._dice.uniform(0, self._scenario.fault_seconds), self.burst, size)

    def finish(self) -> None:
        """All that is left, at once; and no transaction stays open."""
        self.burst(self._left)
        for timer in self._open:
            if (end := timer.act) is not None:
                timer.cancel()
                end()

    def burst(self, count: int) -> None:
        """So many records, if there are so many left."""
        dice = self._dice
        count = min(count, self._left)
        self._left -= count
        partitions = self._cluster.partitions(TOPIC)
        if not partitions:  # the topic is deleted: a producer waits
            self._left += count
            return
        if count and dice.chance(0.15):
            self._transaction(count, partitions)
            return
        for _ in range(count):
            key, value = self._pair()
            partition = Partition(TOPIC, self._number(key, partitions))
            headers: Headers | None = [("source", b"stock")] if dice.chance(0.1) else None
            self._cluster.append(partition, key, value, headers=headers, timestamp=self._timestamp())

    def _transaction(self, count: int, partitions: int) -> None:
        """All in one transaction, which ends after a while."""
        dice = self._dice
        open_ = {}
        for _ in range(count):
            key, value = self._pair()
            number = self._number(key, partitions)
            if number not in open_:
                open_[number] = self._cluster.begin_transaction(Partition(TOPIC, number))
            open_[number].append(key, value)
        for number in open_:
            transaction = open_[number]
            ending = transaction.abort if dice.chance(0.4) else transaction.commit
            self._open.append(self._clock.after(dice.uniform(0, 1.0), ending))

    def _pair(self) -> tuple[bytes | None, bytes | None]:
        dice = self._dice
        self._produced += 1
        key = None if dice.chance(0.05) else f"k{dice.below(self._scenario.keys)}".encode()
        kind = dice.below(20)
        value = None if kind == 19 else POISON if kind == 18 else f"v{self._produced}".encode()
        return key, value

    def _number(self, key: bytes | None, partitions: int) -> int:
        return self._dice.below(partitions) if key is None else zlib.crc32(key) % partitions

    def _timestamp(self) -> int:
        return (
            1_700_000_000_000 + int(self._clock.now * 1000) - (self._dice.below(5000) if self._dice.chance(0.1) else 0)
        )


def stock_handler(world: World, process: Process) -> Callable[[Record], Awaitable[None]]:
    """A handler of one process that now and then fails in each way that handlers fail."""
    dice = world.dice.split(f"handler/{process.name}")
    faults, history = world.faults, world.history
    seconds, sleep = world.scenario.handler_seconds, world.clock.sleep
    misbehaves = faults.possible(MISBEHAVIOUR)

    async def handle(record: Record) -> None:
        target = f"{record.topic}[{record.partition}]@{record.offset}"
        try:
            if misbehaves and faults.active:
                await _misbehave(record, target)
            await _work(seconds)
            if record.value == POISON:
                await _dead_letter(record)
                return
            if process.alive:
                partition = Partition(record.topic, record.partition)
                history.add(EffectApplied(process.name, "stock", partition, record.offset))
            if faults.fires("handler-cancelled-on-way-out", target):
                world.cancel(process)
                await trio.lowlevel.checkpoint()
        except trio.Cancelled:
            if faults.fires("handler-fails-while-cancelled", target):
                raise StockError("while it was being cancelled") from None  # noqa: ASYNC104  that is the fault
            raise

    async def _work(seconds: float) -> None:
        kind = dice.below(4)
        if kind == 0 or not seconds:
            return
        if kind == 1:
            await trio.lowlevel.checkpoint()
        else:
            await sleep(dice.uniform(0, seconds))

    async def _misbehave(record: Record, target: str) -> None:
        if faults.fires("handler-slow", target):
            await sleep(dice.uniform(0, LONGER * (seconds or 0.01)))
        if faults.fires("handler-fails", target):
            raise StockError("once in a while")
        if faults.fires("handler-raises-group", target):
            raise ExceptionGroup("several", [StockError("one"), StockError("two")])
        if faults.fires("handler-hangs", target):
            await world.healed.wait()
        if faults.fires("handler-ignores-cancellation", target):
            with trio.CancelScope(shield=True):
                await sleep(dice.uniform(0, 1.5))
        if world.fails_always(record):
            raise StockError("at each attempt")

    async def _dead_letter(record: Record) -> None:
        await sleep(dice.uniform(0.001, 0.01))
        if faults.fires("dead-letter-down"):
            raise StockError("the dead-letter topic takes nothing")
        if process.alive:
            history.add(DeadLettered(process.name, Partition(record.topic, record.partition), record.offset))
        if faults.fires("dead-letter-response-lost"):
            raise StockError("the dead-letter topic did not answer")

    return handle
