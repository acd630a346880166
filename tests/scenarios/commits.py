"""What becomes of commits: by their state, their metadata, and the moment of a rebalance at which they come."""

from __future__ import annotations

from collections.abc import Mapping

import trio

from trio_consumer import Partition
from trio_consumer.client.port import Commit, Revoked

from .scenario import ALL, CLASSIC, CONSUMER, COOPERATIVE, scenario
from .stage import Member, Stage, Topic, at


async def restarted(s: Stage, topic: Topic, expected: int, **more: object) -> None:
    """Note what a fresh member is given first of a topic of one partition."""
    async with s.joined("restarted", topic, **more) as member:
        await s.read(member, until=lambda: len(member.records) == expected)
        member.note_records(topic[0])


@scenario()
async def commit_and_restart(s: Stage) -> None:
    """Offset and metadata come back with the assignment, and reading begins there."""
    topic = await s.topic(1, records=10)
    async with s.joined("a", topic) as a:
        await a.commit(at([topic[0]], 4, "ä map"), "with metadata")
    await restarted(s, topic, 6)


@scenario()
async def leaving_does_not_commit(s: Stage) -> None:
    """What was read and not committed comes again."""
    topic = await s.topic(1, records=10)
    async with s.joined("a", topic) as a:
        await s.read(a, until=lambda: len(a.records) == 10)
    await s.note_committed(topic[0])
    await restarted(s, topic, 10)


@scenario()
async def a_commit_goes_back(s: Stage) -> None:
    """A lower offset than before is as good as a higher one; the last word counts."""
    topic = await s.topic(1, records=10)
    async with s.joined("a", topic) as a:
        await a.commit(at([topic[0]], 8), "8")
        await a.commit(at([topic[0]], 3), "3")
        await a.commit(at([topic[0]], 3), "3 again")
    await restarted(s, topic, 7)


@scenario()
async def metadata_at_its_limit(s: Stage) -> None:
    """4,095 characters pass, one more is refused; the other partition of the request is committed."""
    topic = await s.topic(2)
    first, second = topic.partitions
    async with s.joined("a", topic) as a:
        await a.commit({first: Commit(1, "x" * 4095)}, "4,095 characters")
        await s.note_committed(first)
        await a.commit({first: Commit(2, "x" * 4096), second: Commit(3)}, "4,096 characters, and another partition")
        await s.note_committed(first, second)
        await a.commit({first: Commit(4)}, "without metadata")
        await s.note_committed(first)


@scenario()
async def metadata_beyond_ascii(s: Stage) -> None:
    """What counts is characters, as Java has them, not bytes."""
    topic = await s.topic(1)
    async with s.joined("a", topic) as a:
        await a.commit(at([topic[0]], 1, "ä" * 4095), "4,095 letters of two bytes")
        await a.commit(at([topic[0]], 2, "😀" * 2047), "2,047 letters of two UTF-16 units")
        await a.commit(at([topic[0]], 3, "😀" * 2048), "2,048 letters of two UTF-16 units")
        await s.note_committed(topic[0])


@scenario()
async def metadata_with_a_nul(s: Stage) -> None:
    """Refused by the client; nothing is sent."""
    topic = await s.topic(1)
    async with s.joined("a", topic) as a:
        await a.commit(at([topic[0]], 1, "a\0b"), "with a NUL")
        await s.note_committed(topic[0])


@scenario()
async def offsets_without_sense(s: Stage) -> None:
    """Beyond the end of the log, and far beyond, is accepted."""
    topic = await s.topic(1, records=10)
    async with s.joined("a", topic) as a:
        await a.commit(at([topic[0]], 15), "beyond the end")
        await a.commit(at([topic[0]], 2**62), "far beyond")
        await s.note_committed(topic[0])


@scenario()
async def a_negative_offset(s: Stage) -> None:
    """The client does not send it."""
    topic = await s.topic(1, records=10)
    async with s.joined("a", topic) as a:
        await a.commit(at([topic[0]], 3), "3")
        await a.commit(at([topic[0]], -5), "-5")
        await s.note_committed(topic[0])


@scenario()
async def nothing_to_commit(s: Stage) -> None:
    """An empty commit is answered at once."""
    topic = await s.topic(1)
    async with s.joined("a", topic) as a:
        await a.commit({}, "nothing")


@scenario()
async def a_commit_of_what_is_not_ours(s: Stage) -> None:
    """Refused by the client: the broker would take it."""
    topic = await s.topic()
    async with s.joined("a", topic) as a, s.joined("b", topic, a) as b:
        theirs, ours = min(b.owned), min(a.owned)
        await a.commit(at([theirs], 5), "of the other's partition")
        await a.commit(at([theirs, ours], 6), "of both")
        await a.commit({Partition("elsewhere", 0): Commit(1)}, "of a topic that was not subscribed")
        await s.note_committed(theirs, ours)


@scenario()
async def commit_within_a_revoke(s: Stage) -> None:
    """Of what is revoked and, where some is kept, of that too."""
    topic = await s.topic()

    async def commit(event: Revoked) -> None:
        kept = a.owned - set(event.partitions)
        await a.commit(at(event.partitions, 7), "of the revoked")
        if kept:
            await a.commit(at(kept, 8), "of the kept")

    async with s.joined("a", topic) as a:
        a.when_revoked = commit
        async with s.joined("b", topic, a):
            held = [(await s.kafka.committed(s.group, one)).offset for one in topic.partitions]
            s.note("committed", f"{held.count(7)} × 7, {held.count(8)} × 8")


@scenario()
async def commit_twice_within_a_revoke(s: Stage) -> None:
    """The last word counts."""
    topic = await s.topic(2)

    async def commit(event: Revoked) -> None:
        for offset in (3, 9, 6):
            await a.commit(at(event.partitions, offset), str(offset))

    async with s.joined("a", topic) as a:
        a.when_revoked = commit
        async with s.joined("b", topic, a) as b:
            await s.note_committed(*b.owned)


@scenario()
async def commit_after_the_release(s: Stage) -> None:
    """Refused by the client, with the new owner's commit untouched."""
    topic = await s.topic(2)
    async with s.joined("a", topic) as a, s.joined("b", topic, a) as b:
        given = min(b.owned)
        await b.commit(at([given], 9), "of the new owner")
        await a.commit(at([given], 5), "of the old owner")
        await s.note_committed(given)


@scenario()
async def commit_while_a_rebalance_waits(s: Stage) -> None:
    """A newcomer waits, and the member has not been told yet: its commits are taken."""
    topic = await s.topic(2, records=500)
    async with s.joined("a", topic) as a:
        a.records_max = 10
        await s.read(a, until=lambda: len(a.records) >= 20)
        b = await s.open("b", topic)
        await s.read_for(1.5, b)
        a.note("does not read for a while")
        answered = trio.Event()

        async def commit() -> None:
            await a.commit(at(topic.partitions, 5), "before it has seen the revoke", aside=True)
            answered.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(commit)
            await s.read(a, b, until=lambda: len(a.owned) == len(b.owned) == 1)
            await answered.wait()
        await a.commit(at(a.owned, 7), "afterwards")


@scenario(COOPERATIVE + CONSUMER)
async def commit_while_a_peer_is_slow(s: Stage) -> None:
    """It has joined again and another has not. Under the classic protocol the answer comes only when all have."""
    topic = await s.topic(6)
    async with s.joined("a", topic) as a, s.joined("c", topic, a) as c:
        c.keeps = True
        b = await s.open("b", topic)
        await s.read(a, b, c, until=lambda: c.pending and a.seen.count("Revoked") == 2)
        await s.read_for(1.0, a, b)
        answered = trio.Event()

        async def commit() -> None:
            await a.commit(at(a.owned, 5), "of what it keeps, while the peer is slow", aside=True)
            answered.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(commit)
            await s.read_for(1.0, a, b)
            a.note(f"is answered while the peer is slow: {answered.is_set()}")
            c.keeps = False
            c.release()
            await s.read(a, b, c, until=lambda: all(len(one.owned) == 2 for one in (a, b, c)))
            await answered.wait()
        await a.commit(at(a.owned, 6), "when all is settled")
    s.notes = {who: notes for who, notes in s.notes.items() if who.startswith("a")}


@scenario(CLASSIC)
async def commit_in_an_older_generation(s: Stage) -> None:
    """By hand, after a rebalance: refused."""
    topic = await s.topic(2)
    async with s.joined("a", topic) as a:
        before = await s.kafka.identity(s.group, "a", topic[0])
        async with s.joined("b", topic, a):
            error = await s.kafka.commit(s.group, before, topic[0], Commit(3))
            s.note("broker", error or "ok")


@scenario(ALL)
async def a_live_member_commits_for_another(s: Stage) -> None:
    """By hand: the broker fences members and generations, not partitions."""
    topic = await s.topic(2)
    async with s.joined("a", topic) as a, s.joined("b", topic, a) as b:
        theirs = min(b.owned)
        await b.commit(at([theirs], 9), "of its own")
        who = await s.kafka.identity(s.group, "a", min(a.owned))
        error = await s.kafka.commit(s.group, who, theirs, Commit(2))
        s.note("broker", error or "ok")
        await s.note_committed(theirs)


@scenario(relayed=True)
async def the_answer_to_a_commit_is_lost(s: Stage) -> None:
    """It was applied, and the client sends it once more when it is connected again."""
    topic = await s.topic(1)
    async with s.joined("a", topic) as a:
        await a.commit(at([topic[0]], 2), "before")
        s.kafka.deafen("a")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_commit_aside, a, at([topic[0]], 5), "with its answer lost")

            async def applied() -> bool:
                return (await s.kafka.committed(s.group, topic[0])).offset == 5

            await s.until(applied)
            await s.note_committed(topic[0], who="while deaf")
            s.kafka.cut("a")
            s.kafka.heal("a")
            await s.read(a, until=lambda: "a's commit" in s.notes)
        await s.note_committed(topic[0])


@scenario(relayed=True)
async def a_late_commit(s: Stage) -> None:
    """A commit whose answer was lost is sent again, and may land after a newer one from within a revoke."""
    topic = await s.topic(2)

    async def commit(event: Revoked) -> None:
        await a.client.commit(at(event.partitions, 9))

    async with s.joined("a", topic) as a:
        a.when_revoked = commit
        s.kafka.deafen("a")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(a.try_commit, at(topic.partitions, 5))

            async def applied() -> bool:
                return (await s.kafka.committed(s.group, topic[1])).offset == 5

            await s.until(applied)
            b = await s.open("b", topic)
            await s.read_for(0.5, b)
            s.kafka.cut("a")
            s.kafka.heal("a")
            await s.read(a, b, until=lambda: len(a.owned) == len(b.owned) == 1)
        held = [(await s.kafka.committed(s.group, one)).offset for one in topic.partitions]
        s.note("committed", f"each 5 or 9: {set(held) <= {5, 9}}")
    s.notes = {"committed": s.notes["committed"]}


async def _commit_aside(member: Member, offsets: Mapping[Partition, Commit], what: str) -> None:
    await member.commit(offsets, what, aside=True)
