"""The sweep over keys from the README of Confluent's parallel-consumer, with sleeps that are known beforehand.

There: 10,000 records in one partition, keys drawn at random, a handler that sleeps 0 to 4 ms, 16 in flight. What a run
takes is divided by its bound: all sleeps ÷ 16, or all sleeps of the key that has most of them if that is longer, which
it is with fewer keys than handlers. With more keys the bound is 1.25 s.

No Trio program reaches it: CPython rounds the time limit of ``epoll`` up to whole milliseconds, so a sleep that begins
while others are under way ends late by up to one. As many bare Trio tasks that do nothing but sleep show how much that
is.
"""

from __future__ import annotations

import attrs

from ..model import Candidate, Comparison, Scenario, Workload
from . import bounded, lineup

HANDLER = {"kind": "sweep"}
CONCURRENCY = 16
FEW_KEYS = {1: 0.1, 2: 0.2, 5: 0.5, 10: 1.0}
"""Fewer than handlers in flight; part of the records, as they take long."""
KEYS = (20, 50, 100, 200, 500, 1_000, 10_000)
KEYS_JAVA = (20, 1_000, 10_000)


def _workload(keys: int) -> Workload:
    return Workload(keys=keys, partitions=1, distribution="uniform")


def _ours(keys: int) -> Candidate:
    one = bounded.ours(HANDLER, _workload(keys), concurrency=CONCURRENCY, name=f"{keys:,} keys")
    return attrs.evolve(one, share=FEW_KEYS.get(keys, 1.0), series="trio_consumer", at=keys)


def _java(keys: int) -> Candidate:
    one = lineup.java(HANDLER, _workload(keys), concurrency=CONCURRENCY, share=1.0)
    return attrs.evolve(
        one, name=f"parallel-consumer (Java), {keys:,} keys", series="parallel-consumer (Java)", at=keys
    )


OURS = {keys: _ours(keys) for keys in (*FEW_KEYS, *KEYS)}
BOUNDS = {keys: attrs.evolve(bounded.bound_of(one), series="bound") for keys, one in OURS.items()}
TASKS = lineup.tasks(HANDLER, _workload(1_000), concurrency=CONCURRENCY)
JAVA = {keys: _java(keys) for keys in KEYS_JAVA}

SCENARIO = Scenario(
    name="sweep",
    about="The sweep of parallel-consumer's README: sleeps of 0 to 4 ms, 1 to 10,000 keys in key order, 16 in flight.",
    unit="records/s",
    candidates=[*BOUNDS.values(), *OURS.values(), TASKS, *JAVA.values()],
    # Of rates, so that it is the time of the second ÷ the time of the first.
    comparisons=[
        *(
            Comparison(
                of=BOUNDS[keys].name,
                to=one.name,
                ratio_max=1.15 if keys in KEYS else None,
                about=f"time ÷ bound, {keys:,} keys",
            )
            for keys, one in OURS.items()
        ),
        Comparison(of=BOUNDS[1_000].name, to=TASKS.name, about="time ÷ bound of bare Trio tasks"),
        Comparison(of=OURS[1_000].name, to=TASKS.name, ratio_min=0.95, about="1,000 keys ÷ bare Trio tasks"),
        *(
            Comparison(of=BOUNDS[keys].name, to=one.name, about=f"the same of parallel-consumer (Java), {keys:,} keys")
            for keys, one in JAVA.items()
        ),
    ],
    records=10_000,
    records_embedded=10_000,
    plot="curves",
)
