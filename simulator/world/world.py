"""A world: one run of a scenario, from its start to the verdict.

Two phases. In the first, faults happen while records are produced and consumed. Then everything heals, and within a
bound of virtual time all must be resolved and committed. At last the members drain, and nothing of them may be left.
"""

from __future__ import annotations

import itertools
import math
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeAlias

import attrs
import trio

from trio_consumer import Partition, Record

from ..faults.faults import Faults
from ..kafka.cluster import Cluster
from ..kafka.network import Network
from ..oracles import watch
from ..runtime.clock import VirtualClock
from ..runtime.dice import Dice, SeededDice
from ..runtime.isolation import collected
from ..runtime.processes import Process
from ..runtime.run import run
from ..runtime.schedulers import Scheduler
from ..runtime.schedulers import scheduler as named_scheduler
from ..runtime.steps import Steps
from .expect import expectations
from .history import (
    CommitApplied,
    History,
    LogStartMoved,
    Moment,
    OffsetsForgotten,
    PhaseBegan,
    RecordsDelivered,
    TopicDeleted,
    Transition,
    Truncated,
    Violated,
)
from .members import Members, sampled
from .nemesis import Nemesis
from .scenario import GROUP, TOPIC, Scenario
from .workload import Producer, stock_handler

Handler: TypeAlias = Callable[[Record], Awaitable[None]]
HandlerOf: TypeAlias = "Callable[[World, Process], Handler]"
"""Makes the handler of one process."""

SESSION_SECONDS = 3.0
"""Of members under every protocol: worlds are short."""
HEARTBEAT_SECONDS = 0.5
LOOK_SECONDS = 0.1
SAMPLE_SECONDS = 0.25
END_SECONDS = 30.0
"""How long the members may take to drain at the end, in virtual seconds."""
STEPS_MAX = 400_000
"""Steps of tasks in a world; the largest honest one takes a tenth."""


@attrs.frozen
class Outcome:
    """What came out of a world.

    Args:
        scenario: What it was.
        violations: What the oracles found, in order of time.
        moments: The whole history.
        fired: How often each kind of fault fired.
        transitions: How often each row of the coordinator's tables was taken, by (table, state, event, after).
        steps: Steps of Trio tasks.
        seconds: Virtual seconds.
        error: Why the world itself did not come to its end, with the traceback, or ``""``.
        taken: Time and task of each step, if they were recorded.
    """

    scenario: Scenario
    violations: tuple[Violated, ...]
    moments: tuple[Moment, ...]
    fired: Mapping[str, int]
    transitions: Mapping[tuple[str, str, str, str], int]
    steps: int
    seconds: float
    error: str = ""
    taken: tuple[tuple[float, str], ...] = ()

    @property
    def failed(self) -> bool:
        return bool(self.violations or self.error)


class World:
    """One run of a scenario. What handlers, faults and tests may see and do is public.

    Attributes:
        scenario: What it runs.
        clock: Virtual time.
        dice: Where choices come from; take ``dice.split("something of yours")``.
        history: All that happened.
        faults: What fires.
        cluster: The brokers.
        network: The links to them.
        members: The members and their processes.
        healed: Set when the faults end.
        ending: True once members that end stay away.
    """

    def __init__(self, scenario: Scenario, *, dice: Dice | None = None, handler: HandlerOf = stock_handler) -> None:
        self.scenario = scenario
        self.clock = VirtualClock()
        self.dice: Dice = dice if dice is not None else SeededDice(scenario.seed)
        self.history = History(self.clock)
        self.faults = Faults(
            scenario.faults,
            self.dice.split("faults"),
            self.history,
            scale=scenario.scale,
            muted=scenario.muted,
        )
        self.cluster = Cluster(
            self.clock, self.dice.split("cluster"), self.faults, self.history, version=scenario.version
        )
        self.network = Network(
            self.clock,
            self.dice.split("network"),
            self.faults,
            self.history,
            self.cluster.serve,
            self.cluster.nodes,
        )
        broker = self.cluster.coordinator.settings
        broker.session, broker.heartbeat = SESSION_SECONDS, HEARTBEAT_SECONDS
        self.tenures = itertools.count(1)
        self.commits = itertools.count(1)
        self.members = Members(self)
        self.nemesis = Nemesis(self)
        self.producer = Producer(scenario, self.cluster, self.clock, self.dice.split("producer"))
        self.ending = False
        self.healed = trio.Event()
        self.nursery: trio.Nursery
        self._handler = handler
        self._committed: dict[Partition, int] = {}
        self.history.listen(CommitApplied, self._note_commit)
        self.history.listen(OffsetsForgotten, self._note_loss)
        for kind in (LogStartMoved, Truncated, TopicDeleted):
            self.history.listen(kind, self._note_end)
        self.history.listen(RecordsDelivered, self._note_records)
        # Set when all is done, while somebody waits for it.
        self._all_done: trio.Event | None = None
        # Processes that may have something in hand.
        self._laden: dict[str, None] = {}
        self._failing: dict[tuple[int, int], bool] = {}

    # For members and handlers

    def register(self, process: Process) -> None:
        """A process begins."""
        process.farewells.append(lambda: self.network.kill(process.name))

    def handler_for(self, process: Process) -> Handler:
        return self._handler(self, process)

    def cancel(self, process: Process) -> None:
        """Cancel the run of this process' consumer from outside."""
        self.members.cancel(process.member)

    def fails_always(self, record: Record) -> bool:
        """Whether this record's handler raises at each attempt, until the world heals."""
        place = (record.partition, record.offset)
        if place not in self._failing:
            self._failing[place] = self.faults.fires("handler-fails-always", f"{record.partition}@{record.offset}")
        return self._failing[place] and self.faults.active

    # The run

    async def main(self) -> None:
        scenario = self.scenario
        async with trio.open_nursery() as self.nursery:
            self.begin()
            await self.clock.sleep(scenario.fault_seconds)
            self.heal()
            with trio.move_on_after(scenario.heal_seconds):
                await self._settle()
            await self.finish()
            self.nursery.cancel_scope.cancel()

    def begin(self) -> None:
        """The topic, its records, the members and the faults."""
        scenario = self.scenario
        self.history.add(PhaseBegan("faults"))
        self.cluster.create_topic(TOPIC, scenario.partitions)
        self.producer.start()
        for number in range(scenario.members):
            name = f"m{number}"
            self.members.start(name, instance_id=name if scenario.static else None)
        self.nemesis.start()
        self.clock.after(SAMPLE_SECONDS, self._sample)

    def heal(self) -> None:
        """No more faults, and what they broke works again."""
        self.faults.heal()
        self.healed.set()
        self.nemesis.heal()
        self.producer.finish()
        self.history.add(PhaseBegan("heal"))

    def done(self) -> bool:
        """Whether everything has been committed.

        Nothing is expected where nothing is left to read.
        What was committed may have gone back, where the client's own resend of an old commit came late.
        """
        cluster = self.cluster
        for number in range(cluster.partitions(TOPIC)):
            partition = Partition(TOPIC, number)
            end = cluster.end(partition)
            if self._committed.get(partition, -1) < end and cluster.log(partition).start < end:
                return False
        return True

    async def _settle(self) -> None:
        """Wait until all is done. It counts from the next look on; between looks nobody waits."""
        clock, began = self.clock, self.clock.now
        while not self.done():
            self._all_done = trio.Event()
            await self._all_done.wait()
            looks = math.ceil((clock.now - began) / LOOK_SECONDS)
            await clock.sleep(began + looks * LOOK_SECONDS - clock.now)

    def _note_commit(self, event: CommitApplied) -> None:
        if event.group == GROUP:
            self._committed[event.partition] = max(event.offset, self._committed.get(event.partition, -1))
            self._note_end(event)

    def _note_end(self, event: object) -> None:
        """All may be done by this."""
        if self._all_done is not None and self.done():
            self._all_done.set()

    def _note_loss(self, event: OffsetsForgotten) -> None:
        self._committed[event.partition] = event.after
        self._note_end(event)

    async def finish(self) -> None:
        """Drain all members, and wait until nothing of them is left."""
        self.ending = True
        for name in list(self.members.lives):
            self.members.leave(name, for_good=True)
        with trio.move_on_after(END_SECONDS):
            while self.members.running:
                await self.members.ended.wait()
            await self.clock.sleep(LOOK_SECONDS)  # what ended processes do now, they should not
        self.history.add(PhaseBegan("end"))

    def _sample(self) -> None:
        if self.ending:
            return
        for life in self.members.lives.values():
            name = life.process.name
            if name in self._laden and life.consumer is not None and life.process.alive:
                sample = sampled(name, life.consumer)
                self.history.add(sample)
                if not any(sample[1:]):
                    del self._laden[name]
        self.clock.after(SAMPLE_SECONDS, self._sample)

    def _note_records(self, event: RecordsDelivered) -> None:
        if event.offsets:
            self._laden[event.process] = None


def run_world(
    scenario: Scenario,
    *,
    dice: Dice | None = None,
    handler: HandlerOf = stock_handler,
    oracles: Iterable[str] | None = None,
    scheduler: Scheduler | None = None,
    prepare: Callable[[World], object] | None = None,
    record_steps: bool = False,
) -> Outcome:
    """Run a scenario to its end.

    Args:
        scenario: What to run.
        dice: Draws instead of the scenario's seed.
        handler: Makes the handler of each process.
        oracles: Names of the oracles that watch; all by default.
        scheduler: Chooses tasks instead of the scenario's scheduler.
        prepare: Called with the world before it begins, for instance to listen to its history.
        record_steps: Keep the name of the task of each step, for comparing two runs.
    """
    with collected():
        return _outcome(scenario, dice, handler, oracles, scheduler, prepare, Steps(recording=record_steps))


def _outcome(
    scenario: Scenario,
    dice: Dice | None,
    handler: HandlerOf,
    oracles: Iterable[str] | None,
    scheduler: Scheduler | None,
    prepare: Callable[[World], object] | None,
    steps: Steps,
) -> Outcome:
    world = World(scenario, dice=dice, handler=handler)
    violations: list[Violated] = []
    transitions: list[Transition] = []
    world.history.listen(Violated, violations.append)
    world.history.listen(Transition, transitions.append)
    stock = handler is stock_handler
    watching = watch(world.history, expectations(scenario, effects=stock, cancellable=stock), oracles)
    if prepare is not None:
        prepare(world)
    error = ""
    chooser = scheduler or named_scheduler(scenario.scheduler, world.dice.split("schedule"), depth=scenario.depth)
    try:
        run(
            world.main,
            clock=world.clock,
            scheduler=chooser,
            steps_max=STEPS_MAX,
            seconds_max=scenario.fault_seconds + scenario.heal_seconds + 2 * END_SECONDS,
            steps=steps,
            seed=scenario.seed,
        )
    except (Exception, BaseExceptionGroup) as failure:
        error = "".join(traceback.format_exception(failure))
    else:
        watching.finish()
    return Outcome(
        scenario=scenario,
        violations=tuple(violations),
        moments=tuple(world.history.moments),
        fired=Counter(world.faults.fired),
        transitions=Counter([row[1:] for row in transitions]),
        steps=steps.count,
        seconds=world.clock.now,
        error=error,
        taken=tuple(steps.recorded),
    )
