"""The coordinator's state machines, as data: every state, every event, and the state after it.

The table *is* the machine: `Machine.take` looks the row up, and what has no row is an error, never a silent no-op. Each
row that is taken is told to the history, so that coverage is a question of which rows were seen. What an event *does*
is in `classic` and `consumer_protocol`; the verdicts on requests are in `validation`.

Where a real coordinator has more states than anybody outside can tell apart, there is one here. The classic group keeps
Kafka's own five; a group of KIP-848 has ``Assigning`` from a change until the next heartbeat computes a new target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

Emit: TypeAlias = Callable[[str, str, str, str], None]
"""Tells that a row was taken: table, state, event, after."""


class Row(NamedTuple):
    """One row.

    Args:
        state: Before; ``any`` in tables of verdicts, where the state does not matter.
        event: What happened, or which rule applied.
        after: The state after it; in tables of verdicts the error, or ``ok``.
        scripted: True if drawn worlds take it never, or fewer than four times in a thousand: it needs a hand-made
            request, an administrator, or more bad luck than one can wait for. Tests and scripted scenarios take it.
    """

    state: str
    event: str
    after: str
    scripted: bool = False


class UnknownTransition(Exception):
    """The coordinator did what its table does not have: a defect of the simulator."""


class Machine:
    """A state, and the table that moves it."""

    __slots__ = ("_after", "_emit", "state", "table")

    def __init__(self, table: str, state: str, emit: Emit) -> None:
        self.table = table
        self.state = state
        self._after = _AFTER[table]
        self._emit = emit

    def take(self, event: str) -> None:
        """This happened.

        Raises:
            UnknownTransition: The table has no row for it.
        """
        state = self.state
        after = self._after.get((state, event))
        if after is None:
            raise UnknownTransition(f"{self.table}: {event!r} in {state} has no row; add one, or don't do it there")
        self.state = after
        self._emit(self.table, state, event, after)


def _rows(text: str) -> tuple[Row, ...]:
    """One row a line: state, event, after, set apart by ``|``; a ``*`` at the end marks a scripted one."""
    rows = []
    for line in text.strip().splitlines():
        state, event, after, *mark = (part.strip() for part in line.split("|"))
        rows.append(Row(state, event, after, mark == ["*"]))
    return tuple(rows)


# Classic groups

EMPTY = "Empty"
PREPARING = "PreparingRebalance"
COMPLETING = "CompletingRebalance"
STABLE = "Stable"
DEAD = "Dead"

CLASSIC_GROUP = _rows("""
    Empty               | member joins               | PreparingRebalance
    Empty               | group deleted              | Dead                | *
    Empty               | loaded without members     | Empty
    PreparingRebalance  | member joins               | PreparingRebalance
    PreparingRebalance  | member rejoins             | PreparingRebalance
    PreparingRebalance  | member replaced            | PreparingRebalance
    PreparingRebalance  | member gone                | PreparingRebalance
    PreparingRebalance  | all have joined            | CompletingRebalance
    PreparingRebalance  | rebalance timeout          | CompletingRebalance | *
    PreparingRebalance  | only absent static members | PreparingRebalance  | *
    PreparingRebalance  | nobody left                | Empty
    PreparingRebalance  | loaded with members        | Stable
    PreparingRebalance  | loaded without members     | Empty
    CompletingRebalance | member joins               | PreparingRebalance
    CompletingRebalance | member rejoins             | PreparingRebalance
    CompletingRebalance | joins again, unchanged     | CompletingRebalance | *
    CompletingRebalance | member replaced            | PreparingRebalance  | *
    CompletingRebalance | member gone                | PreparingRebalance
    CompletingRebalance | sync timeout               | PreparingRebalance  | *
    CompletingRebalance | leader syncs               | Stable
    CompletingRebalance | loaded with members        | Stable
    CompletingRebalance | loaded without members     | Empty               | *
    Stable              | member joins               | PreparingRebalance
    Stable              | member rejoins             | PreparingRebalance
    Stable              | joins again, unchanged     | Stable              | *
    Stable              | member replaced            | Stable
    Stable              | replaced with a change     | PreparingRebalance  | *
    Stable              | member gone                | PreparingRebalance
    Stable              | sync timeout               | PreparingRebalance  | *
    Stable              | loaded with members        | Stable
""")

CLASSIC_MEMBER = _rows("""
    Absent   | gets an id                   | Pending
    Absent   | joins with an instance id    | Joining
    Absent   | takes the place of another   | Joining
    Absent   | takes over in a stable group | Joined
    Absent   | loaded                       | Assigned
    Pending  | joins                        | Joining
    Pending  | session ends                 | Absent
    Pending  | leaves                       | Absent   | *
    Pending  | coordinator moved            | Absent
    Joining  | join answered                | Joined
    Joining  | joins again                  | Joining  | *
    Joining  | leaves                       | Absent
    Joining  | session ends                 | Absent   | *
    Joining  | replaced                     | Absent
    Joining  | coordinator moved            | Absent
    Joined   | syncs                        | Syncing
    Joined   | syncs, assignment is known   | Assigned
    Joined   | joins again                  | Joining
    Joined   | joins again, unchanged       | Joined   | *
    Joined   | leaves                       | Absent
    Joined   | session ends                 | Absent
    Joined   | has not synced in time       | Absent   | *
    Joined   | has not joined in time       | Absent   | *
    Joined   | kept, though absent          | Joined   | *
    Joined   | replaced                     | Absent
    Joined   | coordinator moved            | Absent
    Syncing  | sync answered                | Assigned
    Syncing  | syncs                        | Syncing  | *
    Syncing  | joins again, unchanged       | Joined   | *
    Syncing  | must join again              | Joined
    Syncing  | leaves                       | Absent   | *
    Syncing  | replaced                     | Absent   | *
    Syncing  | coordinator moved            | Absent
    Assigned | joins again                  | Joining
    Assigned | joins again, unchanged       | Joined   | *
    Assigned | syncs, assignment is known   | Assigned | *
    Assigned | leaves                       | Absent
    Assigned | session ends                 | Absent
    Assigned | has not joined in time       | Absent   | *
    Assigned | kept, though absent          | Joined   | *
    Assigned | replaced                     | Absent
    Assigned | coordinator moved            | Absent
""")

# Groups of KIP-848

ASSIGNING = "Assigning"
RECONCILING = "Reconciling"

CONSUMER_GROUP = _rows("""
    Empty       | member joins     | Assigning
    Empty       | group deleted    | Dead        | *
    Empty       | loaded           | Empty
    Assigning   | member joins     | Assigning
    Assigning   | member gone      | Assigning
    Assigning   | last member gone | Empty
    Assigning   | target computed  | Reconciling
    Assigning   | member away      | Assigning   | *
    Assigning   | member returns   | Assigning   | *
    Assigning   | loaded           | Assigning
    Reconciling | member joins     | Assigning
    Reconciling | member gone      | Assigning
    Reconciling | last member gone | Empty       | *
    Reconciling | all reconciled   | Stable
    Reconciling | member away      | Reconciling
    Reconciling | member returns   | Reconciling
    Reconciling | topics changed   | Assigning
    Reconciling | loaded           | Reconciling
    Stable      | member joins     | Assigning
    Stable      | member gone      | Assigning
    Stable      | last member gone | Empty
    Stable      | member away      | Reconciling
    Stable      | topics changed   | Assigning
    Stable      | loaded           | Stable
""")

UNREVOKED = "Unrevoked"
UNRELEASED = "Unreleased"
AWAY = "Away"
ABSENT = "Absent"

CONSUMER_MEMBER = _rows("""
    Absent     | joins                      | Stable
    Absent     | takes the place of another | Stable
    Stable     | reaches the target         | Stable
    Stable     | must give back             | Unrevoked
    Stable     | waits for others           | Unreleased
    Stable     | leaves                     | Absent
    Stable     | leaves for a while         | Away
    Stable     | session ends               | Absent
    Unrevoked  | reaches the target         | Stable
    Unrevoked  | must give back             | Unrevoked
    Unrevoked  | waits for others           | Unreleased | *
    Unrevoked  | leaves                     | Absent
    Unrevoked  | leaves for a while         | Away       | *
    Unrevoked  | session ends               | Absent
    Unrevoked  | has not given back in time | Absent     | *
    Unreleased | reaches the target         | Stable
    Unreleased | must give back             | Unrevoked  | *
    Unreleased | waits for others           | Unreleased
    Unreleased | leaves                     | Absent
    Unreleased | leaves for a while         | Away       | *
    Unreleased | session ends               | Absent
    Away       | replaced                   | Absent
    Away       | leaves                     | Absent     | *
    Away       | session ends               | Absent
""")

# The coordinator of one group

SERVING = "Serving"
LOADING = "Loading"
DOWN = "Down"

AVAILABILITY = _rows("""
    Serving | moves      | Loading
    Serving | loads      | Loading
    Serving | goes down  | Down
    Loading | moves      | Loading
    Loading | loads      | Loading
    Loading | goes down  | Down
    Loading | has loaded | Serving
    Down    | moves      | Loading
    Down    | loads      | Loading | *
    Down    | goes down  | Down
    Down    | comes back | Loading
""")

MACHINES: Mapping[str, tuple[Row, ...]] = {
    "coordinator": AVAILABILITY,
    "classic group": CLASSIC_GROUP,
    "classic member": CLASSIC_MEMBER,
    "consumer group": CONSUMER_GROUP,
    "consumer member": CONSUMER_MEMBER,
}
"""The state machines. `TABLES` of the package has the verdicts on requests too."""

_AFTER: Mapping[str, Mapping[tuple[str, str], str]] = {
    name: {(row.state, row.event): row.after for row in rows} for name, rows in MACHINES.items()
}
