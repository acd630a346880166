"""Hypothesis over worlds: what it finds, how small that gets, and that it can be pasted."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import simulator
from simulator import Play, Scenario
from simulator.bugs.catalogue import BUGS
from simulator.strategies import RELAXED, worlds

SMALL = settings(RELAXED, max_examples=40, database=None, derandomize=True, phases=[Phase.generate, Phase.shrink])
PLAIN = {"grace": 0.5, "revoke_deadline": 2.0}


def falsified(bug: str, **fixed: Any) -> simulator.Falsified:
    """What Hypothesis says of a consumer with a planted bug."""

    @settings(SMALL)
    @given(worlds(**fixed))
    def test(world: Play) -> None:
        world.check()

    with BUGS[bug].planted(), pytest.raises(simulator.Falsified) as caught:
        test()
    return caught.value


@settings(SMALL)
@given(worlds())
def test_worlds_of_all_kinds_pass(world: Play) -> None:
    world.check()


@settings(SMALL)
@given(worlds(protocol="consumer", members=st.integers(1, 2)))
def test_fields_are_fixed_or_drawn(world: Play) -> None:
    assert world.scenario.protocol == "consumer"
    assert world.scenario.members in (1, 2)


def test_a_planted_bug_is_found_and_gets_small_and_can_be_pasted() -> None:
    bug = BUGS["two-lanes-for-one-key"]
    found = falsified(bug.name, records=st.integers(1, 8), faults={"crash"}, members=1, options=PLAIN, partitions=1)
    assert found.outcome.scenario.records <= 3
    assert not found.outcome.fired
    assert found.outcome.violations[0].oracle in bug.accepted
    printed = str(found).partition("Again:\n")[2].partition(".check(...)")[0]
    play = eval(printed, {"Play": Play, "Scenario": Scenario})
    with bug.planted():
        assert play.run().violations == found.outcome.violations
    assert not play.run().failed


def test_the_schedule_shrinks_too() -> None:
    """A race in a handler that only a late task brings about: the smallest world has one delay."""
    found: list[Play] = []

    class Races:
        """Reads, waits a step, and writes what it read, plus one."""

        def __init__(self, world: simulator.World) -> None:
            self.world = world
            self.count = 0

        async def handle(self, record: Any) -> None:
            count = self.count
            await trio.lowlevel.checkpoint()
            self.count = count + 1

        def invariant(self) -> None:
            assert self.count == len(simulator.visible(self.world))

    @settings(SMALL)
    @given(worlds(records=st.integers(1, 8), faults=frozenset(), members=1, partitions=1, options=PLAIN))
    def test(world: Play) -> None:
        try:
            world.check(Races, records=[(b"%d" % number, b"") for number in range(world.scenario.records)])
        except simulator.Falsified:
            found.append(world)
            raise

    with pytest.raises(simulator.Falsified):
        test()
    assert found[-1].scenario.records <= 3
    assert sum(map(len, found[-1].tape.values())) <= 4
