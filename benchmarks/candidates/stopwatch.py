"""Latencies of a consumer, taken where its handlers begin and end, and their distribution.

Two are told apart:

- *start*: from the time at which a record was due to be sent to the start of its handler. It is kept for each record,
  so that two consumers can be compared record by record. `firsts` leaves out the second one of each pair that
  `open_loop` sends: it also waits for its lane, which is what was promised, and no latency of the consumer's.
- *next*: from the end of a handler to the start of the next one of its lane, if that record was waiting by then. A
  handler does not see the queue, but a record was certainly there if a later one of its partition had been started:
  partitions are delivered in order. Records of which this is not certain are left out.

Values are nanoseconds while they are taken: two looks at the clock and a few entries in tables for each record, which
count against the consumer. They go into an HDR histogram afterwards.
"""

from __future__ import annotations

import importlib.util
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hdrh.histogram import HdrHistogram

SECONDS_MAX = 60.0
"""Longer ones count as so long."""
DIGITS = 3
"""Significant ones of a histogram, which counts microseconds."""
PERCENTILES = (0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 97.5, 99.0, 99.5, 99.75, 99.9, 99.95)
"""Where the curve of a distribution has its points."""
REPORTED = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9}
"""Those that a measurement's detail names."""

Curve = Sequence[Sequence[float]]
"""Percentiles, and milliseconds at each."""


class Stopwatch:
    """Takes the latencies of one load.

    Args:
        partitions: Of the topic.
        records: Of the load; 0 to take nothing.
        skip: So many of them, the first ones, are not measured: the load has to become steady.

    Attributes:
        start: By the record's number.
        next: As they come.
        handled: Records whose handler has ended.
    """

    def __init__(self, partitions: int, records: int = 0, skip: int = 0) -> None:
        self._skip = skip
        self._latest = [-1] * partitions
        self._ended: dict[bytes, tuple[int, int]] = {}
        self.start = array("q", bytes(8 * records))
        self.next = array("q")
        self.handled = 0

    def begin(self, partition: int, offset: int, key: bytes, due_ns: int, number: int, now: int) -> None:
        """A handler starts."""
        if offset > self._latest[partition]:
            self._latest[partition] = offset
        if self.start:
            self.start[number] = now - due_ns
            ended, latest = self._ended.get(key, (0, -1))
            if latest > offset and number >= self._skip:
                self.next.append(now - ended)

    def end(self, partition: int, key: bytes, now: int) -> None:
        """A handler ends."""
        self._ended[key] = (now, self._latest[partition])
        self.handled += 1


def firsts(start: Sequence[int], skip: int) -> Sequence[int]:
    """Of the records that are measured, those that find their lane free."""
    return start[skip + skip % 2 :: 2]


def missing() -> str:
    """Why there can be no histogram; empty if there can."""
    if importlib.util.find_spec("hdrh") is not None:
        return ""
    return "latencies need HdrHistogram: pip install 'trio-consumer[bench]'"


def histogram(nanoseconds: Iterable[int]) -> HdrHistogram:
    """Their distribution, in microseconds; what is below zero counts as zero."""
    from hdrh.histogram import HdrHistogram  # an extra of the package: `missing` tells

    longest = int(SECONDS_MAX * 1e6)
    counted = HdrHistogram(1, longest, DIGITS)
    for microseconds, count in Counter(value // 1000 for value in nanoseconds).items():
        counted.record_value(min(max(microseconds, 0), longest), count)
    return counted


def curve_ms(nanoseconds: Iterable[int]) -> Curve:
    """Their distribution at each of `PERCENTILES`."""
    counted = histogram(nanoseconds)
    return [(percentile, counted.get_value_at_percentile(percentile) / 1000) for percentile in PERCENTILES]


def reported_ms(curve: Curve, name: str) -> dict[str, float]:
    """What is reported of a curve, by the names in a measurement's detail."""
    there = {point[0]: point[1] for point in curve}
    return {f"{name}_{label}_ms": there[percentile] for label, percentile in REPORTED.items()}
