"""Members of a consumer group beside a test, on a real broker: settings, handlers, and what the broker says.

Calls whose names begin with ``broker_`` or that take an address ask the broker, in a thread.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Unpack

import attrs
import trio
from confluent_kafka import Consumer as ConfluentConsumer
from confluent_kafka import ConsumerGroupState, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.kafka.journal import BEGUN, DONE, LEFT, At, Journal
from tests.support import SECONDS_MAX, Value, committed, produce, unique
from trio_consumer import Consumer, Partition, PartitionStatistics, Record, open_consumer
from trio_consumer.client.port import Committed
from trio_consumer.config import ConsumerOptions

TEST_SECONDS_MAX = 60.0
"""Deadline of a test, which it meets many times over unless something is wrong."""

SESSION = {"session.timeout.ms": 6_000, "heartbeat.interval.ms": 500}
PROTOCOLS: Mapping[str, Mapping[str, Any]] = {
    "range": {"partition.assignment.strategy": "range", **SESSION},
    "cooperative": {"partition.assignment.strategy": "cooperative-sticky", **SESSION},
    "kip848": {"group.protocol": "consumer"},
}
"""The settings of each rebalance protocol. KIP-848's timeouts are the broker's, which has the same."""


def settings_of(bootstrap_servers: str, protocol: str = "cooperative", **more: Any) -> dict[str, Any]:
    """A member's settings, in a group of its own; of ``more``, underscores are read as dots."""
    return {
        "bootstrap.servers": bootstrap_servers,
        "group.id": unique("group"),
        # A test neither waits for the default of 5 minutes nor for slow reconnects.
        "topic.metadata.refresh.interval.ms": 500,
        "reconnect.backoff.max.ms": 500,
        **PROTOCOLS[protocol],
        **{name.replace("_", "."): value for name, value in more.items()},
    }


class Handler:
    """A handler that writes into a journal what it does.

    Args:
        journal: Shared with other members.
        member: Who this is.
        work: What it does with a record; by default it returns after one checkpoint.
    """

    def __init__(
        self, journal: Journal, member: str = "a", work: Callable[[Record], Awaitable[object]] | None = None
    ) -> None:
        self.journal = journal
        self.member = member
        self.work = work
        self.records: dict[At, Record] = {}
        self.running: set[At] = set()
        self.peak = 0

    async def __call__(self, record: Record) -> None:
        at = (Partition(record.topic, record.partition), record.offset)
        self.journal.note(BEGUN, self.member, at)
        self.records[at] = record
        self.running.add(at)
        self.peak = max(self.peak, len(self.running))
        what = LEFT
        try:
            if self.work is None:
                await trio.lowlevel.checkpoint()
            else:
                await self.work(record)
            what = DONE
        finally:
            self.running.discard(at)
            self.journal.note(what, self.member, at)

    @property
    def done(self) -> set[At]:
        return self.journal.done(self.member)


@attrs.define
class Workload:
    """A topic that grows during a test.

    Attributes:
        lanes: The key of each record that was produced.
    """

    bootstrap_servers: str
    topic: str
    lanes: dict[At, object] = attrs.field(factory=dict)

    async def produce(self, records: Collection[tuple[Value, Value]], *, partition: int | None = None) -> list[At]:
        return await trio.to_thread.run_sync(lambda: self.produce_now(records, partition=partition))

    def produce_now(self, records: Collection[tuple[Value, Value]], *, partition: int | None = None) -> list[At]:
        """The same, and block."""
        landed = produce(self.bootstrap_servers, self.topic, records, partition=partition)
        self.lanes.update({at: key for at, (key, _) in zip(landed, records, strict=True)})
        return landed

    @property
    def partitions(self) -> list[Partition]:
        return sorted({partition for partition, _ in self.lanes})


@asynccontextmanager
async def running(
    settings: Mapping[str, Any],
    topic: str,
    handler: Callable[[Record], Awaitable[object]],
    **options: Unpack[ConsumerOptions],
) -> AsyncGenerator[Consumer, None]:
    """A member that runs beside the block and is drained at its end."""
    async with open_consumer(settings, topic, **options) as consumer:
        async with trio.open_nursery() as nursery:
            await nursery.start(consumer.run, handler)
            yield consumer
            await consumer.drain()


async def until(condition: Callable[[], object], seconds: float = TEST_SECONDS_MAX) -> None:
    """Wait for something that this process can see."""
    with trio.fail_after(seconds):  # noqa: ASYNC912  it may be so already
        while not condition():  # noqa: ASYNC110  no event tells
            await trio.sleep(0.01)


async def until_asked(condition: Callable[[], object], seconds: float = TEST_SECONDS_MAX) -> None:
    """Wait for something that only the broker knows: the condition blocks, and runs in a thread."""
    with trio.fail_after(seconds):
        while not await trio.to_thread.run_sync(condition):  # noqa: ASYNC110  no event tells
            await trio.sleep(0.05)


async def broker_committed(settings: Mapping[str, Any], partitions: Iterable[Partition]) -> dict[Partition, Committed]:
    """What the broker holds for this group."""
    address, group = settings["bootstrap.servers"], settings["group.id"]
    return await trio.to_thread.run_sync(committed, address, group, list(partitions))


async def broker_ends(settings: Mapping[str, Any], partitions: Iterable[Partition]) -> dict[Partition, int]:
    """The log ends."""
    return await trio.to_thread.run_sync(_ends, settings["bootstrap.servers"], list(partitions))


def _ends(bootstrap_servers: str, partitions: list[Partition]) -> dict[Partition, int]:
    consumer = ConfluentConsumer({"bootstrap.servers": bootstrap_servers, "group.id": unique("ends"), "log_level": 2})
    try:
        return {
            partition: consumer.get_watermark_offsets(TopicPartition(*partition), timeout=SECONDS_MAX)[1]
            for partition in partitions
        }
    finally:
        consumer.close()


async def until_members(settings: Mapping[str, Any], count: int) -> None:
    """Wait until so many members hold partitions of this group, and no rebalance goes on."""
    admin, group = (
        AdminClient({"bootstrap.servers": settings["bootstrap.servers"], "log_level": 2}),
        settings["group.id"],
    )

    def holds() -> bool:
        told = admin.describe_consumer_groups([group], request_timeout=SECONDS_MAX)[group].result()
        with_some = [member for member in told.members if member.assignment.topic_partitions]
        return told.state == ConsumerGroupState.STABLE and len(with_some) == len(told.members) == count

    await until_asked(holds)


async def until_caught_up(settings: Mapping[str, Any], partitions: Iterable[Partition]) -> None:
    """Wait until the broker holds each log end as the committed offset."""
    ends = await broker_ends(settings, partitions)
    address, group = settings["bootstrap.servers"], settings["group.id"]
    await until_asked(lambda: {at: one.offset for at, one in committed(address, group, ends).items()} == ends)


async def check_committed(settings: Mapping[str, Any], partitions: Iterable[Partition]) -> None:
    """The broker holds each partition's log end as its committed offset, without a map."""
    partitions = list(partitions)
    ends = await broker_ends(settings, partitions)
    held = await broker_committed(settings, partitions)
    assert {partition: one.offset for partition, one in held.items()} == ends
    assert {one.metadata for one in held.values()} == {""}


def caught_up(*consumers: Consumer) -> bool:
    """True when these members say that everything in their partitions is committed."""
    of_all: list[PartitionStatistics] = [one for c in consumers for one in c.statistics().partitions.values()]
    return bool(of_all) and all(one.lag == 0 and one.committed == one.position for one in of_all)


def check_statistics(consumer: Consumer, held: Mapping[Partition, Committed], ends: Mapping[Partition, int]) -> None:
    """What an idle consumer says about itself is what the broker says."""
    told = consumer.statistics()
    assert {partition: one.committed for partition, one in told.partitions.items()} == {
        partition: one.offset for partition, one in held.items()
    }
    assert {partition: one.end for partition, one in told.partitions.items()} == dict(ends)
    for one in told.partitions.values():
        assert (one.lag, one.incomplete, one.queued, one.in_flight, one.gaps, one.blocking) == (0, 0, 0, 0, 0, None)
        assert one.position == one.committable == one.end
    assert (told.queued, told.queued_bytes, told.parked, told.in_flight) == (0, 0, 0, 0)
