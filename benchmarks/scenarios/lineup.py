"""Who is compared: our consumer and its peers, each at its best settings, with one handler and one number in flight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ..model import Candidate, Workload

NOOP: Mapping[str, Any] = {"kind": "noop"}


def ours(
    handler: Mapping[str, Any], workload: Workload, *, concurrency: int = 256, name: str = "trio_consumer"
) -> Candidate:
    """Our consumer as it comes, in key order."""
    return Candidate(
        name=name,
        about=f"async handler ({_told(handler)}), key order, {concurrency:,} in flight, commits and offset map",
        entry="candidates.ours:consume",
        workload=workload,
        options={"handler": dict(handler), "concurrency": concurrency},
        commits=True,
    )


def tasks(handler: Mapping[str, Any], workload: Workload, *, concurrency: int) -> Candidate:
    """The limit of Trio."""
    return Candidate(
        name="bare Trio tasks",
        about=f"{concurrency:,} tasks that do the same ({_told(handler)}) in a loop, no Kafka",
        entry="candidates.bare:working_tasks",
        workload=workload,
        options={"handler": dict(handler), "concurrency": concurrency},
        brokerless=True,
    )


def aiokafka(
    handler: Mapping[str, Any], workload: Workload, *, concurrency: int = 256, share: float = 0.5
) -> Candidate:
    """What one writes with asyncio."""
    return Candidate(
        name="aiokafka",
        about=f"a task per record ({_told(handler)}), no order, {concurrency:,} in flight, commits at intervals",
        entry="peers.aiokafka_tasks:consume",
        workload=workload,
        options={"handler": dict(handler), "concurrency": concurrency, "order": "unordered"},
        commits=True,
        order_promised=False,
        runtime="aiokafka",
        share=share,
    )


def aiokafka_fast(handler: Mapping[str, Any], workload: Workload, *, concurrency: int = 256) -> Candidate:
    """The same on uvloop, with eager tasks where Python has them."""
    return attrs.evolve(
        aiokafka(handler, workload, concurrency=concurrency),
        name="aiokafka, uvloop",
        about=f"the same with uvloop, and with eager tasks from Python 3.12 on, {concurrency:,} in flight",
        entry="peers.aiokafka_tasks:consume_fast",
    )


def pyrallel(
    handler: Mapping[str, Any], workload: Workload, *, concurrency: int = 256, share: float = 0.05
) -> Candidate:
    """Pyrallel-Consumer."""
    return Candidate(
        name="Pyrallel-Consumer",
        about=f"async handler ({_told(handler)}), key order, {concurrency:,} in flight, its best settings",
        entry="peers.pyrallel:consume",
        workload=workload,
        options={"handler": dict(handler), "concurrency": concurrency, "order": "key"},
        commits=True,
        runtime="pyrallel",
        share=share,
    )


def java(handler: Mapping[str, Any], workload: Workload, *, concurrency: int = 256, share: float = 0.3) -> Candidate:
    """Confluent's parallel-consumer."""
    return Candidate(
        name="parallel-consumer (Java)",
        about=f"handler ({_told(handler)}) on {concurrency:,} threads, KEY order, its best settings",
        entry="peers.java:consume",
        workload=workload,
        options={"handler": dict(handler), "concurrency": concurrency, "order": "key"},
        commits=True,
        runtime="java",
        share=share,
    )


def _told(handler: Mapping[str, Any]) -> str:
    return ", ".join(f"{value}" if name == "kind" else f"{name} {value}" for name, value in handler.items())
