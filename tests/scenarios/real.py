"""Scenarios on a real broker: `RealKafka` for each, all on one `Cluster` that they share."""

from __future__ import annotations

import signal
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import attrs
import trio
from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]
from confluent_kafka.cimpl import NewPartitions

from tests import support
from tests.kafka import wire
from tests.kafka.broker import KafkaBroker
from trio_consumer import Partition
from trio_consumer.client.confluent import connect
from trio_consumer.client.port import Client, Commit, Committed

from .kafka import SESSION_SECONDS, Identity
from .kafka import Transaction as AnyTransaction
from .member_process import remote
from .relay import Relay

T = TypeVar("T")

PROPERTIES = {
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.heartbeat.interval.ms": "300",
    "group.consumer.heartbeat.interval.ms": "300",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": str(int(1000 * SESSION_SECONDS)),
    "log.cleaner.backoff.ms": "200",
    # What is deleted leaves at once.
    "log.segment.delete.delay.ms": "0",
}
GENERATION_MAX = 40
"""Generations and epochs that `RealKafka.identity` tries."""


async def in_thread(function: Callable[[], T]) -> T:
    return await trio.to_thread.run_sync(function)


def log_end(admin: AdminClient, partition: Partition) -> int:
    """One past the last entry of the log."""
    spec = {TopicPartition(*partition): OffsetSpec.latest()}  # type: ignore[no-untyped-call]
    found = admin.list_offsets(spec, isolation_level=IsolationLevel.READ_UNCOMMITTED)
    return int(next(iter(found.values())).result().offset)


class Lockstep:
    """Lets all scenarios that end the broker do so at the same moment: they share it."""

    def __init__(self, parties: int) -> None:
        self.parties = parties
        self._arrived = 0
        self._done = trio.Event()

    async def together(self, act: Callable[[], object]) -> None:
        """Return when every party has come here, and one of them has acted."""
        self._arrived += 1
        done = self._done
        if self._arrived >= self.parties:
            self._arrived, self._done = 0, trio.Event()
            await in_thread(act)
            done.set()
        await done.wait()

    def leave(self) -> None:
        """A party will not come any more."""
        self.parties -= 1


@attrs.define(eq=False)
class Cluster:
    """One broker, the relay before its second listener, and an administrator."""

    broker: KafkaBroker
    relay: Relay
    admin: AdminClient
    lockstep: Lockstep


@asynccontextmanager
async def cluster(parties: int = 0) -> AsyncGenerator[Cluster, None]:
    """Start a broker of our own.

    Args:
        parties: How many scenarios will end it together.
    """
    relay = Relay()
    async with trio.open_nursery() as nursery:
        await nursery.start(relay.serve)
        broker = KafkaBroker(PROPERTIES, relayed_by=relay.port)
        try:
            await in_thread(broker.start)
            relay.target = broker.relayed_port
            admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})
            yield Cluster(broker, relay, admin, Lockstep(parties))
        finally:
            with trio.CancelScope(shield=True):
                await in_thread(broker.close)
            nursery.cancel_scope.cancel()


class Transaction:
    """A producer of its own."""

    def __init__(self, servers: str, admin: AdminClient, partition: Partition) -> None:
        self._partition = partition
        self._admin = admin
        self._producer = Producer(
            {"bootstrap.servers": servers, "transactional.id": support.unique("transaction"), "log_level": 0}
        )

    async def begin(self) -> None:
        await in_thread(lambda: self._producer.init_transactions(support.SECONDS_MAX))
        self._producer.begin_transaction()

    async def append(self, count: int) -> None:
        for number in range(count):
            self._producer.produce(self._partition.topic, b"%d" % number, partition=self._partition.number)
        await in_thread(lambda: self._producer.flush(support.SECONDS_MAX))

    async def commit(self) -> None:
        await self._end(lambda: self._producer.commit_transaction(support.SECONDS_MAX))

    async def abort(self) -> None:
        await self._end(lambda: self._producer.abort_transaction(support.SECONDS_MAX))

    async def _end(self, end: Callable[[], object]) -> None:
        def until_marked() -> None:
            marked = log_end(self._admin, self._partition) + 1
            end()
            # It returns before the marker is written.
            while log_end(self._admin, self._partition) < marked:
                time.sleep(0.01)

        await in_thread(until_marked)


class RealKafka:
    """One scenario's view of the cluster; implements `tests.scenarios.kafka.Kafka`.

    Args:
        shared: The cluster.
        relayed: Whether members go through the relay.
    """

    def __init__(self, shared: Cluster, *, relayed: bool) -> None:
        self._shared = shared
        self._relayed = relayed
        self._id = uuid.uuid4().hex[:8]
        self._processes: dict[str, trio.Process] = {}

    @property
    def _servers(self) -> str:
        return self._shared.broker.bootstrap_servers

    def unique(self, what: str) -> str:
        return support.unique(what)

    def _client(self, member: str) -> str:
        return f"{self._id}-{member}"

    @asynccontextmanager
    async def connect(
        self, member: str, settings: Mapping[str, Any], topics: Sequence[str], *, apart: bool
    ) -> AsyncGenerator[Client, None]:
        servers = f"127.0.0.1:{self._shared.relay.port}" if self._relayed else self._servers
        complete = {
            "bootstrap.servers": servers,
            "client.id": self._client(member),
            "log_level": 0,
            "reconnect.backoff.max.ms": 300,
            **settings,
        }
        if apart:
            async with remote(complete, topics) as (client, process):
                self._processes[member] = process
                yield client
        else:
            async with connect(complete, topics) as here:
                yield here

    # Topics and logs

    async def create_topic(self, topic: str, partitions: int, config: Mapping[str, str]) -> None:
        await in_thread(lambda: self._shared.broker.create_topic(topic, partitions, config))

    async def add_partitions(self, topic: str, total: int) -> None:
        new = [NewPartitions(topic, total)]
        await in_thread(lambda: self._shared.admin.create_partitions(new)[topic].result())
        await in_thread(lambda: self._until_there(topic, total))

    def _until_there(self, topic: str, total: int) -> None:
        while len(self._shared.admin.list_topics(topic, timeout=support.SECONDS_MAX).topics[topic].partitions) < total:
            time.sleep(0.01)

    async def delete_topic(self, topic: str) -> None:
        def delete() -> None:
            self._shared.admin.delete_topics([topic])[topic].result()
            while topic in self._shared.admin.list_topics(timeout=support.SECONDS_MAX).topics:
                time.sleep(0.01)

        await in_thread(delete)

    async def recreate_topic(self, topic: str, partitions: int) -> None:
        def recreate() -> None:
            self._shared.admin.delete_topics([topic])[topic].result()
            while True:
                try:
                    self._shared.broker.create_topic(topic, partitions)
                    break
                except KafkaException as error:
                    if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                        raise
            # The controller knows of the new one before the broker does.
            while any(self._log_end(Partition(topic, number)) for number in range(partitions)):
                time.sleep(0.01)

        await in_thread(recreate)

    async def produce(self, partition: Partition, records: Sequence[tuple[bytes | None, bytes | None]]) -> None:
        topic, number = partition
        await in_thread(lambda: support.produce(self._servers, topic, records, partition=number))

    async def begin_transaction(self, partition: Partition) -> AnyTransaction:
        transaction = Transaction(self._servers, self._shared.admin, partition)
        await transaction.begin()
        return transaction

    async def delete_records(self, partition: Partition, before: int) -> None:
        wanted = TopicPartition(*partition, before)
        await in_thread(lambda: self._shared.admin.delete_records([wanted])[wanted].result())

    async def compact(self, partition: Partition) -> None:
        def offsets() -> list[int]:
            return [offset for _, offset, _ in support.consume_all(self._servers, partition.topic, 1)]

        while (await in_thread(offsets))[0] == 0:  # noqa: ASYNC110  no event tells
            await trio.sleep(0.2)

    # The group's coordinator

    async def members(self, group: str) -> int:
        return len((await self._describe(group)).members)

    async def identity(self, group: str, member: str, partition: Partition) -> Identity:
        described = await self._describe(group)
        found = next(one for one in described.members if one.client_id == self._client(member))
        for generation in range(GENERATION_MAX, -1, -1):
            who = Identity(member=found.member_id, generation=generation)
            if not await self.commit(group, who, partition, Commit(0)):
                return who
        raise LookupError(f"no generation up to {GENERATION_MAX} is that of {member}")

    def _log_end(self, partition: Partition) -> int:
        """Where the log ends; -1 while nobody can say."""
        try:
            return log_end(self._shared.admin, partition)
        except KafkaException:
            return -1

    async def _describe(self, group: str) -> Any:
        return await in_thread(lambda: self._shared.admin.describe_consumer_groups([group])[group].result())

    async def committed(self, group: str, partition: Partition) -> Committed:
        return (await in_thread(lambda: support.committed(self._servers, group, [partition])))[partition]

    async def commit(self, group: str, who: Identity, partition: Partition, commit: Commit) -> str:
        number = await in_thread(
            lambda: wire.commit(
                self._servers,
                group,
                *partition,
                commit.offset,
                commit.metadata.encode(),
                generation=who.generation,
                member=who.member,
                instance=who.instance,
            )
        )
        return "" if number == 0 else str(KafkaError(number).name())

    async def alter_offset(self, group: str, partition: Partition, offset: int) -> str:
        wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(*partition, offset)])

        def alter() -> str:
            found = self._shared.admin.alter_consumer_group_offsets([wanted])[group].result()
            errors = [one.error.name() for one in found.topic_partitions if one.error]
            return str(errors[0]) if errors else ""

        return await self._refusal(alter)

    async def delete_group(self, group: str) -> str:
        def delete() -> str:
            self._shared.admin.delete_consumer_groups([group])[group].result()
            return ""

        return await self._refusal(delete)

    async def _refusal(self, act: Callable[[], str]) -> str:
        try:
            return await in_thread(act)
        except KafkaException as error:
            return str(error.args[0].name())

    # Links and processes

    def cut(self, member: str) -> None:
        self._shared.relay.cut(self._client(member))

    def hold(self, member: str) -> None:
        self._shared.relay.hold(self._client(member))

    def deafen(self, member: str) -> None:
        self._shared.relay.deafen(self._client(member))

    def heal(self, member: str) -> None:
        self._shared.relay.heal(self._client(member))

    def kill(self, member: str) -> None:
        self._processes[member].send_signal(signal.SIGKILL)

    def stop(self, member: str) -> None:
        self._processes[member].send_signal(signal.SIGSTOP)

    def go_on(self, member: str) -> None:
        with suppress(ProcessLookupError):
            self._processes[member].send_signal(signal.SIGCONT)

    async def broker_dies(self) -> None:
        await self._shared.lockstep.together(self._shared.broker.kill)

    async def broker_returns(self) -> None:
        await self._shared.lockstep.together(self._shared.broker.restart)
