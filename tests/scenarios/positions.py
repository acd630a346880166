"""Where reading begins and goes on: committed offsets out of range, resets, seeks, pauses."""

from __future__ import annotations

from trio_consumer.client.port import Commit

from .kafka import Identity
from .scenario import scenario
from .stage import Member, Stage, Topic, at

OUTSIDER = Identity()


async def _begins(s: Stage, reset: str, committed: int | None, *, log_start: int = 0) -> None:
    """Note where a member begins in a log of ten records, to which five more come later."""
    topic = await s.topic(1, records=10)
    if log_start:
        await s.kafka.delete_records(topic[0], log_start)
    if committed is not None:
        await s.kafka.commit(s.group, OUTSIDER, topic[0], Commit(committed))
    async with s.member("a", topic, auto_offset_reset=reset) as a:
        await s.read(a, until=lambda: a.positions or "Failed" in a.seen)
        await s.produce(topic[0], 5)
        if "Failed" in a.seen:
            await s.read_for(0.5, a)
        else:
            await s.read(a, until=lambda: a.next_offset(topic[0]) == 15)
        a.note_records(topic[0])


@scenario()
async def nothing_committed_earliest(s: Stage) -> None:
    """From the start of the log."""
    await _begins(s, "earliest", None)


@scenario()
async def nothing_committed_latest(s: Stage) -> None:
    """From its end."""
    await _begins(s, "latest", None)


@scenario()
async def nothing_committed_error(s: Stage) -> None:
    """One error, and silence."""
    await _begins(s, "error", None)


@scenario()
async def committed_at_the_end(s: Stage) -> None:
    """From there."""
    await _begins(s, "error", 10)


@scenario()
async def committed_beyond_the_end_earliest(s: Stage) -> None:
    """From the start of the log: everything again."""
    await _begins(s, "earliest", 12)


@scenario()
async def committed_beyond_the_end_latest(s: Stage) -> None:
    """From the end."""
    await _begins(s, "latest", 12)


@scenario()
async def committed_beyond_the_end_error(s: Stage) -> None:
    """One error, and silence."""
    await _begins(s, "error", 12)


@scenario()
async def committed_before_the_start_earliest(s: Stage) -> None:
    """From the start of what is left."""
    await _begins(s, "earliest", 3, log_start=6)


@scenario()
async def committed_before_the_start_latest(s: Stage) -> None:
    """From the end: what is left is skipped."""
    await _begins(s, "latest", 3, log_start=6)


@scenario()
async def committed_before_the_start_error(s: Stage) -> None:
    """One error, and silence."""
    await _begins(s, "error", 3, log_start=6)


@scenario()
async def a_log_that_does_not_start_at_zero(s: Stage) -> None:
    """The first commit is of an offset above the start."""
    topic = await s.topic(1, records=10)
    await s.kafka.delete_records(topic[0], 6)
    async with s.joined("a", topic) as a:
        await s.read(a, until=lambda: len(a.records) == 4)
        a.note_records(topic[0])
        await a.commit(at([topic[0]], 8), "first")
    async with s.joined("b", topic) as b:
        await s.read(b, until=lambda: len(b.records) == 2)
        b.note_records(topic[0])


@scenario()
async def records_are_deleted_ahead(s: Stage) -> None:
    """The position falls out of the log while fetching is paused; afterwards it goes on at the new start."""
    topic = await s.topic(1, records=10)
    async with s.joined("a", topic) as a:
        await s.read(a, until=lambda: len(a.records) == 10)
        await a.client.pause([topic[0]])
        await s.produce(topic[0], 10)
        await s.kafka.delete_records(topic[0], 15)
        await a.client.resume([topic[0]])
        await s.read(a, until=lambda: a.next_offset(topic[0]) == 20)
        a.note_records(topic[0])


@scenario()
async def an_empty_partition(s: Stage) -> None:
    """Its position is told all the same."""
    topic = await s.topic(1)
    async with s.joined("a", topic) as a:
        await s.read(a, until=lambda: a.positions)
        a.note_positions(topic[0])


@scenario()
async def the_position_at_the_end(s: Stage) -> None:
    """Told when everything is read, with the log end."""
    topic = await s.topic(1, records=10)
    async with s.joined("a", topic) as a:
        await s.read(a, until=lambda: a.positions.get(topic[0]) == 10 and a.ends.get(topic[0]) == 10)
        a.note_positions(topic[0])


@scenario()
async def seeking(s: Stage) -> None:
    """Back, forth, and to what is not ours. What was fetched before does not come after."""
    topic = await s.topic(1, records=30)
    async with s.joined("a", topic) as a:
        a.records_max = 5
        await s.read(a, until=lambda: len(a.records) >= 5)
        await a.seek({topic[0]: 20}, "forth")
        await s.read(a, until=lambda: a.next_offset(topic[0]) == 30)
        a.note_records(topic[0])
        await a.seek({topic[0]: 3}, "back")
        await s.read(a, until=lambda: a.next_offset(topic[0]) == 30)
        a.note_records(topic[0])
        await a.seek({topic[0]._replace(number=7): 0}, "to what is not ours")


@scenario()
async def seeking_straight_after_the_assignment(s: Stage) -> None:
    """Before the first record."""
    topic = await s.topic(1, records=30)
    async with s.joined("a", topic) as a:
        await a.seek({topic[0]: 25}, "forth")
        await s.read(a, until=lambda: a.next_offset(topic[0]) == 30)
        a.note_records(topic[0])


@scenario()
async def seeking_beyond_the_end(s: Stage) -> None:
    """Out of range: by auto.offset.reset, so from the start."""
    topic = await s.topic(1, records=10)
    async with s.joined("a", topic) as a:
        await s.read(a, until=lambda: len(a.records) == 10)
        await a.seek({topic[0]: 100}, "beyond the end")
        await s.read(a, until=lambda: a.next_offset(topic[0]) == 10)
        a.note_records(topic[0])


async def _quiet(s: Stage, member: Member, topic: Topic) -> None:
    """Take what was on its way, then produce more, and note whether it comes."""
    await s.read_for(0.5, member)
    member.forget_records()
    for partition in topic.partitions:
        await s.produce(partition, 5)
    await s.read_for(0.7, member)
    member.note(f"records: {len(member.records)}")


@scenario()
async def pausing(s: Stage) -> None:
    """Nothing comes until it is resumed, and then all."""
    topic = await s.topic(2, records=5)
    async with s.joined("a", topic) as a:
        await s.read(a, until=lambda: len(a.records) == 10)
        await a.client.pause(topic.partitions)
        await _quiet(s, a, topic)
        await a.client.resume([topic[1]])
        await s.read(a, until=lambda: a.next_offset(topic[1]) == 10)
        a.note_records(*topic.partitions)
        await a.client.resume([topic[0]])
        await s.read(a, until=lambda: a.next_offset(topic[0]) == 10)
        a.note_records(*topic.partitions)


@scenario()
async def a_pause_ends_with_its_tenure(s: Stage) -> None:
    """What was paused, given away and comes back is fetched."""
    topic = await s.topic(2, records=5)
    async with s.joined("a", topic) as a:
        await s.read(a, until=lambda: len(a.records) == 10)
        await a.client.pause(topic.partitions)
        await a.commit(at(topic.partitions, 5), "all read")
        async with s.joined("b", topic, a) as b:
            given = min(b.owned)
        await s.read(a, until=lambda: len(a.owned) == 2)
        a.forget_records()
        await s.produce(given, 3)
        await s.read(a, until=lambda: len(a.offsets(given)) == 3)
        a.note("gets records of what was away")


@scenario()
async def pausing_what_is_not_ours(s: Stage) -> None:
    """Ignored."""
    topic = await s.topic(1, records=5)
    async with s.joined("a", topic) as a:
        await a.client.pause([topic[0]._replace(number=7)])
        await a.client.resume([topic[0]._replace(number=7)])
        await s.read(a, until=lambda: len(a.records) == 5)
        a.note_records(topic[0])
