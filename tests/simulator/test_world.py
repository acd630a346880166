"""Worlds: two phases, lives of members, and what a death cuts off."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import trio

from simulator.faults.catalogue import KINDS
from simulator.runtime.processes import Process
from simulator.world.draw import REFERENCE_FAULTS, draw, reference
from simulator.world.history import (
    CommitApplied,
    CommitAsked,
    EffectApplied,
    FaultFired,
    HandlerEnded,
    HandlerStarted,
    PhaseBegan,
    ProcessEnded,
    ProcessKilled,
    ProcessStarted,
    Sampled,
)
from simulator.world.nemesis import ACTS
from simulator.world.scenario import TOPIC, Scenario
from simulator.world.workload import POISON
from simulator.world.world import Handler, Outcome, World, run_world
from trio_consumer import ConfigurationError, Partition, Record


def events(outcome: Outcome, kind: type[Any]) -> list[Any]:
    return [moment.event for moment in outcome.moments if isinstance(moment.event, kind)]


def clean(outcome: Outcome) -> Outcome:
    """The outcome, which neither an oracle nor the world itself complained of."""
    assert not outcome.violations
    assert outcome.error == ""
    return outcome


# Scenarios


def test_a_seed_always_draws_the_same_scenario() -> None:
    assert [draw(seed) for seed in range(50)] == [draw(seed) for seed in range(50)]


def test_what_is_given_changes_nothing_else() -> None:
    drawn, given = draw(7), draw(7, members=4, options={"grace": 0.25})
    assert (given.members, given.options["grace"]) == (4, 0.25)
    assert (given.faults, given.settings, given.scheduler) == (drawn.faults, drawn.settings, drawn.scheduler)
    assert {**given.options, "grace": 0} == {**drawn.options, "grace": 0}


def test_seeds_draw_every_kind_of_fault_and_seldom_many_at_once() -> None:
    scenarios = [draw(seed) for seed in range(200)]
    assert frozenset().union(*(scenario.faults for scenario in scenarios)) == frozenset(KINDS)
    sizes = sorted(len(scenario.faults) for scenario in scenarios)
    assert sizes[20] < len(KINDS) * 0.1 < len(KINDS) * 0.6 < sizes[-20]


def test_the_reference_scenario_is_what_figures_are_measured_with() -> None:
    for seed in range(5):
        scenario = reference(seed)
        assert (scenario.members, scenario.partitions, scenario.records) == (2, 3, 120)
        assert scenario.faults == REFERENCE_FAULTS


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"scheduler": "fair"}, "scheduler='fair': give one of 'shuffle', 'hold-back', 'pct'"),
        ({"protocol": "sticky"}, "protocol='sticky': give one of"),
        ({"members": 0}, "members=0: give a number of at least 1"),
        ({"version": "2.0"}, "version='2.0'"),
    ],
)
def test_a_wrong_scenario_is_refused(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        Scenario(seed=1, **wrong)


def test_a_scenario_can_be_pasted() -> None:
    for seed in range(20):
        scenario = draw(seed)
        assert eval(scenario.pasted(), {"Scenario": Scenario}) == scenario


# Faults


def test_each_timed_kind_has_an_act_and_no_other() -> None:
    assert set(ACTS) == {kind for kind, row in KINDS.items() if row.weight}


def test_each_kind_is_either_timed_or_asked_for() -> None:
    assert all(bool(row.rate) is not bool(row.weight) for row in KINDS.values())


def test_muted_firings_do_not_happen() -> None:
    scenario = draw(3, faults={"crash", "handler-fails"})
    fired = events(run_world(scenario), FaultFired)
    assert fired
    muted = run_world(draw(3, faults={"crash", "handler-fails"}, muted={fired[0].number}))
    assert fired[0].number not in {event.number for event in events(muted, FaultFired)}


# The two phases


@pytest.mark.parametrize("protocol", ["range", "cooperative-sticky", "consumer"])
def test_without_faults_each_record_is_handled_once(protocol: str) -> None:
    outcome = clean(run_world(Scenario(seed=1, protocol=protocol, records=60)))
    done = [(event.partition, event.offset) for event in events(outcome, HandlerEnded)]
    assert len(done) == len(set(done)) >= 60 * 0.5  # some are in transactions that were aborted
    assert {event.outcome for event in events(outcome, HandlerEnded)} == {"succeeded"}
    assert [event.phase for event in events(outcome, PhaseBegan)] == ["faults", "heal", "end"]
    assert outcome.fired == {}


def test_after_healing_no_fault_fires_and_all_is_committed() -> None:
    worlds: list[World] = []
    outcome = clean(run_world(draw(12, faults=frozenset(KINDS)), prepare=worlds.append))
    healed = next(moment.time for moment in outcome.moments if moment.event == PhaseBegan("heal"))
    assert outcome.fired
    assert not [moment for moment in outcome.moments if isinstance(moment.event, FaultFired) and moment.time > healed]
    assert worlds[0].done()


def test_what_the_world_dies_of_is_told() -> None:
    def wrong(world: World) -> None:
        world.clock.after(1.0, lambda: 1 // 0)

    outcome = run_world(Scenario(seed=1), prepare=wrong)
    assert outcome.failed
    assert "ZeroDivisionError" in outcome.error


def test_the_same_scenario_gives_the_same_history() -> None:
    scenario = draw(5)
    one, other = run_world(scenario, record_steps=True), run_world(scenario, record_steps=True)
    assert one.taken == other.taken
    assert [moment.time for moment in one.moments] == [moment.time for moment in other.moments]
    assert one.fired == other.fired


# Lives


def test_a_killed_process_has_no_effect_any_more_and_another_one_starts() -> None:
    """Its last commit is in a shield with a deadline of seconds, and must not reach the broker."""
    handled: list[tuple[str, bool]] = []

    def handler(world: World, process: Process) -> Handler:
        async def handle(record: Record) -> None:
            try:
                await trio.sleep(0.2)
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(5)
                handled.append((process.name, process.alive))

        return handle

    def kill(world: World) -> None:
        world.clock.after(2.0, world.members.kill, "m0")

    scenario = Scenario(seed=3, members=1, partitions=1, records=6, keys=6, fault_seconds=3.0)
    outcome = run_world(scenario, handler=handler, prepare=kill, oracles=["commit", "order"])
    assert outcome.error == ""
    assert outcome.violations == ()
    killed = next(at for at, moment in enumerate(outcome.moments) if isinstance(moment.event, ProcessKilled))
    later = [moment.event for moment in outcome.moments[killed + 1 :]]
    of_the_dead = (CommitAsked, CommitApplied, HandlerStarted, HandlerEnded, EffectApplied)
    assert not [event for event in later if isinstance(event, of_the_dead) and event.process == "m0.1"]
    assert ("m0.1", True) not in handled
    assert ProcessStarted("m0.2") in later
    assert any(name == "m0.2" and alive for name, alive in handled)


def test_a_world_may_end_before_its_members_have_begun() -> None:
    for seed in range(4):
        outcome = clean(run_world(Scenario(seed=seed, records=0, fault_seconds=0.0)))
        assert outcome.seconds < 5


def test_a_consumer_is_sampled_while_it_has_something_in_hand() -> None:
    outcome = clean(run_world(Scenario(seed=1, records=40)))
    samples = events(outcome, Sampled)
    assert any(sample.in_flight or sample.queued_records for sample in samples)
    quiet = clean(run_world(Scenario(seed=1, records=0)))
    assert not events(quiet, Sampled)


def test_a_member_that_is_cancelled_comes_back() -> None:
    outcome = clean(
        run_world(
            Scenario(seed=4, members=1, records=30),
            prepare=lambda world: world.clock.after(1.0, world.members.cancel, "m0"),
        )
    )
    assert ProcessEnded("m0.1", "") in events(outcome, ProcessEnded)
    assert ProcessStarted("m0.2") in events(outcome, ProcessStarted)


def test_a_handler_of_ones_own_sees_every_record() -> None:
    seen: list[bytes] = []

    def handler(world: World, process: Process) -> Handler:
        async def handle(record: Record) -> None:
            await trio.lowlevel.checkpoint()
            seen.append(record.value)

        return handle

    worlds: list[World] = []
    outcome = run_world(Scenario(seed=2, records=40), handler=handler, prepare=worlds.append)
    assert outcome.error == ""
    produced = [entry.value for number in range(3) for entry in worlds[0].cluster.visible(Partition(TOPIC, number))]
    assert sorted(seen, key=repr) == sorted(produced, key=repr)
    assert len(produced) >= 20


def test_the_stock_workload_has_what_handlers_stumble_over() -> None:
    entries = []
    for seed in range(4):
        worlds: list[World] = []
        clean(run_world(Scenario(seed=seed, records=200, partitions=1), prepare=worlds.append))
        entries += worlds[0].cluster.log(Partition(TOPIC, 0)).entries
    assert POISON in [entry.value for entry in entries]
    assert {entry.control for entry in entries} == {entry.aborted for entry in entries} == {True, False}
    assert any(entry.key is None for entry in entries if not entry.control)
    assert any(entry.value is None for entry in entries if not entry.control)
    assert any(entry.headers for entry in entries)
    times = [entry.timestamp for entry in entries if entry.timestamp is not None]
    assert any(later < earlier for earlier, later in pairwise(times))


@pytest.mark.parametrize("seed", [62, 291, 962, 1665, 3371, 4275, 15859, 20626, 30016, 41203, 43240, 61162])
def test_worlds_that_failed_once(seed: int) -> None:
    """Each had a finding while the simulator was built: of the consumer, of the simulated client or of an oracle."""
    clean(run_world(draw(seed)))
