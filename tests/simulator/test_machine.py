"""The state machine over a world: that it passes, that it finds a planted bug, and what it prints."""

from __future__ import annotations

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import rule, run_state_machine_as_test

from simulator.bugs.catalogue import BUGS
from simulator.machine import WorldMachine
from simulator.strategies import RELAXED
from trio_consumer import Record

FEW = settings(
    RELAXED,
    max_examples=20,
    stateful_step_count=6,
    database=None,
    derandomize=True,
    phases=[Phase.generate, Phase.shrink],
)


def test_whatever_happens_all_is_handled_and_committed() -> None:
    run_state_machine_as_test(WorldMachine, settings=FEW)


def test_a_planted_bug_is_found_and_the_rules_are_printed() -> None:
    with BUGS["two-lanes-for-one-key"].planted(), pytest.raises(AssertionError, match="order: ") as caught:
        run_state_machine_as_test(WorldMachine, settings=FEW)
    printed = "\n".join(caught.value.__notes__)
    assert "state.begin(" in printed
    assert "state.produce(" in printed
    assert printed.count("state.") <= 12


def test_rules_handlers_and_invariants_of_ones_own() -> None:
    class Counts:
        def __init__(self, world: object) -> None:
            self.offsets: set[tuple[int, int]] = set()

        async def handle(self, record: Record) -> None:
            self.offsets.add((record.partition, record.offset))

        def invariant(self) -> None:
            assert len(self.offsets) < 7

    class Machine(WorldMachine):
        subject = Counts

        @rule()
        def many(self) -> None:
            self.produce(count=4, key=0, seconds=0.1)

    with pytest.raises(AssertionError) as caught:
        run_state_machine_as_test(Machine, settings=FEW)
    assert "< 7" in str(caught.value)
