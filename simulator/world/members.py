"""Members and their lives: each life is a process that opens a consumer, runs it, and ends in some way.

What ends a life: a drain, a cancellation from outside, an error that `Consumer.run` raises, or death. After each, but
for the last, the member comes back as a new process, as under any supervisor.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from trio_consumer import Consumer, Partition, Record, StateError, TrioConsumerError, open_consumer

from ..client import Surroundings, connector
from ..runtime import trio_internals
from ..runtime.processes import Process
from .history import HandlerEnded, HandlerStarted, ProcessEnded, ProcessKilled, ProcessStarted, Sampled
from .scenario import GROUP, TOPIC

if TYPE_CHECKING:
    from .world import World

RESTART_SECONDS = (0.05, 1.0)
"""How long a member is away between two lives."""

SETTINGS = {
    "bootstrap.servers": "simulated:9092",
    "group.id": GROUP,
    "max.poll.interval.ms": 6000,
    "socket.timeout.ms": 1500,
}
CLASSIC_SETTINGS = {"session.timeout.ms": 3000, "heartbeat.interval.ms": 500}


class Life:
    """One life of a member, as the nemesis sees it."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.consumer: Consumer | None = None
        self.nursery: trio.Nursery | None = None
        self.cancelled = trio.CancelScope()
        self.error = ""


class Members:
    """All members of a world.

    Attributes:
        lives: The current life of each member that has one, by the member's name.
        running: How many there are, also between two lives.
        ended: Set when the next one has ended for good.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._calls = 0
        self._leaving: set[str] = set()
        self._counts: dict[str, int] = {}
        self._away: dict[str, float] = {}
        self.lives: dict[str, Life] = {}
        self.running = 0
        self.ended = trio.Event()

    def start(self, name: str, *, instance_id: str | None = None) -> None:
        """A new member."""
        self.running += 1
        self._world.nursery.start_soon(self._member, name, instance_id, name=f"member {name}")

    def kill(self, name: str, *, away: float | None = None) -> None:
        """Its process dies now: its effects are cut off first, then its tasks are made to end."""
        life = self.lives.get(name)
        if life is None or not life.process.alive:
            return
        if away is not None:
            self._away[name] = away
        self._world.history.add(ProcessKilled(life.process.name))
        trio_internals.kill(life.process)

    def leave(self, name: str, *, for_good: bool = False) -> None:
        """Drain its consumer; it comes back unless it leaves for good."""
        if for_good:
            self._leaving.add(name)
        life = self.lives.get(name)
        if life is not None and life.process.alive and life.consumer is not None and life.nursery is not None:
            life.nursery.start_soon(self._drain, life, name="drain")

    def cancel(self, name: str) -> None:
        """Cancel its run from outside."""
        life = self.lives.get(name)
        if life is not None:
            life.cancelled.cancel()

    async def _drain(self, life: Life) -> None:
        if life.consumer is not None:
            try:
                await life.consumer.drain()
            except StateError:  # run() has not begun
                life.cancelled.cancel()

    async def _member(self, name: str, instance_id: str | None) -> None:
        world = self._world
        dice = world.dice.split(f"member/{name}")
        try:
            while name not in self._leaving and not world.ending:
                await self._live(name, instance_id)
                if name in self._leaving or world.ending:
                    return
                await world.clock.sleep(self._away.pop(name, dice.uniform(*RESTART_SECONDS)))
        finally:
            self.running -= 1
            ended, self.ended = self.ended, trio.Event()
            ended.set()

    async def _live(self, name: str, instance_id: str | None) -> None:
        world = self._world
        self._counts[name] = count = self._counts.get(name, 0) + 1
        process = Process(f"{name}.{count}", world.clock)
        life = Life(process)
        self.lives[name] = life
        world.register(process)
        world.history.add(ProcessStarted(process.name))
        try:
            await trio_internals.live(process, partial(self._consume, life, instance_id))
        finally:
            if process.alive:
                process.end()
                world.history.add(ProcessEnded(process.name, life.error))
            del self.lives[name]

    async def _consume(self, life: Life, instance_id: str | None) -> None:
        """The main task of a process."""
        world, process = self._world, life.process
        handler = self.observed(process, world.handler_for(process))
        connect = connector(
            Surroundings(
                process=process,
                network=world.network,
                clock=world.clock,
                dice=world.dice.split(f"client/{process.name}"),
                faults=world.faults,
                history=world.history,
                nodes=world.cluster.nodes,
                tenures=world.tenures,
                commits=world.commits,
                crash=lambda: self.kill(process.member),
            )
        )
        rng = world.dice.split(f"retries/{process.name}").random()
        with life.cancelled:
            try:
                async with (
                    open_consumer(
                        self._settings(instance_id), TOPIC, connect=connect, rng=rng, **self._options(process)
                    ) as life.consumer,
                    trio.open_nursery() as life.nursery,
                ):
                    try:
                        if process.member not in self._leaving:  # it may have been asked to while it opened
                            await self._run(life, handler)
                    finally:
                        life.nursery.cancel_scope.cancel()
                        life.nursery = None  # it takes no more drains
            except TrioConsumerError as error:  # it could not be opened
                life.error = f"{type(error).__name__}: {error}"

    async def _run(self, life: Life, handler: Callable[[Record], Awaitable[None]]) -> None:
        if life.consumer is not None:
            try:
                await life.consumer.run(handler)
            except TrioConsumerError as error:
                life.error = f"{type(error).__name__}: {error}"

    def _settings(self, instance_id: str | None) -> dict[str, Any]:
        scenario = self._world.scenario
        settings: dict[str, Any] = {**SETTINGS}
        if scenario.protocol == "consumer":
            settings["group.protocol"] = "consumer"
        else:
            settings |= {**CLASSIC_SETTINGS, "partition.assignment.strategy": scenario.protocol}
        if instance_id is not None:
            settings["group.instance.id"] = instance_id
        return {**settings, **scenario.settings}

    def _options(self, process: Process) -> dict[str, Any]:
        world = self._world
        options = world.scenario.consumer_options
        if world.scenario.hooks:
            dice = world.dice.split(f"hooks/{process.name}")

            async def hook(partition: Partition) -> None:
                if world.faults.fires("hook-slow", str(partition)):
                    await trio.sleep(dice.uniform(0, 0.5))
                else:
                    await trio.lowlevel.checkpoint()

            options |= {"tenure_start": hook, "tenure_end": hook}
        return options

    def observed(
        self, process: Process, handler: Callable[[Record], Awaitable[None]]
    ) -> Callable[[Record], Awaitable[None]]:
        """The handler, with what it does told to the history."""
        add = self._world.history.add
        name = process.name

        async def observed(record: Record) -> None:
            if not process.alive:  # a dead process has no handlers
                await handler(record)
                return
            self._calls += 1
            call = self._calls
            partition, offset = Partition(record.topic, record.partition), record.offset
            add(HandlerStarted(name, call, partition, offset, record.key, record.attempt))
            try:
                await handler(record)
            except BaseException as error:
                if process.alive:
                    cancelled = not isinstance(error, Exception) or trio.current_effective_deadline() == float("-inf")
                    outcome = "cancelled" if cancelled else "failed"
                    add(HandlerEnded(name, call, partition, offset, outcome, f"{type(error).__name__}: {error}"))
                raise
            if process.alive:
                add(HandlerEnded(name, call, partition, offset, "succeeded", ""))

        return observed


def sampled(process: str, consumer: Consumer) -> Sampled:
    """How near a consumer is to its bounds now."""
    now = consumer.statistics()
    characters = max((one.offset_map_characters for one in now.partitions.values()), default=0)
    return Sampled(process, now.in_flight, now.queued, now.queued_bytes, characters, now.parked)
