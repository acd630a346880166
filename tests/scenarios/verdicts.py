"""What the coordinator says to commits that are made by hand, by the member, generation or epoch that they carry."""

from __future__ import annotations

from attrs import evolve

from trio_consumer.client.port import Commit

from .kafka import Identity
from .scenario import CONSUMER, RANGE, scenario
from .stage import Stage, at

STRANGER = "a-member-that-nobody-knows"
OUTSIDER = Identity()


@scenario(RANGE)
async def a_group_that_does_not_exist(s: Stage) -> None:
    """A generation needs a group; without one, the commit makes it."""
    topic = await s.topic(1)
    await s.verdict("generation 3", Identity(member=STRANGER, generation=3), topic[0])
    await s.verdict("no generation, some member", Identity(member=STRANGER), topic[0])
    await s.verdict("no generation, no member", OUTSIDER, topic[0])
    await s.note_committed(topic[0])


@scenario(RANGE)
async def a_group_of_offsets_only(s: Stage) -> None:
    """No member ever joined."""
    topic = await s.topic(1)
    await s.verdict("no generation, no member", OUTSIDER, topic[0])
    await s.verdict("generation 3", Identity(member=STRANGER, generation=3), topic[0])
    await s.verdict("no generation, some member", Identity(member=STRANGER), topic[0])


@scenario()
async def a_live_group(s: Stage) -> None:
    """Only its members commit, with their own generation."""
    topic = await s.topic(1)
    async with s.joined("a", topic):
        own = await s.kafka.identity(s.group, "a", topic[0])
        await s.verdict("right", own, topic[0], 1)
        await s.verdict("an older generation", evolve(own, generation=own.generation - 1), topic[0], 2)
        await s.verdict("a newer generation", evolve(own, generation=own.generation + 1), topic[0], 3)
        await s.verdict("no generation, its member", Identity(member=own.member), topic[0], 4)
        await s.verdict("another member", evolve(own, member=STRANGER), topic[0], 5)
        await s.verdict("an outsider", OUTSIDER, topic[0], 6)
        await s.note_committed(topic[0])


@scenario()
async def an_instance_id_without_reason(s: Stage) -> None:
    """A dynamic member's commit that names an instance."""
    topic = await s.topic(1)
    async with s.joined("a", topic):
        own = await s.kafka.identity(s.group, "a", topic[0])
        await s.verdict("an instance that nobody has", evolve(own, instance="two"), topic[0])


@scenario()
async def a_static_group(s: Stage) -> None:
    """The classic coordinator compares the instance where one is named."""
    topic = await s.topic(1)
    async with s.joined("a", topic, group_instance_id="one"):
        own = await s.kafka.identity(s.group, "a", topic[0])
        await s.verdict("no instance", own, topic[0])
        await s.verdict("its instance", evolve(own, instance="one"), topic[0])
        await s.verdict("another instance", evolve(own, instance="two"), topic[0])
        await s.verdict("its instance, another member", evolve(own, instance="one", member=STRANGER), topic[0])
        await s.verdict("an outsider", OUTSIDER, topic[0])


@scenario()
async def a_group_that_was_left(s: Stage) -> None:
    """A member that has gone is unknown; the empty group takes commits of outsiders."""
    topic = await s.topic(1)
    async with s.joined("a", topic):
        own = await s.kafka.identity(s.group, "a", topic[0])
    await s.until_members(0)
    await s.verdict("its member and generation", own, topic[0], 1)
    await s.verdict("no generation, its member", Identity(member=own.member), topic[0], 2)
    await s.verdict("an outsider", OUTSIDER, topic[0], 3)
    await s.note_committed(topic[0])


@scenario()
async def a_static_member_that_has_closed(s: Stage) -> None:
    """It stays a member until its session ends; under the classic protocols it may still commit."""
    topic = await s.topic(1)
    async with s.joined("a", topic, group_instance_id="one"):
        own = await s.kafka.identity(s.group, "a", topic[0])
    await s.verdict("its member and generation", evolve(own, instance="one"), topic[0], 1)
    await s.verdict("an outsider", OUTSIDER, topic[0], 2)


@scenario(CONSUMER)
async def an_older_epoch(s: Stage) -> None:
    """Taken for a partition that the member kept since then, stale for one that it gave away."""
    topic = await s.topic(2)
    async with s.joined("a", topic) as a:
        before = await s.kafka.identity(s.group, "a", topic[0])
        async with s.joined("b", topic, a) as b:
            kept, given = min(a.owned), min(b.owned)
            await s.verdict("kept", before, kept)
            await s.verdict("given away", before, given)
            after = await s.kafka.identity(s.group, "a", kept)
            s.note("broker", f"its epoch rose: {after.generation > before.generation}")


@scenario()
async def strange_offsets(s: Stage) -> None:
    """The coordinator takes what the client would not send."""
    topic = await s.topic(1)
    for offset in (-1, -5, 2**62):
        await s.verdict(str(offset), OUTSIDER, topic[0], offset)


@scenario()
async def an_administrator_and_a_live_group(s: Stage) -> None:
    """Neither offsets nor the group can be touched while it has members."""
    topic = await s.topic(1, records=10)
    async with s.joined("a", topic) as a:
        await a.commit(at(topic.partitions, 5), "its own")
        s.note("admin", f"sets an offset: {await s.kafka.alter_offset(s.group, topic[0], 2) or 'ok'}")
        s.note("admin", f"deletes the group: {await s.kafka.delete_group(s.group) or 'ok'}")
        await a.commit(at(topic.partitions, 6), "afterwards")
        await s.note_committed(topic[0])


@scenario()
async def an_administrator_sets_an_offset(s: Stage) -> None:
    """In an empty group; the next member begins there."""
    topic = await s.topic(1, records=10)
    async with s.joined("a", topic) as a:
        await a.commit(at(topic.partitions, 9, "a map"), "its own")
    await s.until_members(0)
    s.note("admin", f"sets an offset: {await s.kafka.alter_offset(s.group, topic[0], 2) or 'ok'}")
    async with s.joined("b", topic) as b:
        await s.read(b, until=lambda: len(b.records) == 8)
        b.note_records(topic[0])


@scenario()
async def an_administrator_deletes_the_group(s: Stage) -> None:
    """Its offsets are gone with it."""
    topic = await s.topic(1, records=10)
    async with s.joined("a", topic) as a:
        await a.commit(at(topic.partitions, 9), "its own")
    await s.until_members(0)
    s.note("admin", f"deletes the group: {await s.kafka.delete_group(s.group) or 'ok'}")
    await s.note_committed(topic[0])
    s.note("admin", f"deletes it again: {await s.kafka.delete_group(s.group) or 'ok'}")
    async with s.joined("b", topic) as b:
        await s.read(b, until=lambda: len(b.records) == 10)
        b.note_records(topic[0])


@scenario()
async def metadata_of_another_client(s: Stage) -> None:
    """Without a NUL at its end. Whatever the client makes of the text, it begins at the offset."""
    topic = await s.topic(1, records=10)
    await s.kafka.commit(s.group, OUTSIDER, topic[0], Commit(6, "m" * 24))
    async with s.joined("a", topic) as a:
        await s.read(a, until=lambda: len(a.records) == 4)
        a.note_records(topic[0])
    s.notes["a"] = s.notes["a"][-1:]


@scenario(RANGE)
async def metadata_from_outside(s: Stage) -> None:
    """The coordinator counts characters: 4,096 pass."""
    topic = await s.topic(1)
    for count in (4096, 4097):
        error = await s.kafka.commit(s.group, OUTSIDER, topic[0], Commit(count, "x" * count))
        s.note("broker", f"{count} characters: {error or 'ok'}")
