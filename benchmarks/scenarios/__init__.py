"""All scenarios, one file each. The command line lists them in this order."""

from __future__ import annotations

from collections.abc import Mapping

from ..model import Scenario
from . import bare, memory, noop, sleep

SCENARIOS: Mapping[str, Scenario] = {module.SCENARIO.name: module.SCENARIO for module in (bare, noop, sleep, memory)}
