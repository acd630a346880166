"""The broker dies and comes back with its data."""

from __future__ import annotations

import trio

from .kafka import SESSION_SECONDS
from .scenario import scenario
from .stage import Stage, at

LONG_SESSION = {"session_timeout_ms": 30_000}


def _long(s: Stage) -> dict[str, int]:
    """A session that outlasts the outage. Under KIP-848 it is the broker's, which lets it begin anew."""
    return LONG_SESSION if s.classic else {}


@scenario(outage=True)
async def the_broker_is_away_for_a_moment(s: Stage) -> None:
    """Shorter than the session: what was committed in the meantime lands when it is back, and nothing else happens."""
    topic = await s.topic(2, records=10)
    async with s.joined("a", topic, **_long(s)) as a:
        await s.read(a, until=lambda: len(a.records) == 20)
        await a.commit(at(topic.partitions, 5), "before")
        await s.kafka.broker_dies()
        answered, landed = trio.Event(), trio.Event()

        async def commit() -> None:
            error = await a.try_commit(at(topic.partitions, 9))
            answered.set()
            # Straight after its return the broker may answer that it is still loading.
            while error:
                await trio.sleep(0.1)
                error = await a.try_commit(at(topic.partitions, 9))
            landed.set()
            s.note("a's commit", "has landed")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(commit)
            await s.read_for(1.0, a)
            a.note(f"is answered while the broker is away: {answered.is_set()}")
            await s.kafka.broker_returns()
            await s.read(a, until=landed.is_set)
        await s.produce(topic[0], 1)
        await s.read(a, until=lambda: a.next_offset(topic[0]) == 11)
        await s.note_committed(*topic.partitions)


@scenario(outage=True)
async def the_broker_is_away_for_longer(s: Stage) -> None:
    """Longer than the session. The classic protocols give up by themselves; all go on in the end."""
    topic = await s.topic(2, records=10)
    async with s.joined("a", topic) as a:
        await s.read(a, until=lambda: len(a.records) == 20)
        await a.commit(at(topic.partitions, 5), "before")
        await s.kafka.broker_dies()
        await s.read_for(SESSION_SECONDS + 2, a)
        a.note(f"has lost all: {not a.owned}")
        await s.kafka.broker_returns()
        await s.read(a, until=lambda: len(a.owned) == 2)
        await s.read_for(SESSION_SECONDS, a)
        a.note(f"has all: {len(a.owned) == 2}")
        await a.commit(at(topic.partitions, 7), "afterwards")
        await s.note_committed(*topic.partitions)


@scenario(outage=True)
async def closing_while_the_broker_is_dead(s: Stage) -> None:
    """It does not wait for the broker."""
    topic = await s.topic(1)
    async with s.joined("a", topic) as a:
        await a.commit(at(topic.partitions, 5), "before")
        await s.kafka.broker_dies()
        await s.read_for(0.5, a)
    s.note("a", "has closed")
    await s.kafka.broker_returns()
    async with s.joined("b", topic):
        pass
