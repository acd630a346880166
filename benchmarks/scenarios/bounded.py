"""Candidates whose handlers sleep, and the bound that this sets for every consumer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ..bounds import Order
from ..model import Candidate, Workload
from . import lineup


def ours(
    handler: Mapping[str, Any], workload: Workload, *, concurrency: int, name: str, order: Order = "key"
) -> Candidate:
    """Our consumer."""
    one = lineup.ours(handler, workload, concurrency=concurrency, name=name)
    return attrs.evolve(
        one,
        about=one.about.replace(
            "key order", {"key": "key order", "unordered": "no order"}.get(order, f"{order} order")
        ),
        options={**one.options, "order": order},
        order_promised=order != "unordered",
    )


def bound_of(consumer: Candidate) -> Candidate:
    """What no consumer can surpass that does the work of this one."""
    workload, options = consumer.workload, consumer.options
    return Candidate(
        name=f"bound, {consumer.name}",
        about="computed: all sleeps ÷ handlers in flight, or the lane that sleeps longest if that takes longer",
        entry="candidates.bound:rate",
        workload=workload,
        options={
            "handler": options["handler"],
            "concurrency": options["concurrency"],
            "order": options["order"],
            "workload": {"keys": workload.keys, "distribution": workload.distribution, "seed": workload.seed},
        },
        brokerless=True,
        share=consumer.share,
        at=consumer.at,
    )
