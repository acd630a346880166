"""The words of a benchmark: plain values that the harness, the scenarios and the candidates' processes share.

A *scenario* compares *candidates*. A candidate is measured in a process of its own: it gets a `Job` as JSON on its
standard input and prints a `Measurement` as one line of JSON, so it may be written in anything. What is measured is
one number, the candidate's value, in the scenario's unit. `problems` say why the number must not be believed; a
measurement that has one is reported and never averaged.
"""

from __future__ import annotations

import functools
import itertools
import random
from array import array
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal

import attrs

Distribution = Literal["turns", "uniform", "zipf", "hot"]
"""How keys are spread over records: they take turns; each is drawn from all; each is drawn, the n-th as often as 1/n (a
Zipf distribution with exponent 1); one of them has every second record, and the others take turns."""
Runtime = Literal["python", "aiokafka", "pyrallel", "java"]
"""What a candidate runs in; see `runtimes`."""
Plot = Literal["bars", "curves", "latency"]
"""How results are drawn: a bar for each candidate; a line for each series; a line for each candidate's distribution."""


@attrs.frozen(kw_only=True)
class Workload:
    """The records of a topic, which the seed decides. Equal workloads share one topic.

    Args:
        records: How many.
        keys: How many distinct keys to take from; ``None`` for a key of its own for each record.
        partitions: How many partitions; a key stays in one.
        value_bytes: Length of each value.
        distribution: How the keys are spread over the records.
        seed: Of what is drawn.
    """

    records: int = 1_000_000
    keys: int | None = 1_000
    partitions: int = 12
    value_bytes: int = 100
    distribution: Distribution = "turns"
    seed: int = 1

    def __iter__(self) -> Iterator[tuple[int, bytes, bytes]]:
        """Partition, key and value of each record."""
        value = b"x" * self.value_bytes
        for key in _key_numbers(self):
            yield key % self.partitions, b"key-%07d" % key, value

    @property
    def key_counts(self) -> Counter[bytes]:
        """Records of each key."""
        return Counter({b"key-%07d" % key: count for key, count in Counter(_key_numbers(self)).items()})

    @property
    def counts(self) -> list[int]:
        """Records of each partition."""
        return list(_partition_counts(self))

    @property
    def record_bytes(self) -> int:
        """Key and value of one record."""
        return len(b"key-%07d" % 0) + self.value_bytes


@functools.lru_cache(maxsize=4)
def _key_numbers(workload: Workload) -> Sequence[int]:
    """The number of each record's key."""
    records, keys = workload.records, workload.keys
    if keys is None:
        return range(records)
    drawn = random.Random(workload.seed)
    match workload.distribution:
        case "turns":
            return array("I", (number % keys for number in range(records)))
        case "uniform":
            return array("I", drawn.choices(range(keys), k=records))
        case "zipf":
            weights = list(itertools.accumulate(1 / rank for rank in range(1, keys + 1)))
            return array("I", drawn.choices(range(keys), cum_weights=weights, k=records))
        case "hot":
            others = max(keys - 1, 1)
            return array("I", (1 + number // 2 % others if number % 2 else 0 for number in range(records)))


@functools.lru_cache(maxsize=1024)
def _partition_counts(workload: Workload) -> Sequence[int]:
    found = [0] * workload.partitions
    for key, count in Counter(_key_numbers(workload)).items():
        found[key % workload.partitions] += count
    return found


@attrs.frozen(kw_only=True)
class Candidate:
    """One way to do the scenario's work.

    Args:
        name: Short; names it in tables and ratios.
        about: What it does, in a few words.
        entry: ``module:function`` below ``benchmarks`` that measures it: from a `Job` to a `Measurement`.
        workload: What it consumes, or how much of it, if it needs no broker.
        options: Passed on in the job; JSON values only.
        commits: True if it is a consumer as users have one: each record must have been handled once, and the group must
            have committed the end of every partition afterwards. The harness checks both.
        order_promised: True if it keeps the order of each key, and handles one record of a key at a time. The harness
            checks it, in a warm-up round, if `commits` is true as well.
        value_max: Target: its median should not be above it.
        detail_max: The same for what `Measurement.detail` names.
        runtime: What it runs in.
        share: Part of the scenario's records that it consumes. What is compared is a rate, so slow ones may get fewer
            records of the same kind.
        delay_seconds: Added to each round trip between it and the broker.
        brokerless: True if it needs no records on a broker: none are produced for it.
        series: Names the curve of which it is a point, if it is one.
        at: Its x there.
    """

    name: str
    about: str
    entry: str
    workload: Workload
    options: Mapping[str, Any] = attrs.field(factory=dict)
    commits: bool = False
    order_promised: bool = True
    value_max: float | None = None
    detail_max: Mapping[str, float] = attrs.field(factory=dict)
    runtime: Runtime = "python"
    share: float = attrs.field(default=1.0, validator=[attrs.validators.gt(0.0), attrs.validators.le(1.0)])
    delay_seconds: float = 0.0
    brokerless: bool = False
    series: str = ""
    at: float | None = None


@attrs.frozen(kw_only=True)
class Comparison:
    """A ratio of two candidates of one round.

    Args:
        of: Name of the candidate in the numerator.
        to: Name of that in the denominator.
        ratio_min: Target on a real broker: the median should reach it; ``None`` for no such target.
        ratio_max: Target: the median should not be above it.
        about: What is compared, for the table of all figures; empty for just the names.
    """

    of: str
    to: str
    ratio_min: float | None = None
    ratio_max: float | None = None
    about: str = ""


@attrs.frozen(kw_only=True)
class Scenario:
    """Candidates that do the same work.

    Args:
        name: As on the command line.
        about: One sentence.
        unit: Of the candidates' values.
        candidates: In the order in which a round measures them.
        comparisons: Which ratios to report.
        records: How many on a real broker, by default. Targets are for these.
        records_embedded: How many on the embedded cluster, which keeps some 5 MiB of each partition.
        plot: How to draw it; ``None`` for not at all.
        flat_max: Targets of curves, by series: the highest median ÷ the lowest should not be above it.
    """

    name: str
    about: str
    unit: str
    candidates: Sequence[Candidate]
    comparisons: Sequence[Comparison] = ()
    records: int
    records_embedded: int
    plot: Plot | None = None
    flat_max: Mapping[str, float] = attrs.field(factory=dict)

    def sized(self, records: int) -> Scenario:
        """The same with so many records; those of each candidate by its share."""
        candidates = [
            attrs.evolve(one, workload=attrs.evolve(one.workload, records=max(round(records * one.share), 1)))
            for one in self.candidates
        ]
        return attrs.evolve(self, candidates=candidates)

    def only(self, names: Collection[str]) -> Scenario:
        """The same with the candidates of these names, and what compares them; with all, if no names are given."""
        if not names:
            return self
        return attrs.evolve(
            self,
            candidates=[one for one in self.candidates if one.name in names],
            comparisons=[one for one in self.comparisons if one.of in names and one.to in names],
        )

    def having(self, settings: Mapping[str, Any]) -> Scenario:
        """The same with other values of the candidates' options, in those that have them.

        Args:
            settings: Values by name; a dot leads into an option that is a mapping itself.
        """
        candidates = [attrs.evolve(one, options=_having(one.options, settings)) for one in self.candidates]
        return attrs.evolve(self, candidates=candidates)


def _having(options: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(options)
    for name, value in settings.items():
        first, _, rest = name.partition(".")
        if first in found:
            found[first] = _having(found[first], {rest: value}) if rest else value
    return found


@attrs.frozen(kw_only=True)
class Job:
    """What one process is to measure.

    Args:
        entry: See `Candidate`.
        bootstrap_servers: Of the cluster.
        topic: Its topic.
        counts: Records of each of its partitions, whose first offset is 0.
        record_bytes: Key and value of one record.
        group: A consumer group that nobody has used.
        marks: Path of a file with one byte for each record, partition after partition: that of the record at `offset`
            of `partition` is at ``sum(counts[:partition]) + offset``. Whoever has handled a record adds one to it. So
            the harness sees loss and repeats of any candidate, also of one that was killed.
        spans: Path of a file with two numbers for each record, in the order of `marks`: the nanoseconds of the
            system's monotonic clock when its handler began and when it ended, each in eight bytes of the machine's
            order. So the harness sees the order of keys. Empty in a measurement: this costs time, and is for a warm-up.
        name: Of the candidate.
        profile: Also tell how long the garbage collector ran, in the detail ``gc_seconds``; costs a little.
        options: See `Candidate`. Where a candidate calls handlers, ``handler`` tells which (see `candidates.handlers`),
            ``concurrency`` how many at a time, ``order`` is ``key``, ``partition`` or ``unordered``, and ``stuck`` is
            the partition and offset of a record whose handler never returns.
    """

    entry: str
    bootstrap_servers: str
    topic: str
    counts: Sequence[int]
    record_bytes: int
    group: str
    marks: str
    spans: str = ""
    name: str = ""
    profile: bool = False
    options: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def records(self) -> int:
        return sum(self.counts)


@attrs.frozen(kw_only=True)
class Measurement:
    """What came out.

    Args:
        value: In the scenario's unit; ``None`` if it could not be measured.
        problems: Why the value must not be believed.
        detail: Whatever else is worth a look, by name.
        skipped: Why it could not be measured here, through nobody's fault: its runtime is missing, say.
        curve: A distribution, for a plot: percentiles (0 to 100) with the value at each.
    """

    value: float | None
    problems: Sequence[str] = ()
    detail: Mapping[str, float] = attrs.field(factory=dict)
    skipped: str = ""
    curve: Sequence[Sequence[float]] = ()

    @property
    def valid(self) -> bool:
        return self.value is not None and not self.problems
