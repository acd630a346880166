"""The guard: a short run on the embedded cluster, whose ratios are held against a stored baseline.

Ratios of one run are what two machines have in common, more or less; so they are all that is stored, with the tolerance
that their noise asks for. The guard says what got slower, and what got so much faster that the baseline should follow.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from .figures import number, spread
from .model import Comparison, Scenario, Workload
from .results import ScenarioResult
from .scenarios import lineup
from .scenarios.bare import SAME_SETTINGS
from .tables import Table

BASELINE = Path(__file__).with_name("baseline.json")
ROUNDS = 3
TOLERANCE_MIN = 0.2
"""Part of a ratio by which it may fall. More where the rounds of the baseline were further apart."""
TOLERANCE_MAX = 0.5
"""A baseline with more noise than this guards nothing: it is to be made on a quieter machine."""

_IN_TURNS, _AT_RANDOM = Workload(), Workload(distribution="uniform")
_NOOP = lineup.ours(lineup.NOOP, _IN_TURNS, name="no-op handler")
_RANDOM = attrs.evolve(_NOOP, name="no-op handler, random keys", workload=_AT_RANDOM)
_CHECKPOINT = lineup.ours({"kind": "checkpoint"}, _IN_TURNS, name="handler of one checkpoint")
_HANDLER = {"kind": "sleep", "seconds": 0.005}
_SLEEP = lineup.ours(_HANDLER, attrs.evolve(_IN_TURNS), concurrency=1_000, name="handler that sleeps 5 ms")
_TASKS = lineup.tasks(_HANDLER, _IN_TURNS, concurrency=1_000)

SCENARIO = Scenario(
    name="guard",
    about="Short forms of noop, checkpoint, keys and sleep.",
    unit="records/s",
    candidates=[
        _NOOP,
        SAME_SETTINGS,
        _RANDOM,
        _CHECKPOINT,
        attrs.evolve(_SLEEP, share=0.2),
        attrs.evolve(_TASKS, share=0.2),
    ],
    comparisons=[
        Comparison(of=_NOOP.name, to=SAME_SETTINGS.name),
        Comparison(of=_RANDOM.name, to=_NOOP.name),
        Comparison(of=_CHECKPOINT.name, to=SAME_SETTINGS.name),
        Comparison(of=_SLEEP.name, to=_TASKS.name),
    ],
    records=250_000,
    records_embedded=250_000,
)


@attrs.frozen(kw_only=True)
class Kept:
    """A ratio of the baseline.

    Args:
        ratio: Its median there.
        tolerance: The part of it by which another run may differ.
    """

    ratio: float
    tolerance: float


@attrs.frozen(kw_only=True)
class Verdict:
    """The ratios of a run beside those of the baseline.

    Args:
        table: All of them.
        slower: A sentence for each that fell by more than its tolerance.
        faster: The same of those that rose.
        unknown: What one of both does not have.
    """

    table: Table
    slower: Sequence[str]
    faster: Sequence[str]
    unknown: Sequence[str]

    @property
    def lines(self) -> list[str]:
        """All of it."""
        told = [f"SLOWER: {one}" for one in self.slower]
        told += [f"faster: {one}: store a new baseline by --update" for one in self.faster]
        told += [f"not compared: {one}" for one in self.unknown]
        return [*(self.table.text() if self.table.rows else ()), *(told or ["nothing got slower"])]


def kept(result: ScenarioResult) -> dict[str, Kept]:
    """What a baseline stores of a run."""
    found = {}
    for one in result.comparisons:
        values = spread(one.values)
        if values is not None:
            tolerance = round(min(max(TOLERANCE_MIN, values.width), TOLERANCE_MAX), 2)
            found[_name(one.comparison)] = Kept(ratio=round(values.median, 3), tolerance=tolerance)
    return found


def compare(result: ScenarioResult, baseline: Mapping[str, Kept]) -> Verdict:
    """Hold a run against a baseline."""
    rows, slower, faster, unknown = [], [], [], []
    for one in result.comparisons:
        name, values = _name(one.comparison), spread(one.values)
        stored = baseline.get(name)
        if values is None or stored is None:
            unknown.append(f"{name}: {'not in the baseline' if values else 'it was not measured'}")
            continue
        change = values.median / stored.ratio - 1
        told = f"{name} is {number(values.median)}, it was {number(stored.ratio)}: {change:+.0%}"
        if change < -stored.tolerance:
            slower.append(told)
        elif change > stored.tolerance:
            faster.append(told)
        low, high = number(values.low), number(values.high)
        rows.append(
            (
                name,
                number(values.median),
                f"{low} – {high}",
                number(stored.ratio),
                f"{change:+.0%}",
                f"±{stored.tolerance:.0%}",
            )
        )
    head = ("ratio", "now", "range", "baseline", "change", "tolerance")
    return Verdict(table=Table(head=head, rows=rows, words=0), slower=slower, faster=faster, unknown=unknown)


def load(path: Path = BASELINE) -> dict[str, Kept]:
    """The stored baseline; empty if there is none."""
    if not path.exists():
        return {}
    stored: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {name: Kept(**one) for name, one in stored["ratios"].items()}


def store(found: Mapping[str, Kept], machine: Mapping[str, object], path: Path = BASELINE) -> None:
    """Make it the baseline."""
    ratios = {name: attrs.asdict(one) for name, one in found.items()}
    path.write_text(
        json.dumps({"machine": dict(machine), "ratios": ratios}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def _name(comparison: Comparison) -> str:
    return f"{comparison.of} ÷ {comparison.to}"
