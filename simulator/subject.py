"""What a user brings into a world: a handler, with or without state, and the records that it gets.

The user's handler is called like a stock one, with faults around it: before it, in its place, and as it returns.
"""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import attrs
import trio

from trio_consumer import ConfigurationError, Partition, Record

from .database import record_in_hand
from .world.scenario import TOPIC
from .world.workload import StockError

if TYPE_CHECKING:
    from .runtime.processes import Process
    from .world.world import World

Handler: TypeAlias = Callable[[Record], Awaitable[object]]
Subject: TypeAlias = "Handler | Callable[[World], Any]"
"""A handler; or what makes one for a world: it is called with the world, and returns a handler, or an object that has a
handler as ``handle`` and may have ``invariant`` and ``always``, which take no arguments."""
Pair: TypeAlias = "tuple[bytes | None, bytes | None]"
"""Key and value of a record."""
Records: TypeAlias = "int | Iterable[Pair] | Callable[[], Iterable[Pair]]"
"""So many plain ones; or keys and values; or what makes them anew for each world."""

BURSTS = 10
"""The records come in so many bursts over the first phase; a third is there from the start."""
KEYS = 8
"""Distinct keys of plain records."""
SLOW_SECONDS = 1.0
"""A slow handler waits for up to so long before it begins."""


@attrs.frozen
class Actor:
    """A subject in one world."""

    handle: Handler
    invariant: Callable[[], object] | None = None
    always: Callable[[], object] | None = None


def checked_subject(subject: Any) -> Any:
    """The same.

    Raises:
        ConfigurationError: It is neither a handler nor makes one.
    """
    if not callable(subject):
        raise ConfigurationError(f"{subject!r} can't be called: give an async function, or what makes one for a world")
    return subject


def cast(subject: Subject, world: World) -> Actor:
    """What this subject does in this world.

    Raises:
        ConfigurationError: It did not make a handler.
    """
    if is_async(subject):
        return Actor(subject)
    made: Any = subject(world)  # type: ignore[arg-type]
    if is_async(made):
        return Actor(made)
    handle = getattr(made, "handle", None)
    if not is_async(handle):
        name = getattr(subject, "__qualname__", repr(subject))
        raise ConfigurationError(
            f"{name} made {type(made).__name__} for a world: it must make an async function, or an object that has one "
            "as `handle`"
        )
    return Actor(handle, getattr(made, "invariant", None), getattr(made, "always", None))


def is_async(found: object) -> TypeGuard[Handler]:
    """Whether calling it gives something to await."""
    if inspect.isclass(found) or not callable(found):
        return False
    return inspect.iscoroutinefunction(found) or inspect.iscoroutinefunction(getattr(found, "__call__", None))  # noqa: B004


def under_faults(world: World, process: Process, handle: Handler) -> Callable[[Record], Awaitable[None]]:
    """The handler of one process, with what befalls handlers."""
    dice = world.dice.split(f"handler/{process.name}")
    fires = world.faults.fires

    async def handler(record: Record) -> None:
        token = record_in_hand.set(record)
        try:
            target = f"{record.topic}[{record.partition}]@{record.offset}"
            if fires("handler-slow", target):
                await trio.sleep(dice.uniform(0, SLOW_SECONDS))
            if fires("handler-hangs", target):
                await trio.sleep_forever()
            if fires("handler-fails", target):
                raise StockError("in place of your handler")
            await handle(record)
            if fires("handler-cancelled-on-way-out", target):
                world.cancel(process)
                await trio.lowlevel.checkpoint()
        finally:
            record_in_hand.reset(token)

    return handler


class GivenProducer:
    """Produces given records by timers. Those of one key go to one partition, in order.

    Args:
        world: Where to.
        records: What.
    """

    def __init__(self, world: World, records: Records) -> None:
        self._world = world
        self._dice = world.dice.split("producer")
        self._pairs = list(_pairs(records))
        self._next = 0

    def start(self) -> None:
        self.burst(len(self._pairs) // 3)
        size = -(-len(self._pairs) // BURSTS)
        for _ in range(BURSTS):
            self._world.clock.after(self._dice.uniform(0, self._world.scenario.fault_seconds), self.burst, size)

    def finish(self) -> None:
        """All that is left, at once."""
        self.burst(len(self._pairs))

    def burst(self, count: int) -> None:
        """So many records, if there are so many left, and there is a topic for them."""
        partitions = self._world.cluster.partitions(TOPIC)
        if not partitions:
            return
        for key, value in self._pairs[self._next : self._next + count]:
            number = self._dice.below(partitions) if key is None else zlib.crc32(key) % partitions
            self._world.cluster.append(Partition(TOPIC, number), key, value)
            self._next += 1


def _pairs(records: Records) -> Iterable[Pair]:
    if isinstance(records, int):
        return [(b"k%d" % (number % KEYS), b"%d" % number) for number in range(records)]
    found = list(records() if callable(records) else records)
    for pair in found:
        if not isinstance(pair, tuple) or len(pair) != 2 or not all(isinstance(part, bytes | None) for part in pair):
            raise ConfigurationError(f"records={pair!r}: give pairs of a key and a value, each bytes or None")
    return found
