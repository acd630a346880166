"""A Hypothesis state machine over a world: rules decide what happens next, and the schedule is drawn as well.

The world stands still between two rules; each rule does one thing and lets some virtual time pass. At the end
everything heals, and all must be consumed and committed. Derive from it to add rules of your own, or another handler:

    class MyMachine(WorldMachine):
        subject = my_handler

    TestMyHandler = MyMachine.TestCase

A failure prints the rules of the shortest run that Hypothesis found, as a program that one can paste into a test.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, ClassVar

import attrs
import trio
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from trio_consumer import Partition, Record

from .checking import TIMING
from .oracles import watch
from .runtime.run import Stepped, stepped
from .runtime.schedulers import Delays
from .strategies import HypothesisSource
from .subject import Actor, GivenProducer, cast, under_faults
from .tape import DrawnDice
from .world.expect import expectations
from .world.history import ProcessFrozen, ProcessThawed, Violated
from .world.members import Life
from .world.scenario import GROUP, PROTOCOLS, TOPIC, Scenario
from .world.world import World

MEMBERS_MAX = 4
SESSION_SECONDS = 3.0
SECONDS = st.sampled_from((0.1, 0.01, 0.5, 1.0, 4.0))
"""How long to wait; 4 s are longer than a session."""


async def _sleeps(record: Record) -> None:
    await trio.sleep(0.01)


class SteppedWorld(World):
    """A world that waits to be told when to heal."""

    def __init__(self, scenario: Scenario, **given: Any) -> None:
        super().__init__(scenario, **given)
        self._told = trio.Event()

    async def main(self) -> None:
        async with trio.open_nursery() as self.nursery:
            self.begin()
            await self._told.wait()
            self.heal()
            with trio.move_on_after(self.scenario.heal_seconds):  # noqa: ASYNC912
                while not self.done():  # noqa: ASYNC110  asks the broker, which tells nobody
                    await trio.sleep(0.1)
            await self.finish()
            self.nursery.cancel_scope.cancel()

    def tell(self) -> None:
        """It shall heal and end."""
        self._told.set()


class WorldMachine(RuleBasedStateMachine):
    """See the module.

    Attributes:
        subject: The handler, or what makes one: as `simulator.check` takes it.
        given: Fields of `Scenario`.
        world: The world, for rules of your own.
    """

    subject: ClassVar[Any] = staticmethod(_sleeps)
    given: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.world: SteppedWorld
        self._source: HypothesisSource | None = None
        self._stack = ExitStack()
        self._stepped: Stepped | None = None
        self._violated: list[Violated] = []
        self._started = 0
        self._produced = 0

    @initialize(
        data=st.data(), protocol=st.sampled_from(PROTOCOLS), members=st.integers(1, 2), partitions=st.integers(1, 3)
    )
    def begin(self, data: Any, protocol: str, members: int, partitions: int) -> None:
        """A group and its topic."""
        fixed = {
            "protocol": protocol,
            "members": members,
            "partitions": partitions,
            "records": 0,
            "heal_seconds": 60.0,
            "options": dict(TIMING),
        }
        scenario = Scenario(seed=0, **{**fixed, **self.given})
        self._source = HypothesisSource(data)
        dice = DrawnDice(self._source)
        actors: list[Actor] = []
        self.world = world = SteppedWorld(
            scenario, dice=dice, handler=lambda world, process: under_faults(world, process, actors[0].handle)
        )
        actors.append(cast(type(self).subject, world))
        world.producer = GivenProducer(world, 0)  # type: ignore[assignment]
        world.history.listen(Violated, self._violated.append)
        self._watching = watch(
            world.history, attrs.evolve(expectations(scenario, effects=False, cancellable=False), faults=True)
        )
        self._actor = actors[0]
        self._started = members
        running = stepped(world.main, clock=world.clock, scheduler=Delays(dice.split("schedule")), steps_max=1_000_000)
        self._stepped = self._stack.enter_context(running)
        self._after(0.5)

    # What happens

    @rule(count=st.integers(1, 5), key=st.integers(0, 2), seconds=SECONDS)
    def produce(self, count: int, key: int, seconds: float) -> None:
        partition = Partition(TOPIC, key % self.world.cluster.partitions(TOPIC))
        for _ in range(count):
            self._produced += 1
            self.world.cluster.append(partition, b"k%d" % key, b"%d" % self._produced)
        self._after(seconds)

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        self._after(seconds)

    @precondition(lambda self: self._lives())
    @rule(which=st.integers(0, MEMBERS_MAX), seconds=SECONDS)
    def crash(self, which: int, seconds: float) -> None:
        """A process dies; another one starts in its place after a while."""
        life = self._life(which)
        self._note("crash", life.process.name)
        self.world.members.kill(life.process.member)
        self._after(seconds)

    @precondition(lambda self: self._lives())
    @rule(which=st.integers(0, MEMBERS_MAX), seconds=SECONDS)
    def leave(self, which: int, seconds: float) -> None:
        """A member drains and leaves the group, and comes back."""
        life = self._life(which)
        self._note("leave", life.process.name)
        self.world.members.leave(life.process.member)
        self._after(seconds)

    @precondition(lambda self: self._started < MEMBERS_MAX)
    @rule(seconds=SECONDS)
    def join(self, seconds: float) -> None:
        """One more member."""
        name = f"m{self._started}"
        self._note("join", name)
        self.world.members.start(name)
        self._started += 1
        self._after(seconds)

    @precondition(lambda self: self._lives())
    @rule(which=st.integers(0, MEMBERS_MAX), seconds=SECONDS)
    def cut(self, which: int, seconds: float) -> None:
        """A process cannot reach any broker, for a while."""
        name = self._life(which).process.name
        self._note("cut" if seconds < SESSION_SECONDS else "cut-past-session", name)
        self.world.network.cut(name)
        self._after(seconds)
        self.world.network.mend(name)

    @precondition(lambda self: self._lives())
    @rule(which=st.integers(0, MEMBERS_MAX), whole=st.booleans(), seconds=SECONDS)
    def freeze(self, which: int, whole: bool, seconds: float) -> None:
        """A process stands still for a while: only its tasks, or its client, too."""
        process = self._life(which).process
        past = seconds >= SESSION_SECONDS
        self._note(("stall-past-session" if past else "stall") if whole else "loop-blocked", process.name)
        process.freeze(whole=whole)
        self.world.history.add(ProcessFrozen(process.name, whole))
        self._after(seconds)
        if process.alive:
            self.world.history.add(ProcessThawed(process.name))
            process.thaw()

    @rule(seconds=SECONDS)
    def move_coordinator(self, seconds: float) -> None:
        self._note("coordinator-moves", GROUP)
        coordinator = self.world.cluster.coordinator
        nodes = list(self.world.cluster.nodes)
        node = coordinator.node_of(GROUP)
        coordinator.move(GROUP, nodes[(nodes.index(node) + 1) % len(nodes) if node in nodes else 0], 0.2)
        self._after(seconds)

    @rule(number=st.integers(0, 2), seconds=SECONDS)
    def move_leader(self, number: int, seconds: float) -> None:
        partition = Partition(TOPIC, number % self.world.cluster.partitions(TOPIC))
        self._note("leader-moves", str(partition))
        self.world.cluster.move_leader(partition)
        self._after(seconds)

    # What must hold

    @invariant()
    def nothing_is_violated(self) -> None:
        if self._violated:
            violation = self._violated[0]
            raise AssertionError(f"{violation.oracle}: {violation.text}")

    def teardown(self) -> None:
        """Everything heals, and all must be consumed and committed."""
        with self._stack:
            if self._source is None or self._stepped is None:
                return
            if not self._violated:
                self.world.tell()
                self._stepped.finish()
                self._watching.finish()
                self._source.finish()
                self.nothing_is_violated()
                if self._actor.invariant is not None:
                    self._actor.invariant()

    # For rules

    def _after(self, seconds: float) -> None:
        """Let so much time pass."""
        if self._stepped is not None and self._source is not None:
            self._stepped.advance(seconds)
            self._source.finish()

    def _note(self, kind: str, target: str) -> None:
        """The history tells of each fault, and the oracles judge by it."""
        self.world.faults.note(kind, target)

    def _lives(self) -> list[Life]:
        return [life for life in self.world.members.lives.values() if life.process.alive]

    def _life(self, which: int) -> Life:
        lives = self._lives()
        return lives[which % len(lives)]
