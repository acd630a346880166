"""How fast a workload can be handled at best, if nothing but its handlers takes time.

With so many handlers in flight, all records together cannot be done sooner than their time divided by that number; and
where those of a lane wait for each other, not sooner than the lane that takes longest. The larger of the two is a lower
bound of the time, for every consumer. It may be out of reach: it takes for granted that the longest lane runs from the
start to the end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import Any, Literal

from .model import Workload
from .work import sweep_seconds

Order = Literal["key", "partition", "unordered"]


def makespan_seconds(workload: Workload, handler: Mapping[str, Any], *, concurrency: int, order: Order) -> float:
    """The bound.

    Args:
        workload: What is handled.
        handler: How, as in `candidates.handlers`.
        concurrency: Handlers in flight.
        order: Which records wait for each other.
    """
    lanes: defaultdict[Hashable, float] = defaultdict(float)  # seconds
    offsets = [0] * workload.partitions
    total = 0.0
    for partition, key, _ in workload:
        seconds = handler_seconds(handler, offsets[partition])
        offsets[partition] += 1
        total += seconds
        if order != "unordered":
            lanes[key if order == "key" else partition] += seconds
    return max([total / concurrency, *lanes.values()])


def handler_seconds(handler: Mapping[str, Any], offset: int) -> float:
    """How long the handler of a record takes.

    Raises:
        ValueError: For this kind it is not known.
    """
    match handler["kind"]:
        case "sleep":
            return float(handler["seconds"])
        case "sweep":
            return sweep_seconds(offset)
    raise ValueError(f"how long a handler of the kind {handler['kind']!r} takes is not known beforehand")
