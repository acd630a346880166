"""Topics grow, vanish and come again while members consume them."""

from __future__ import annotations

import trio

from trio_consumer.client.port import Commit, Revoked

from .kafka import METADATA_SECONDS
from .scenario import scenario
from .stage import Stage, at


@scenario()
async def partitions_are_added(s: Stage) -> None:
    """Under range all are revoked and assigned; else the new ones come in addition. They are read from their start."""
    topic = await s.topic(2, records=10)
    async with s.joined("a", topic) as a:
        await s.read(a, until=lambda: len(a.records) == 20)
        await a.commit(at(topic.partitions, 10), "before")
        await s.add_partitions(topic, 4)
        await s.read(a, until=lambda: len(a.owned) == 4)
        await s.produce(topic[3], 5)
        await s.read(a, until=lambda: len(a.offsets(topic[3])) == 5)
        await a.commit(at(topic.partitions, 5), "after")
        a.note_records(topic[3])


@scenario()
async def partitions_are_added_for_two(s: Stage) -> None:
    """Both end with half of the new number."""
    topic = await s.topic(2)
    async with s.joined("a", topic) as a, s.joined("b", topic, a) as b:
        await s.add_partitions(topic, 4)
        await s.read(a, b, until=lambda: len(a.owned) == len(b.owned) == 2)
        s.note("owners", str(len(a.owned | b.owned)))
    s.notes = {"owners": s.notes["owners"]}


@scenario()
async def a_topic_is_deleted(s: Stage) -> None:
    """Revoked, or lost, as the protocol has it; its committed offsets are gone."""
    topic, other = await s.topic(2, records=10), await s.topic(1)

    async def commit(event: Revoked) -> None:
        gone = [one for one in event.partitions if one.topic == topic.name]
        await a.commit(at(gone, 6), "of the deleted topic in the revoke")

    async with s.member("a", topic, other) as a:
        await s.read(a, until=lambda: len(a.records) == 20)
        await a.commit(at(topic.partitions, 5), "before")
        a.when_revoked = commit
        await s.kafka.delete_topic(topic.name)
        await s.read(a, until=lambda: not any(one.topic == topic.name for one in a.owned))
        a.when_revoked = None
        await s.read(a, until=lambda: len(a.owned) == 1)
        await s.note_committed(*topic.partitions)


@scenario()
async def a_commit_names_a_deleted_topic(s: Stage) -> None:
    """One error for all, though the other partition's offset was committed."""
    topic, other = await s.topic(1), await s.topic(1)
    async with s.member("a", topic, other, topic_metadata_refresh_interval_ms=60_000) as a:
        await s.read(a, until=lambda: len(a.owned) == 2)
        await s.kafka.delete_topic(topic.name)

        async def commit() -> None:
            await a.commit({topic[0]: Commit(1), other[0]: Commit(2)}, "both", aside=True)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(commit)
            await s.read(a, until=lambda: "a's commit" in s.notes)
        await s.note_committed(other[0])
    del s.notes["a"]


@scenario()
async def a_topic_is_created_again(s: Stage) -> None:
    """At once, with fewer records: the client goes on at its old position, and does not read the new start."""
    topic = await s.topic(1, records=10)
    async with s.joined("a", topic) as a:
        await s.read(a, until=lambda: len(a.records) == 10)
        await s.kafka.recreate_topic(topic.name, 1)
        await s.produce(topic[0], 15)
        a.forget_records()
        await s.read(a, until=lambda: a.next_offset(topic[0]) == 15)
        a.note_records(topic[0])
    s.notes["a"] = [one for one in s.notes["a"] if one.startswith("read")]


@scenario()
async def a_topic_is_created_again_later(s: Stage) -> None:
    """After the group has seen that it was gone: it is read from its new start, since nothing is committed any more."""
    topic, other = await s.topic(1, records=10), await s.topic(1)
    async with s.member("a", topic, other) as a:
        await s.read(a, until=lambda: len(a.records) == 10)
        await a.commit(at([topic[0]], 10), "before")
        await s.kafka.delete_topic(topic.name)
        await s.read(a, until=lambda: a.owned <= {other[0]})
        await s.read_for(2 * METADATA_SECONDS, a)
        a.forget_records()
        await s.kafka.create_topic(topic.name, 1, {})
        await s.produce(topic[0], 15)
        await s.read(a, until=lambda: len(a.owned) == 2 and a.next_offset(topic[0]) == 15)
        a.note_records(topic[0])
    s.notes["a"] = [one for one in s.notes["a"] if one.startswith("read")]
