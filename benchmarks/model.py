"""The words of a benchmark: plain values that the harness, the scenarios and the candidates' processes share.

A *scenario* compares *candidates*. A candidate is measured in a process of its own: it gets a `Job` as JSON on its
standard input and prints a `Measurement` as one line of JSON, so it may be written in anything. What is measured is
one number, the candidate's value, in the scenario's unit. `problems` say why the number must not be believed; a
measurement that has one is reported and never averaged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs


@attrs.frozen(kw_only=True)
class Workload:
    """The records of a topic. Equal workloads share one topic.

    Args:
        records: How many.
        keys: How many distinct keys, which take turns; ``None`` for a key of its own for each record.
        partitions: How many partitions; a key stays in one.
        value_bytes: Length of each value.
    """

    records: int = 1_000_000
    keys: int | None = 1_000
    partitions: int = 12
    value_bytes: int = 100

    def __iter__(self) -> Iterator[tuple[int, bytes, bytes]]:
        """Partition, key and value of each record."""
        keys = self.records if self.keys is None else self.keys
        value = b"x" * self.value_bytes
        for number in range(self.records):
            key = number % keys
            yield key % self.partitions, b"key-%07d" % key, value

    @property
    def counts(self) -> list[int]:
        """Records of each partition."""
        keys = self.records if self.keys is None else self.keys
        rounds, rest = divmod(self.records, keys)
        return [
            rounds * len(range(number, keys, self.partitions)) + len(range(number, rest, self.partitions))
            for number in range(self.partitions)
        ]

    @property
    def record_bytes(self) -> int:
        """Key and value of one record."""
        return len(b"key-%07d" % 0) + self.value_bytes


@attrs.frozen(kw_only=True)
class Candidate:
    """One way to do the scenario's work.

    Args:
        name: Short; names it in tables and ratios.
        about: What it does, in a few words.
        entry: ``module:function`` below ``benchmarks`` that measures it: from a `Job` to a `Measurement`.
        workload: What it consumes, or how much of it, if it needs no broker.
        options: Passed on in the job; JSON values only.
        commits: True if the group must have committed the end of every partition afterwards.
        value_max: Target: its median should not be above it.
    """

    name: str
    about: str
    entry: str
    workload: Workload
    options: Mapping[str, Any] = attrs.field(factory=dict)
    commits: bool = False
    value_max: float | None = None


@attrs.frozen(kw_only=True)
class Comparison:
    """A ratio of two candidates of one round.

    Args:
        of: Name of the candidate in the numerator.
        to: Name of that in the denominator.
        ratio_min: Target on a real broker: the median should reach it; ``None`` to report only.
    """

    of: str
    to: str
    ratio_min: float | None = None


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
    """

    name: str
    about: str
    unit: str
    candidates: Sequence[Candidate]
    comparisons: Sequence[Comparison] = ()
    records: int
    records_embedded: int

    def sized(self, records: int) -> Scenario:
        """The same with so many records."""
        candidates = [
            attrs.evolve(candidate, workload=attrs.evolve(candidate.workload, records=records))
            for candidate in self.candidates
        ]
        return attrs.evolve(self, candidates=candidates)


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
        check_order: Check the order of each key too, which costs time: a warm-up, not a measurement.
        options: See `Candidate`.
    """

    entry: str
    bootstrap_servers: str
    topic: str
    counts: Sequence[int]
    record_bytes: int
    group: str
    check_order: bool = False
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
    """

    value: float | None
    problems: Sequence[str] = ()
    detail: Mapping[str, float] = attrs.field(factory=dict)

    @property
    def valid(self) -> bool:
        return self.value is not None and not self.problems
