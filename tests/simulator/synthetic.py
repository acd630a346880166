"""A world that is made up: a history with one of everything, in no time, and a bug that needs certain things.

It fails by the oracle ``g1-made-up`` if there are two members, two partitions, seven records, and the fault
``commit-delayed`` fires: what a shrink has to find out.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping

import attrs

from simulator.runtime.dice import SeededDice
from simulator.world import history as h
from simulator.world.scenario import GROUP, TOPIC, Scenario
from trio_consumer import ConfigurationError, Partition

ORACLE = "g1-made-up"
ROWS = (("classic", "Empty", "join", "PreparingRebalance"), ("classic", "PreparingRebalance", "sync", "Stable"))


@attrs.frozen
class Outcome:
    """As `simulator.world.world.Outcome`."""

    scenario: Scenario
    moments: tuple[h.Moment, ...]
    fired: Mapping[str, int]
    transitions: Mapping[tuple[str, str, str, str], int]
    steps: int
    seconds: float
    error: str = ""
    taken: tuple[tuple[float, str], ...] = ()


class Story:
    """Tells a history, one event after the other."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.dice = SeededDice(scenario.seed)
        self.moments: list[h.Moment] = []
        self.now = 0.0
        self.calls = self.commits = self.tenures = self.faults = 0
        self.fired: Counter[str] = Counter()
        self.ends: dict[Partition, int] = {}
        self.done: dict[Partition, int] = {}

    def add(self, event: object, after: float = 0.0) -> None:
        self.now += after
        self.moments.append(h.Moment(self.now, event))

    def fires(self, kind: str, target: str) -> bool:
        if kind not in self.scenario.faults:
            return False
        number = self.faults
        self.faults += 1
        if number in self.scenario.muted:
            return False
        self.fired[kind] += 1
        self.add(h.FaultFired(kind, number, target), 0.001)
        return True

    def assign(self, process: str, partitions: list[Partition]) -> None:
        self.tenures += len(partitions)
        tenures = {one: self.tenures - index for index, one in enumerate(partitions)}
        committed = {one: (self.done[one] or -1, "tc1:b2:Vg" if self.done[one] else "") for one in partitions}
        self.add(h.AssignmentDelivered(process, tenures, committed), 0.02)

    def commit(self, process: str, partition: Partition, *, in_revoke: bool = False, error: str = "") -> None:
        self.commits += 1
        at = (self.done[partition], "tc1:r6:map" if self.commits % 3 == 0 else "")
        self.add(h.CommitAsked(process, self.commits, {partition: at}, in_revoke))
        if error:
            self.add(h.CommitRefused(process, self.commits, GROUP, partition, error), 0.004)
        else:
            self.add(h.CommitApplied(process, self.commits, GROUP, partition, *at, max(at[0] - 3, -1)), 0.004)
        self.add(h.CommitAnswered(process, self.commits, error), 0.004)

    def handle(self, process: str, partition: Partition, count: int) -> None:
        """Several records at once; their handlers overlap."""
        first = self.done[partition]
        offsets = tuple(range(first, min(first + count, self.ends[partition])))
        if not offsets:
            return
        self.add(h.RecordsDelivered(process, partition, offsets, offsets[-1] + 1, self.ends[partition]), 0.004)
        running = []
        for offset in offsets:
            self.calls += 1
            key = f"k{self.dice.below(5)}".encode()
            self.add(h.HandlerStarted(process, self.calls, partition, offset, key, 1), 0.002)
            running.append((self.calls, offset))
        for call, offset in running:
            outcome = ("succeeded", "succeeded", "succeeded", "failed", "cancelled")[self.dice.below(5)]
            detail = "StockError: </script><b>once in a while" if outcome == "failed" else ""
            self.add(h.HandlerEnded(process, call, partition, offset, outcome, detail), self.dice.uniform(0.005, 0.06))
        self.done[partition] = offsets[-1] + 1

    def tell(self) -> Outcome:
        scenario = self.scenario
        self.add(h.PhaseBegan("faults"))
        self.add(h.TopicCreated(TOPIC, 1, scenario.partitions))
        partitions = [Partition(TOPIC, number) for number in range(scenario.partitions)]
        for one in partitions:
            self.ends[one] = self.done[one] = 0
        for number in range(scenario.records):
            one = partitions[number % len(partitions)]
            self.add(h.Appended(one, self.ends[one], b"k", number % 9 != 8))
            self.ends[one] += 1
        members = [f"m{number}.1" for number in range(scenario.members)]
        for number, member in enumerate(members):
            self.add(h.ProcessStarted(member), 0.01)
            self.add(h.Transition(GROUP, *ROWS[0]))
            self.assign(member, partitions[number :: len(members)])
        self._faults(members, partitions)
        self.add(h.PhaseBegan("heal"))
        self._drain(members[0], partitions)
        self.add(h.PhaseBegan("end"), 0.1)
        fired = dict(self.fired)
        taken = Counter(tuple(m.event[1:]) for m in self.moments if type(m.event) is h.Transition)
        return Outcome(scenario, tuple(self.moments), fired, taken, len(self.moments), self.now)  # type: ignore[arg-type]

    def _faults(self, members: list[str], partitions: list[Partition]) -> None:
        first, last = members[0], members[-1]
        for one in partitions:
            self.handle(first if one in partitions[:: len(members)] else last, one, 6)
            self.commit(first, one, error="ILLEGAL_GENERATION" if self.fires("commit-delayed", first) else "")
        delayed = self.fired["commit-delayed"] and len(members) > 1 and len(partitions) > 1
        if delayed and self.scenario.records >= 7:
            text = f"commit 1 of {first} covers {partitions[1]}@2, which was not handled"
            self.add(h.Violated(ORACLE, "lost-write", text), 0.01)
        if self.fires("stall", last):
            self.add(h.ProcessFrozen(last, True), 0.01)
            self.add(h.ProcessThawed(last), 0.3)
        self.add(h.RevokeDelivered(first, tuple(partitions[:1])), 0.05)
        self.commit(first, partitions[0], in_revoke=True)
        self.add(h.Released(first, tuple(partitions[:1])), 0.08)
        if self.fires("crash", last) and len(members) > 1:
            self.calls += 1
            self.add(h.HandlerStarted(last, self.calls, partitions[-1], 0, None, 2), 0.02)
            self.add(h.ProcessKilled(last), 0.07)
            members[-1] = last = last.replace(".1", ".2")
            self.add(h.ProcessStarted(last), 0.3)
            self.assign(last, partitions[-1:])
        self.add(h.ErrorDelivered(first, "_TRANSPORT", False), 0.01)
        self.add(h.LossDelivered(last, tuple(partitions[-1:])), 0.2)
        self.add(h.FetchPaused(first, tuple(partitions[:1])), 0.01)
        self.add(h.FetchResumed(first, tuple(partitions[:1])), 0.1)

    def _drain(self, member: str, partitions: list[Partition]) -> None:
        self.add(h.Transition(GROUP, *ROWS[1]), 0.05)
        self.assign(member, partitions)
        while any(self.done[one] < self.ends[one] for one in partitions):
            for one in partitions:
                self.handle(member, one, 9)
                self.commit(member, one)
        self.add(h.ProcessEnded(member, ""), 0.05)


def run(scenario: Scenario) -> Outcome:
    """As `simulator.world.world.run_world`."""
    return Story(scenario).tell()


def run_rough(scenario: Scenario) -> Outcome:
    """Some seeds end their process, one raises, and one does not come to its end."""
    if scenario.seed == 3:
        os._exit(7)
    if scenario.seed == 5:
        raise RuntimeError("of the world itself")
    return run(scenario)


def run_endless(scenario: Scenario) -> Outcome:
    if scenario.seed == 1:
        while True:
            time.sleep(0.01)
    return run(scenario)


def run_picky(scenario: Scenario) -> Outcome:
    """Refuses what is too small, as a consumer's settings may."""
    if scenario.partitions < 2:
        raise ConfigurationError("partitions=1: give 2")
    return run(scenario)


def run_hashed(scenario: Scenario) -> Outcome:
    """Depends on the order of a set of texts, which the hash seed decides."""
    outcome = run(scenario)
    order = ",".join({f"name {number}" for number in range(20)})
    last = h.Moment(outcome.seconds, h.ProcessEnded("m0.1", order))
    return attrs.evolve(outcome, moments=(*outcome.moments, last))
