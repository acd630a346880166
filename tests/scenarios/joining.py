"""Members come and go in good order."""

from __future__ import annotations

from trio_consumer import ClientError
from trio_consumer.client.port import Revoked

from .kafka import GroupProtocol
from .scenario import ALL, CLASSIC, CONSUMER, COOPERATIVE, RANGE, scenario
from .stage import Stage, at


@scenario()
async def the_first_member(s: Stage) -> None:
    """Gets all partitions, and reads them from the start."""
    topic = await s.topic(2, records=10)
    async with s.member("a", topic) as a:
        await s.read(a, until=lambda: len(a.records) == 20)
        a.note_records(*topic.partitions)


@scenario()
async def a_second_member_joins(s: Stage) -> None:
    """The first one gives half of them back: all and half anew under range, else only what it loses."""
    topic = await s.topic()
    async with s.joined("a", topic) as a, s.joined("b", topic, a):
        pass


@scenario(COOPERATIVE + CONSUMER)
async def which_partitions_move(s: Stage) -> None:
    """From one member to the second, and to the third."""
    topic = await s.topic(6)
    async with s.joined("a", topic) as a, s.joined("b", topic, a) as b:
        s.note("shares of two", str([sorted(one.number for one in member.owned) for member in (a, b)]))
        async with s.joined("c", topic, a, b) as c:
            s.note("shares of three", str([sorted(one.number for one in member.owned) for member in (a, b, c)]))


@scenario()
async def a_member_leaves(s: Stage) -> None:
    """What it had goes to the other, from what was committed."""
    topic = await s.topic()
    async with s.joined("a", topic) as a:
        async with s.joined("b", topic, a) as b:
            await b.commit(at(b.owned, 3), "all of its own")
        await s.read(a, until=lambda: len(a.owned) == 4)
    await s.until_members(0)
    s.note("end", "nobody is left")


@scenario()
async def partitions_return(s: Stage) -> None:
    """Given away, committed further by the other, and back: fetching goes on from there."""
    topic = await s.topic(2, records=50)
    async with s.joined("a", topic) as a:
        await s.read(a, until=lambda: len(a.records) == 100)
        async with s.joined("b", topic, a) as b:
            given = next(iter(b.owned))
            await b.commit(at([given], 30), "what it got")
        a.forget_records()
        await s.read(a, until=lambda: len(a.owned) == 2 and a.next_offset(given) == 50)
        a.note(f"read of what was away: {a.offsets(given)[0]}–{a.offsets(given)[-1]}")


@scenario()
async def three_members(s: Stage) -> None:
    """Each ends with a third."""
    topic = await s.topic(6)
    async with s.joined("a", topic) as a, s.joined("b", topic, a) as b, s.joined("c", topic, a, b) as c:
        s.note("shares", str(sorted(len(one.owned) for one in (a, b, c))))
        s.note("owners", str(len(a.owned | b.owned | c.owned)))


@scenario()
async def more_members_than_partitions(s: Stage) -> None:
    """One of them has nothing to do, and is told nothing."""
    topic = await s.topic(1)
    async with s.joined("a", topic) as a, s.member("b", topic) as b:
        await s.read_for(2.0, a, b)
        await s.until_members(2)
        owners = [one for one in (a, b) if one.owned]
        s.note("owners", str(len(owners)))


@scenario()
async def an_idle_member_takes_over(s: Stage) -> None:
    """The one without partitions gets those of the one that leaves."""
    topic = await s.topic(1, records=10)
    first, second = await s.open("a", topic), await s.open("b", topic)
    await s.read_for(2.0, first, second)
    leaver, heir = (first, second) if first.owned else (second, first)
    await leaver.client.commit(at(leaver.owned, 4))
    await leaver.close()
    heir.forget_records()
    await s.read(heir, until=lambda: len(heir.offsets(topic[0])) == 6)
    heir.note_records(topic[0])
    s.notes = {"heir": s.notes[heir.name][-2:]}


@scenario()
async def two_topics(s: Stage) -> None:
    """Both are shared out between both members."""
    first, second = await s.topic(2), await s.topic(2)
    async with s.member("a", first, second) as a:
        await s.read(a, until=lambda: len(a.owned) == 4)
        async with s.member("b", first, second) as b:
            await s.read(a, b, until=lambda: len(a.owned) == len(b.owned) == 2)
            both = sorted(sorted(one.topic == first.name for one in member.owned) for member in (a, b))
            s.note("shares of the first topic", str(both))


@scenario()
async def subscriptions_differ(s: Stage) -> None:
    """Each gets partitions only of what it subscribed."""
    first, second = await s.topic(2), await s.topic(2)
    async with s.joined("a", first) as a, s.member("b", second) as b:
        await s.read(a, b, until=lambda: len(a.owned) == len(b.owned) == 2)
        s.note("a", f"has only the first: {all(one.topic == first.name for one in a.owned)}")
        s.note("b", f"has only the second: {all(one.topic == second.name for one in b.owned)}")


@scenario(CLASSIC)
async def protocols_do_not_agree(s: Stage) -> None:
    """A member whose strategy the group does not share can't join."""
    topic = await s.topic()
    other = GroupProtocol.COOPERATIVE if s.protocol is GroupProtocol.RANGE else GroupProtocol.RANGE
    async with s.joined("a", topic) as a, s.member("b", topic, protocol=other) as b:
        await s.read(a, b, until=lambda: "Failed" in b.seen)


@scenario(RANGE)
async def a_member_of_the_new_protocol_joins(s: Stage) -> None:
    """A classic group moves to KIP-848 as soon as one such member joins."""
    topic = await s.topic(2)
    async with s.joined("a", topic) as a, s.member("b", topic, protocol=GroupProtocol.CONSUMER) as b:
        await s.read(a, b, until=lambda: len(b.owned) == 1 or "Failed" in b.seen)
        await s.read_for(0.5, a, b)
        b.note(f"has a share: {bool(b.owned)}")
        a.note(f"has a share: {bool(a.owned)}")


@scenario()
async def a_regular_expression(s: Stage) -> None:
    """A topic that appears later, and matches, is subscribed too."""
    prefix = s.kafka.unique("match")
    first = await s.topic(2, name=f"{prefix}-1")
    async with s.member("a", f"^{prefix}-.*") as a:
        await s.read(a, until=lambda: len(a.owned) == first.count)
        a.note("another topic appears")
        second = await s.topic(2, name=f"{prefix}-2")
        await s.read(a, until=lambda: len(a.owned) == first.count + second.count)


@scenario()
async def an_unknown_topic(s: Stage) -> None:
    """Refused at the start."""
    try:
        async with s.member("a", s.kafka.unique("nowhere")):
            s.note("a", "opened")
    except ClientError as error:
        s.note("a", f"{type(error).__name__} {error.code}{' fatal' if error.fatal else ''}")


@scenario()
async def a_slow_drain(s: Stage) -> None:
    """The newcomer gets what was revoked only after its release; the rest of the group waits under range."""
    topic = await s.topic()
    async with s.joined("a", topic) as a, s.member("b", topic) as b:
        a.keeps = True
        await s.read(a, b, until=lambda: a.pending)
        await s.read_for(2.0, b)
        s.note("b", f"has {len(b.owned & a.pending_partitions)} of what was not released")
        await a.commit(at(a.pending_partitions, 7), "while draining")
        a.keeps = False
        a.release()
        await s.read(a, b, until=lambda: len(a.owned) == len(b.owned) == 2)


@scenario()
async def leaving_while_a_revoke_waits(s: Stage) -> None:
    """A member that closes instead of releasing gives everything back."""
    topic = await s.topic()
    async with s.member("b", topic) as b:
        async with s.joined("a", topic) as a:
            a.keeps = True
            await s.read(a, b, until=lambda: a.pending)
        await s.read(b, until=lambda: len(b.owned) == 4)


@scenario()
async def members_pass_each_other(s: Stage) -> None:
    """One leaves at the moment when another joins."""
    topic = await s.topic()
    async with s.joined("a", topic) as a:
        async with s.joined("b", topic, a):
            c = await s.open("c", topic)
            await s.read_for(0.2, c)
        await s.read(a, c, until=lambda: len(a.owned) == len(c.owned) == 2)
        s.note("owners", str(len(a.owned | c.owned)))
    s.notes = {"owners": s.notes["owners"]}


@scenario()
async def a_storm(s: Stage) -> None:
    """Members join and leave again and again; what was committed in each revoke is where the next one begins."""
    topic = await s.topic(4, records=40)
    async with s.joined("a", topic) as a:

        async def commit(event: Revoked) -> None:
            await a.client.commit({one: at([one], a.next_offset(one))[one] for one in event.partitions})

        a.when_revoked = commit
        for _ in range(3):
            async with s.joined("b", topic, a) as b:
                await s.read(a, b, until=lambda: all(len(one.owned) == 2 for one in (a, b)))
            await s.read(a, until=lambda: len(a.owned) == 4)
        await s.read(a, until=lambda: all(a.next_offset(one) == 40 for one in topic.partitions))
        await a.commit(at(topic.partitions, 40), "at the end")
        s.note("a", f"has read all: {all(set(a.offsets(one)) == set(range(40)) for one in topic.partitions)}")
    del s.notes["b"]
    s.notes["a"] = s.notes["a"][-2:]


@scenario(ALL)
async def the_group_outlives_its_members(s: Stage) -> None:
    """What was committed is there for those who come later."""
    topic = await s.topic(2, records=20)
    async with s.joined("a", topic) as a:
        await a.commit({topic[0]: at([topic[0]], 5, "a map")[topic[0]]}, "one of two")
    await s.until_members(0)
    async with s.joined("b", topic) as b:
        await s.read(b, until=lambda: len(b.records) == 35)
        b.note_records(*topic.partitions)
