"""A whole Kafka in one process, run from one seed, that tries to break a consumer and shows how.

    import simulator

    def test_my_handler():
        simulator.check(handle, seeds=500)

What is listed here is all that users import, besides `simulator.strategies` and `simulator.machine` for Hypothesis. It
is loaded when it is first used, so that the pytest plugin costs nothing where nobody simulates.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .checking import FAULTS, Checked, Falsified, check, visible
    from .database import Conflict, ConnectionLost, Database, DatabaseError
    from .runtime.errors import HotLoop, NotDeterministic, Stuck, TimeLimitReached, Undying, WorldError
    from .tape import Play
    from .world.scenario import Scenario
    from .world.world import Outcome, World, run_world

__all__ = [
    "FAULTS",
    "Checked",
    "Conflict",
    "ConnectionLost",
    "Database",
    "DatabaseError",
    "Falsified",
    "HotLoop",
    "NotDeterministic",
    "Outcome",
    "Play",
    "Scenario",
    "Stuck",
    "TimeLimitReached",
    "Undying",
    "World",
    "WorldError",
    "check",
    "run_world",
    "visible",
]

_HOME = {
    "FAULTS": "checking",
    "Checked": "checking",
    "Conflict": "database",
    "ConnectionLost": "database",
    "Database": "database",
    "DatabaseError": "database",
    "Falsified": "checking",
    "HotLoop": "runtime.errors",
    "NotDeterministic": "runtime.errors",
    "Outcome": "world.world",
    "Play": "tape",
    "Scenario": "world.scenario",
    "Stuck": "runtime.errors",
    "TimeLimitReached": "runtime.errors",
    "Undying": "runtime.errors",
    "World": "world.world",
    "WorldError": "runtime.errors",
    "check": "checking",
    "run_world": "world.world",
    "visible": "checking",
}
"""Where each name comes from."""


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
