"""All scenarios, one file each, or one for several curves of a kind. The command line lists them in this order."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

from ..model import Scenario
from . import (
    bare,
    checkpoint,
    cpu,
    crash,
    io,
    keys,
    latency,
    memory,
    noop,
    partitions,
    round_trip,
    scale_concurrency,
    scale_incomplete,
    scale_keys,
    scale_partitions,
    scale_queued,
    sleep,
    sweep,
    zipf,
)

MODULES: tuple[ModuleType, ...] = (
    bare,
    noop,
    checkpoint,
    keys,
    partitions,
    sleep,
    cpu,
    io,
    round_trip,
    sweep,
    zipf,
    latency,
    crash,
    memory,
    scale_keys,
    scale_partitions,
    scale_incomplete,
    scale_queued,
    scale_concurrency,
)
"""Each ends in one `SCENARIO`, or in a tuple of `SCENARIOS`."""

TABLE = ("noop", "checkpoint", "keys", "round_trip", "sleep", "sweep", "latency", "memory", "crash", "zipf")
"""Those whose figures the project promises, in the order of ``python -m benchmarks table``."""

SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for module in MODULES
    for scenario in (module.SCENARIOS if hasattr(module, "SCENARIOS") else (module.SCENARIO,))
}
