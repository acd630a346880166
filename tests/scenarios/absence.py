"""Members that are away: killed, stopped, cut off, too slow; and static members, whose place is kept."""

from __future__ import annotations

import trio

from trio_consumer.client.port import Revoked

from .kafka import POLL_INTERVAL_SECONDS, SESSION_SECONDS
from .scenario import scenario
from .stage import Member, Stage, Topic, at

POLL_INTERVAL = {"max_poll_interval_ms": int(1000 * POLL_INTERVAL_SECONDS)}
AWAY_SECONDS = SESSION_SECONDS + 3.0
TOO_LONG_SECONDS = POLL_INTERVAL_SECONDS + 2.0


async def _stand_still(s: Stage, topic: Topic, member: Member) -> None:
    """Let a member's client fetch one batch ahead, so that nobody polls it any more."""
    member.records_max = 5
    await s.read(member, until=lambda: len(member.records) >= 10)
    member.note("stands still")


@scenario()
async def a_member_is_killed(s: Stage) -> None:
    """When its session has ended, the other gets all, from what was committed."""
    topic = await s.topic()
    async with s.joined("a", topic) as a:
        b = await s.open("b", topic, apart=True)
        await s.read(a, b, until=lambda: len(a.owned) == len(b.owned) == 2)
        await b.commit(at(b.owned, 3), "of its own")
        s.kafka.kill("b")
        await s.read(a, until=lambda: "Revoked" in a.seen and len(a.owned) == 4)


@scenario()
async def a_member_alone_is_killed(s: Stage) -> None:
    """Its successor waits for the end of its session, then begins at what was committed."""
    topic = await s.topic(1, records=10)
    a = await s.open("a", topic, apart=True)
    await s.read(a, until=lambda: len(a.records) == 10)
    await a.commit(at(topic.partitions, 4), "of what was handled")
    s.kafka.kill("a")
    async with s.joined("b", topic) as b:
        await s.read(b, until=lambda: len(b.records) == 6)
        b.note_records(topic[0])


@scenario()
async def a_static_member_returns(s: Stage) -> None:
    """Within its session: the other is not told, and it has what it had."""
    topic = await s.topic()
    async with s.member("a", topic, group_instance_id="one") as a:
        await s.read(a, until=lambda: len(a.owned) == 4)
        b = await s.open("b", topic, group_instance_id="two")
        await s.read(a, b, until=lambda: len(a.owned) == len(b.owned) == 2)
        had = set(b.owned)
        await b.close()
        b = await s.open("b", topic, group_instance_id="two")
        await s.read(a, b, until=lambda: len(a.owned) == len(b.owned) == 2)
        await b.commit(at(b.owned, 3), "after its return")
        b.note(f"has what it had: {b.owned == had}")


@scenario()
async def a_static_member_stays_away(s: Stage) -> None:
    """For longer than its session: the other gets all."""
    topic = await s.topic()
    async with s.member("a", topic, group_instance_id="one") as a:
        await s.read(a, until=lambda: len(a.owned) == 4)
        b = await s.open("b", topic, group_instance_id="two")
        await s.read(a, b, until=lambda: len(a.owned) == len(b.owned) == 2)
        await b.close()
        await s.read(a, until=lambda: len(a.owned) == 4)


@scenario()
async def a_static_member_is_killed_and_returns(s: Stage) -> None:
    """Under the classic protocols at once; KIP-848 lets it wait for the end of the dead one's session."""
    topic = await s.topic(1, records=10)
    a = await s.open("a", topic, apart=True, group_instance_id="one")
    await s.read(a, until=lambda: len(a.records) == 10)
    await a.commit(at(topic.partitions, 4), "of what was handled")
    s.kafka.kill("a")
    b = await s.open("b", topic, group_instance_id="one")
    await s.read(b, until=lambda: b.owned or "Failed" in b.seen)


@scenario()
async def the_same_instance_twice(s: Stage) -> None:
    """The classic protocols fence the old member, KIP-848 the new one."""
    topic = await s.topic(2, records=200)
    async with s.joined("a", topic, group_instance_id="one") as a:
        await a.commit(at(topic.partitions, 5), "before")
        async with s.member("b", topic, group_instance_id="one") as b:
            fenced = a if s.classic else b
            await s.read(a, b, until=lambda: "Failed" in fenced.seen and (not s.classic or len(b.owned) == 2))
            await a.commit(at(topic.partitions, 6), "of the old one")
            await b.commit(at(topic.partitions, 7), "of the new one")
            await s.note_committed(*topic.partitions)


@scenario()
async def a_stopped_static_member_is_replaced(s: Stage) -> None:
    """SIGSTOP. The classic protocols let the newcomer take its place, KIP-848 does not."""
    topic = await s.topic(2)
    a = await s.open("a", topic, apart=True, group_instance_id="one")
    await s.read(a, until=lambda: len(a.owned) == 2)
    s.kafka.stop("a")
    b = await s.open("b", topic, group_instance_id="one")
    await s.read(b, until=lambda: len(b.owned) == 2 or "Failed" in b.seen)
    s.kafka.go_on("a")
    if s.classic:
        await s.read(a, b, until=lambda: "Failed" in a.seen)
    else:
        await s.read_for(1.0, a, b)
    await a.commit(at(topic.partitions, 6), "of the old one")
    await b.commit(at(topic.partitions, 7), "of the new one")


@scenario()
async def stopped_for_longer_than_the_session(s: Stage) -> None:
    """SIGSTOP. The other takes over; the stopped one finds out, loses its partitions and joins again."""
    topic = await s.topic()
    async with s.joined("b", topic) as b:
        a = await s.open("a", topic, apart=True)
        await s.read(a, b, until=lambda: len(a.owned) == len(b.owned) == 2)
        s.kafka.stop("a")
        await s.read(b, until=lambda: len(b.owned) == 4)
        await b.commit(at(b.owned, 9), "of all")
        s.kafka.go_on("a")
        await s.read(a, b, until=lambda: "Lost" in a.seen and len(a.owned) == len(b.owned) == 2)
        await a.commit(at(a.owned, 11), "when it is back")


@scenario()
async def a_commit_straight_after_a_stop(s: Stage) -> None:
    """Before the member has heard that another took over."""
    topic = await s.topic(2)
    async with s.joined("b", topic) as b:
        a = await s.open("a", topic, apart=True)
        await s.read(a, b, until=lambda: len(a.owned) == len(b.owned) == 1)
        own = min(a.owned)
        s.kafka.stop("a")
        await s.read(b, until=lambda: len(b.owned) == 2)
        await b.commit(at(b.owned, 9), "of all")

        async def commit() -> None:
            await a.commit(at([own], 5), "late", aside=True)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(commit)
            await s.read_for(0.2, b)
            s.kafka.go_on("a")
            await s.read(
                a, b, until=lambda: "Lost" in a.seen and len(a.owned) == len(b.owned) == 1 and "a's commit" in s.notes
            )
        await s.note_committed(own)


@scenario()
async def stopped_for_less_than_the_session(s: Stage) -> None:
    """Nobody notices."""
    topic = await s.topic()
    async with s.joined("b", topic) as b:
        a = await s.open("a", topic, apart=True)
        await s.read(a, b, until=lambda: len(a.owned) == len(b.owned) == 2)
        s.kafka.stop("a")
        await s.read_for(SESSION_SECONDS / 3, b)
        s.kafka.go_on("a")
        await s.read_for(1.0, a, b)
        await a.commit(at(a.owned, 11), "afterwards")


@scenario()
async def the_poll_interval_is_exceeded(s: Stage) -> None:
    """Alone: an error, everything lost, and assigned anew."""
    topic = await s.topic(1, records=500)
    async with s.joined("a", topic, **POLL_INTERVAL) as a:
        await a.commit(at(topic.partitions, 5), "before")
        await _stand_still(s, topic, a)
        await s.wait(TOO_LONG_SECONDS)
        await s.read(a, until=lambda: "Lost" in a.seen and a.owned)
        await a.commit(at(a.owned, 6), "afterwards")


@scenario()
async def the_poll_interval_is_exceeded_with_a_peer(s: Stage) -> None:
    """The other takes over while it stands still."""
    topic = await s.topic(2, records=500)
    async with s.joined("b", topic) as b, s.joined("a", topic, b, **POLL_INTERVAL) as a:
        await _stand_still(s, topic, a)
        await s.read(b, until=lambda: len(b.owned) == 2)
        await b.commit(at(b.owned, 9), "of all")
        await s.read(a, b, until=lambda: "Lost" in a.seen and len(a.owned) == len(b.owned) == 1)
        await a.commit(at(a.owned, 11), "afterwards")


@scenario()
async def a_commit_when_the_poll_interval_was_exceeded(s: Stage) -> None:
    """Asked for before the member has heard of it."""
    topic = await s.topic(1, records=500)
    async with s.joined("a", topic, **POLL_INTERVAL) as a:
        await a.commit(at(topic.partitions, 5), "before")
        await _stand_still(s, topic, a)
        await s.wait(TOO_LONG_SECONDS)
        answered = trio.Event()

        async def commit() -> None:
            await a.commit(at(topic.partitions, 6), "late", aside=True)
            answered.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(commit)
            await s.read(a, until=lambda: "Lost" in a.seen and a.owned and answered.is_set())


@scenario()
async def a_revoke_is_not_released(s: Stage) -> None:
    """Before the poll interval is over, the client takes it for lost; a commit then is refused."""
    topic = await s.topic(2)
    async with s.joined("a", topic, **POLL_INTERVAL) as a:
        a.keeps = True
        b = await s.open("b", topic)
        await s.read(a, b, until=lambda: a.pending)
        revoked = a.pending_partitions
        await s.read(a, b, until=lambda: "Lost" in a.seen)
        await a.commit(at(revoked, 5), "too late")
        a.keeps = False
        a.pending.clear()
        await s.read(a, b, until=lambda: len(a.owned) == len(b.owned) == 1)
        await a.commit(at(a.owned, 6), "afterwards")


@scenario()
async def killed_while_it_holds_a_revoke(s: Stage) -> None:
    """The newcomer waits for the end of its session, then has all."""
    topic = await s.topic(2)
    async with s.member("b", topic) as b:
        a = await s.open("a", topic, apart=True)
        await s.read(a, until=lambda: len(a.owned) == 2)
        await a.commit(at(topic.partitions, 4), "before")
        a.keeps = True
        await s.read(a, b, until=lambda: a.pending)
        await a.commit(at(a.pending_partitions, 5), "while draining")
        s.kafka.kill("a")
        await s.read(b, until=lambda: len(b.owned) == 2)
    s.notes["b"] = [f"has both: {len(b.owned) == 2}"]


@scenario()
async def records_after_a_loss(s: Stage) -> None:
    """They begin at the committed offset again."""
    topic = await s.topic(1, records=100)
    async with s.joined("a", topic, **POLL_INTERVAL) as a:
        await a.commit(at(topic.partitions, 5), "before")
        await _stand_still(s, topic, a)
        await s.wait(TOO_LONG_SECONDS)
        await s.read(a, until=lambda: "Lost" in a.seen)
        a.forget_records()
        await s.read(a, until=lambda: a.next_offset(topic[0]) == 100)
        a.note_records(topic[0])


@scenario(relayed=True)
async def cut_off_for_longer_than_the_session(s: Stage) -> None:
    """The other takes over. Under the classic protocols the member finds out by its own timer."""
    topic = await s.topic(2)
    async with s.joined("b", topic) as b, s.joined("a", topic, b) as a:
        s.kafka.cut("a")
        await s.read_for(AWAY_SECONDS, a, b)
        a.note(f"knows while it is cut off: {'Lost' in a.seen}")
        b.note(f"has all: {len(b.owned) == 2}")
        await b.commit(at(b.owned, 9), "of all")
        s.kafka.heal("a")
        await s.read(a, b, until=lambda: "Lost" in a.seen and len(a.owned) == len(b.owned) == 1)
        await a.commit(at(a.owned, 11), "when it is back")


@scenario(relayed=True)
async def silence_for_longer_than_the_session(s: Stage) -> None:
    """As when it is cut off, but its connections stand."""
    topic = await s.topic(2)
    async with s.joined("b", topic) as b, s.joined("a", topic, b) as a:
        s.kafka.hold("a")
        await s.read_for(AWAY_SECONDS, a, b)
        a.note(f"knows while nothing gets through: {'Lost' in a.seen}")
        b.note(f"has all: {len(b.owned) == 2}")
        await b.commit(at(b.owned, 9), "of all")
        s.kafka.heal("a")
        await s.read(a, b, until=lambda: "Lost" in a.seen and len(a.owned) == len(b.owned) == 1)
        await a.commit(at(a.owned, 11), "when it is back")


@scenario(relayed=True)
async def deaf_for_longer_than_the_session(s: Stage) -> None:
    """What the member sends arrives, and no answer comes back."""
    topic = await s.topic(2)
    async with s.joined("b", topic) as b, s.joined("a", topic, b) as a:
        s.kafka.deafen("a")
        await s.read(a, b, until=lambda: len(b.owned) == 2)
        await s.read_for(AWAY_SECONDS, a, b)
        a.note(f"knows while it is deaf: {'Lost' in a.seen}")
        s.kafka.cut("a")
        s.kafka.heal("a")
        await s.read(a, b, until=lambda: "Lost" in a.seen and len(a.owned) == len(b.owned) == 1)
        await a.commit(at(a.owned, 11), "when it is back")


@scenario(relayed=True)
async def a_commit_within_a_revoke_while_cut_off(s: Stage) -> None:
    """It waits for the link; the revoke waits for it."""
    topic = await s.topic(2)

    async def commit(event: Revoked) -> None:
        s.kafka.cut("a")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(heal)
            await a.commit(at(event.partitions, 7), "within the revoke")

    async def heal() -> None:
        await trio.sleep(SESSION_SECONDS / 4)
        s.kafka.heal("a")

    async with s.joined("a", topic) as a:
        a.when_revoked = commit
        async with s.joined("b", topic, a) as b:
            await s.note_committed(*b.owned)


@scenario(relayed=True)
async def a_commit_within_a_revoke_while_cut_off_for_too_long(s: Stage) -> None:
    """It never lands: the member's session is over when the link is back."""
    topic = await s.topic(2)

    async def commit(event: Revoked) -> None:
        a.when_revoked = None
        s.kafka.cut("a")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(heal)
            await a.commit(at(event.partitions, 7), "within the revoke")

    async def heal() -> None:
        await trio.sleep(AWAY_SECONDS)
        s.kafka.heal("a")

    async with s.joined("a", topic) as a:
        await a.commit(at(topic.partitions, 5), "before")
        a.when_revoked = commit
        b = await s.open("b", topic)
        await s.read(a, b, until=lambda: a.when_revoked is None and len(a.owned) == len(b.owned) == 1)
        held = [(await s.kafka.committed(s.group, one)).offset for one in topic.partitions]
        s.note("committed", str(held))
    del s.notes["b"]


@scenario(relayed=True)
async def cut_off_for_less_than_the_session(s: Stage) -> None:
    """Nobody notices."""
    topic = await s.topic(2)
    async with s.joined("b", topic) as b, s.joined("a", topic, b) as a:
        s.kafka.cut("a")
        await s.read_for(SESSION_SECONDS / 3, a, b)
        s.kafka.heal("a")
        await s.read_for(1.5, a, b)
        await a.commit(at(a.owned, 11), "when it is back")


@scenario(relayed=True)
async def a_commit_while_cut_off(s: Stage) -> None:
    """Shorter than the session: it waits, and is sent when the link is back."""
    topic = await s.topic(1)
    async with s.joined("a", topic) as a:
        s.kafka.cut("a")
        await s.read_for(0.3, a)

        async def commit() -> None:
            await a.commit(at(topic.partitions, 5), "while cut off", aside=True)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(commit)
            await s.read_for(0.5, a)
            s.kafka.heal("a")
            await s.read(a, until=lambda: "a's commit" in s.notes)
        await s.note_committed(topic[0])


@scenario(relayed=True)
async def a_commit_while_cut_off_for_too_long(s: Stage) -> None:
    """Longer than the session, with the partitions taken over: it never lands."""
    topic = await s.topic(2)
    async with s.joined("b", topic) as b, s.joined("a", topic, b) as a:
        own = min(a.owned)
        s.kafka.cut("a")
        await s.read_for(0.3, a, b)
        answered = trio.Event()

        async def commit() -> None:
            await a.commit(at([own], 5), "while cut off", aside=True)
            answered.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(commit)
            await s.read(a, b, until=lambda: len(b.owned) == 2)
            await b.commit(at(b.owned, 9), "of all")
            s.kafka.heal("a")
            await s.read(
                a, b, until=lambda: "Lost" in a.seen and len(a.owned) == len(b.owned) == 1 and answered.is_set()
            )
        await s.note_committed(own)


@scenario(relayed=True)
async def closing_while_cut_off(s: Stage) -> None:
    """The member is gone for itself at once, for the group when its session ends."""
    topic = await s.topic(2)
    async with s.joined("b", topic) as b:
        async with s.joined("a", topic, b):
            s.kafka.cut("a")
            await s.read_for(0.5, b)
        s.note("a", "has closed")
        await s.read(b, until=lambda: len(b.owned) == 2)


@scenario(relayed=True)
async def closing_while_nothing_gets_through(s: Stage) -> None:
    """Connections stand, and nobody answers: it closes all the same."""
    topic = await s.topic(2)
    async with s.joined("b", topic) as b:
        async with s.joined("a", topic, b):
            s.kafka.hold("a")
            await s.read_for(0.5, b)
        s.note("a", "has closed")
        s.kafka.heal("a")
        await s.read(b, until=lambda: len(b.owned) == 2)
