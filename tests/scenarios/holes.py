"""Logs with holes: transactions, compaction; and records of every shape."""

from __future__ import annotations

from .scenario import scenario
from .stage import Stage, at


@scenario()
async def a_transaction_is_committed(s: Stage) -> None:
    """Its marker takes an offset; the position passes it, and a restart there has nothing to read."""
    topic = await s.topic(1, records=3)
    transaction = await s.kafka.begin_transaction(topic[0])
    await transaction.append(2)
    await transaction.commit()
    async with s.joined("a", topic) as a:
        await s.read(a, until=lambda: a.positions.get(topic[0]) == 6)
        a.note_records(topic[0])
        a.note_positions(topic[0])
        await a.commit(at([topic[0]], 6), "past the marker")
        await s.produce(topic[0], 1)
        await s.read(a, until=lambda: a.next_offset(topic[0]) == 7)
        a.note_records(topic[0])


@scenario()
async def a_transaction_is_aborted(s: Stage) -> None:
    """Its records are not given out."""
    topic = await s.topic(1, records=3)
    transaction = await s.kafka.begin_transaction(topic[0])
    await transaction.append(2)
    await transaction.abort()
    await s.produce(topic[0], 1)
    async with s.joined("a", topic) as a:
        await s.read(a, until=lambda: a.next_offset(topic[0]) == 7)
        a.note_records(topic[0])


@scenario()
async def aborted_and_read_uncommitted(s: Stage) -> None:
    """Its records are given out, and only the marker is a hole."""
    topic = await s.topic(1, records=3)
    transaction = await s.kafka.begin_transaction(topic[0])
    await transaction.append(2)
    await transaction.abort()
    await s.produce(topic[0], 1)
    async with s.joined("a", topic, isolation_level="read_uncommitted") as a:
        await s.read(a, until=lambda: a.next_offset(topic[0]) == 7)
        a.note_records(topic[0])


@scenario()
async def an_open_transaction(s: Stage) -> None:
    """Nothing behind its first record is given out until it ends, not even what others wrote."""
    topic = await s.topic(1, records=3)
    async with s.joined("a", topic) as a:
        transaction = await s.kafka.begin_transaction(topic[0])
        await transaction.append(2)
        await s.produce(topic[0], 2)
        await s.read(a, until=lambda: a.positions.get(topic[0]) == 3)
        await s.read_for(0.7, a)
        a.note_records(topic[0])
        a.note_positions(topic[0])
        await transaction.commit()
        await s.read(a, until=lambda: a.positions.get(topic[0]) == 8)
        a.note_records(topic[0])


@scenario()
async def an_open_transaction_and_read_uncommitted(s: Stage) -> None:
    """All is given out at once."""
    topic = await s.topic(1, records=3)
    async with s.joined("a", topic, isolation_level="read_uncommitted") as a:
        transaction = await s.kafka.begin_transaction(topic[0])
        await transaction.append(2)
        await s.produce(topic[0], 2)
        await s.read(a, until=lambda: a.next_offset(topic[0]) == 7)
        a.note_records(topic[0])
        await transaction.abort()


@scenario()
async def committed_inside_an_aborted_transaction(s: Stage) -> None:
    """Reading begins behind it."""
    topic = await s.topic(1, records=3)
    transaction = await s.kafka.begin_transaction(topic[0])
    await transaction.append(3)
    await transaction.abort()
    await s.produce(topic[0], 2)
    async with s.joined("a", topic) as a:
        await a.commit(at([topic[0]], 4), "inside")
    async with s.joined("b", topic) as b:
        await s.read(b, until=lambda: b.next_offset(topic[0]) == 9)
        b.note_records(topic[0])


@scenario()
async def compaction(s: Stage) -> None:
    """Only the last record of each key is left; a commit inside the hole begins behind it."""
    config = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.0", "segment.ms": "100"}
    topic = await s.topic(1, config=config)
    await s.kafka.produce(topic[0], [(b"k%d" % (n % 10), b"%d" % n) for n in range(40)])
    await s.wait(0.3)
    await s.kafka.produce(topic[0], [(b"last", b"")])
    await s.kafka.compact(topic[0])
    async with s.joined("a", topic) as a:
        await s.read(a, until=lambda: a.next_offset(topic[0]) == 41)
        a.note_records(topic[0])
        await a.commit(at([topic[0]], 12), "inside the hole")
    async with s.joined("b", topic) as b:
        await s.read(b, until=lambda: b.next_offset(topic[0]) == 41)
        b.note_records(topic[0])


@scenario()
async def records_of_every_shape(s: Stage) -> None:
    """Without a key, without a value, empty, and bytes that are no text."""
    topic = await s.topic(1)
    await s.kafka.produce(topic[0], [(None, b"v"), (b"k", None), (None, None), (b"", b""), (b"\xff", b"\0\xfe")])
    async with s.joined("a", topic) as a:
        await s.read(a, until=lambda: len(a.records) == 5)
        for one in a.records:
            a.note(f"{one.offset}: {one.key} {one.value}")
