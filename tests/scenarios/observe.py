"""Play scenarios on a real broker, many at a time, and gather what was observed."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Iterable
from typing import TypeAlias

import trio

from . import absence, commits, holes, joining, outages, positions, topics, verdicts
from .kafka import GroupProtocol, Kafka
from .real import Cluster, RealKafka, cluster
from .scenario import SCENARIOS, Scenario
from .stage import Stage

MODULES = (joining, topics, absence, commits, verdicts, positions, holes, outages)
"""Entering their scenarios is what importing them is for."""

Case: TypeAlias = tuple[str, GroupProtocol]
Notes: TypeAlias = dict[str, list[str]]

SCENARIO_SECONDS_MAX = 90.0
AT_ONCE = 14
"""Scenarios that play side by side."""


def cases(names: Collection[str] = ()) -> list[Case]:
    """Every scenario under each of its protocols."""
    chosen = [one for one in SCENARIOS.values() if not names or one.name in names]
    return [(one.name, protocol) for one in chosen for protocol in one.protocols]


async def play(scenario: Scenario, protocol: GroupProtocol, kafka: Kafka) -> Notes:
    """What was observed; an error of the scenario's is under ``error``."""
    notes: Notes = {}
    try:
        with trio.fail_after(SCENARIO_SECONDS_MAX):
            async with trio.open_nursery() as nursery:
                stage = Stage(kafka, protocol, nursery)
                notes = stage.notes
                await scenario.act(stage)
                notes = stage.notes
                nursery.cancel_scope.cancel()
    except Exception:
        notes["error"] = traceback.format_exc().splitlines()[-12:]
    return notes


async def observe(
    wanted: Iterable[Case],
    *,
    at_once: int = AT_ONCE,
    seen: Callable[[Case, float], object] = lambda case, seconds: None,
) -> dict[Case, Notes]:
    """Play these on brokers of their own: those that end the broker have one for themselves, and end it together.

    Args:
        wanted: What to play.
        at_once: How many side by side.
        seen: Told of each that is over, and how many seconds it took.
    """
    wanted = list(wanted)
    found: dict[Case, Notes] = {}
    peaceful = [case for case in wanted if not SCENARIOS[case[0]].outage]
    outages = [case for case in wanted if SCENARIOS[case[0]].outage]
    for chosen, limit in ((peaceful, at_once), (outages, len(outages))):
        if chosen:
            async with cluster(len(outages)) as shared:
                await _side_by_side(shared, chosen, limit, found, seen)
    return found


async def _side_by_side(
    shared: Cluster,
    wanted: Collection[Case],
    at_once: int,
    found: dict[Case, Notes],
    seen: Callable[[Case, float], object],
) -> None:
    limit = trio.CapacityLimiter(at_once)

    async def one(case: Case) -> None:
        scenario = SCENARIOS[case[0]]
        async with limit:
            began = trio.current_time()
            found[case] = await play(scenario, case[1], RealKafka(shared, relayed=scenario.relayed))
            seen(case, trio.current_time() - began)
        if scenario.outage:
            shared.lockstep.leave()

    async with trio.open_nursery() as nursery:
        for case in wanted:
            nursery.start_soon(one, case)
