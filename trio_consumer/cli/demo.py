"""``trio-consumer demo``: a whole Kafka in this process, two members, and a judge.

Everything is produced first. Then one member consumes it, a second one joins in the middle and leaves again, and
meanwhile an auditor reads from the brokers what is committed. `History` judges; this module only makes things happen
and tells it.

No deadline ends a run: only a standstill does, since nothing else tells slow from stuck.
"""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import attrs
import trio

from ..client.embedded import EmbeddedCluster, open_embedded_cluster
from ..client.group_offsets import GroupOffsets
from ..client.produce import produce
from ..config import Order
from ..consumer import Consumer, open_consumer
from ..errors import ConfigurationError
from ..record import Partition, Record
from . import offsets
from .history import Held, History, Verdict
from .workload import Workload

TOPIC = "demo"
GROUP = "demo"
FIRST, SECOND = "a", "b"

JOIN_AT, LEAVE_AT, SHARE_MIN = 0.2, 0.7, 0.05
"""The second member joins and leaves when so much of everything has been handled, but not before it has had a share."""

AUDIT_INTERVAL = 0.25
REFRESH_INTERVAL = 0.1


_SETTINGS = {"group.id": GROUP, "auto.offset.reset": "earliest"}
_PROTOCOLS: dict[str, dict[str, Any]] = {
    # On the embedded cluster a classic rebalance takes most of a session: a short one.
    "classic": {
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": 2000,
        "heartbeat.interval.ms": 200,
    },
    "consumer": {"group.protocol": "consumer"},
}


@attrs.frozen(kw_only=True)
class Options:
    """What a run of the demo looks like.

    Args:
        workload: What is produced.
        order: Which records wait for each other.
        concurrency: Handlers in flight at once, at most, in each member.
        latency: Mean seconds that a handler takes; each takes between a tenth and a bit less than twice of that.
        protocol: ``"classic"`` or ``"consumer"`` (KIP-848), as librdkafka's ``group.protocol``.
        patience: Seconds without a handled record after which the demo gives up: what is missing counts as lost.
    """

    workload: Workload
    order: Order
    concurrency: int
    latency: float
    protocol: str
    patience: float = 20.0

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.latency < math.inf:
            raise ConfigurationError(f"--latency-ms {self.latency * 1000:g}: give milliseconds, at least 0")


@attrs.frozen(kw_only=True)
class Report:
    """How a run ended.

    Args:
        verdict: The judgement.
        seconds: From the first handler's begin to the last one's end.
        handled_by: Distinct records by the member that handled them first.
        examples: The first violations, word for word.
    """

    verdict: Verdict
    seconds: float
    handled_by: Mapping[str, int]
    examples: Sequence[str]

    @property
    def records_per_second(self) -> float:
        return self.verdict.handled / self.seconds if self.seconds else 0.0


class Demo:
    """One run. Displays may look at its attributes at any time.

    Attributes:
        history: What happened so far.
        phase: What is going on, in a few words.
        consumers: The open consumers by their members' names.
        held: What the broker held as committed when the auditor last looked.
        seconds: Since the first handler began; stands still when everything was handled.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.history = History(options.order)
        self.phase = "starting brokers"
        self.consumers: dict[str, Consumer] = {}
        self.held: dict[Partition, offsets.Row] = {}
        self._latencies = random.Random(options.workload.seed)
        self._began: float | None = None
        self._handled_last = 0.0
        self._join, self._leave, self._finished = trio.Event(), trio.Event(), trio.Event()

    @property
    def seconds(self) -> float:
        if self._began is None:
            return 0.0
        return (self._handled_last if self._finished.is_set() else trio.current_time()) - self._began

    async def run(self, display: Callable[[Demo], AbstractContextManager[Callable[[], Awaitable[None]]]]) -> Report:
        """Do all of it.

        Args:
            display: Opened with this object; what it gives is called some ten times a second.
        """
        options = self.options
        async with open_embedded_cluster(topics={TOPIC: options.workload.partitions}) as cluster:
            with display(self) as refresh:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_repeat, REFRESH_INTERVAL, refresh)
                    await self._produce(cluster)
                    await self._consume(cluster)
                    nursery.cancel_scope.cancel()
                await refresh()
        for partition, offset in self.history.lost()[:3]:
            self.history.examples.append(f"lost: {partition}@{offset} was never handled")
        return Report(
            verdict=self.history.verdict(),
            seconds=self.seconds,
            handled_by=dict(self.history.handled_by),
            examples=self.history.examples,
        )

    async def _produce(self, cluster: EmbeddedCluster) -> None:
        self.phase = "producing"
        settings = {"bootstrap.servers": cluster.bootstrap_servers}
        await trio.to_thread.run_sync(produce, settings, TOPIC, self.options.workload, self.history.produced)

    async def _consume(self, cluster: EmbeddedCluster) -> None:
        reader = GroupOffsets({"bootstrap.servers": cluster.bootstrap_servers}, GROUP)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_repeat, AUDIT_INTERVAL, self._audit, reader)
            nursery.start_soon(self._watch)
            async with trio.open_nursery() as members:
                self.phase = "one member"
                members.start_soon(self._member, FIRST, cluster, self._finished)
                await self._join.wait()
                self.phase = f"member {SECOND} joins"
                members.start_soon(self._member, SECOND, cluster, self._leave)
            nursery.cancel_scope.cancel()
        self.phase = "done"
        await self._audit(reader)

    async def _member(self, name: str, cluster: EmbeddedCluster, leave: trio.Event) -> None:
        async def begins(partition: Partition) -> None:
            self.history.assigned(name, partition)
            self.phase = " and ".join(f"member {name}" for name in self.consumers)
            await trio.lowlevel.checkpoint()

        async def ends(partition: Partition) -> None:
            self.history.released(name, partition)
            await trio.lowlevel.checkpoint()

        async def handle(record: Record) -> None:
            await self._handle(name, record)

        async with open_consumer(
            {"bootstrap.servers": cluster.bootstrap_servers, **_SETTINGS, **_PROTOCOLS[self.options.protocol]},
            [TOPIC],
            order=self.options.order,
            concurrency=self.options.concurrency,
            attempts=1,
            tenure_start=begins,
            tenure_end=ends,
        ) as consumer:
            self.consumers[name] = consumer
            async with trio.open_nursery() as nursery:
                await nursery.start(consumer.run, handle)
                await leave.wait()
                self.phase = f"member {name} leaves"
                await consumer.drain()
            del self.consumers[name]

    async def _handle(self, name: str, record: Record) -> None:
        if self._began is None:
            self._began = trio.current_time()
        run, handled = self.history.began(name, record), False
        try:
            await trio.sleep(self.options.latency * self._latencies.uniform(0.1, 1.9))
            handled = True
        finally:
            if handled:
                self.history.succeeded(name, run)
            else:
                self.history.was_cancelled(run)
        self._pass_milestones()

    def _pass_milestones(self) -> None:
        records, handled = self.options.workload.records, self.history.handled_count
        if handled >= JOIN_AT * records:
            self._join.set()
        if handled >= LEAVE_AT * records and self.history.handled_by[SECOND] >= SHARE_MIN * records:
            self._leave.set()
        if handled >= records and not self._finished.is_set():
            self._handled_last = trio.current_time()
            self._finish()

    def _finish(self) -> None:
        for event in (self._join, self._leave, self._finished):
            event.set()

    async def _audit(self, reader: GroupOffsets) -> None:
        states = await trio.to_thread.run_sync(reader.read, [TOPIC])
        self.held = {row.partition: row for row in offsets.decode_all(states)}
        self.history.audit({p: Held(r.state.committed, r.complete, r.state.end) for p, r in self.held.items()})

    async def _watch(self) -> None:
        """End a run that stands still, so that the judge may speak."""
        handled, since = -1, trio.current_time()
        patience = self.options.patience
        while trio.current_time() - since < patience:
            if handled != self.history.handled_count:
                handled, since = self.history.handled_count, trio.current_time()
            await trio.sleep(patience / 20)
        self._handled_last = since
        self.history.examples.append(f"no record was handled for {patience:g} s: gave up")
        self._finish()


async def _repeat(interval: float, function: Callable[..., Awaitable[object]], *arguments: object) -> None:
    while True:
        await function(*arguments)
        await trio.sleep(interval)
