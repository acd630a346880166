"""The inbox between the client's thread and Trio: what joins, what is granted, and what stays apart."""

from __future__ import annotations

from collections.abc import Mapping

from trio_consumer.client.bridge import Inbox
from trio_consumer.client.port import Assigned, Committed, Event, Lost, Records
from trio_consumer.record import Partition, Record

A, B = Partition("t", 0), Partition("t", 1)


def batch(partition: Partition, *offsets: int, position: int | None = None, end: int | None = None) -> Records:
    records = [Record(*partition, offset) for offset in offsets]
    at = offsets[-1] + 1 if position is None else position
    return Records(records, {partition: at}, {} if end is None else {partition: end}, 10 * len(offsets))


def filled(*events: Event) -> Inbox:
    inbox = Inbox()
    inbox.grant(100)
    for event in events:
        inbox.put(event, {})
    return inbox


def offsets(event: Event) -> list[tuple[int, int]]:
    assert isinstance(event, Records)
    return [(record.partition, record.offset) for record in event.records]


def test_unread_records_join() -> None:
    inbox = filled(batch(A, 1, 2, end=3), batch(B, 7, end=9), batch(A, 3, 4))
    found = inbox.take(100)
    assert offsets(found) == [(0, 1), (0, 2), (1, 7), (0, 3), (0, 4)]
    assert isinstance(found, Records)
    assert found.positions == {A: 5, B: 8}
    assert found.ends == {A: 5, B: 9}  # an end that was told before is not below what has come since
    assert found.bytes_max == 20


def test_nothing_joins_across_another_event() -> None:
    inbox = filled(batch(A, 1), Lost((A,)), Assigned({A: Committed(1)}), batch(A, 1))
    assert offsets(inbox.take(100)) == [(0, 1)]
    assert isinstance(inbox.take(100), Lost)
    assert isinstance(inbox.take(100), Assigned)
    assert offsets(inbox.take(100)) == [(0, 1)]


def test_a_log_that_went_back_stays_apart() -> None:
    """Or the position of the old records would pass what comes anew."""
    inbox = filled(batch(A, 5, 6), batch(A, 2))
    first, second = inbox.take(100), inbox.take(100)
    assert isinstance(first, Records)
    assert isinstance(second, Records)
    assert (first.positions, second.positions) == ({A: 7}, {A: 3})


def test_a_position_without_records_that_is_older_changes_nothing() -> None:
    """The client has come to the end, at 9, and is asked afterwards how far it has handed out."""
    inbox = filled(batch(A, 5), Records([], {A: 9}, {}), Records([], {A: 6}, {}))
    found = inbox.take(100)
    assert isinstance(found, Records)
    assert found.positions == {A: 9}


def test_what_is_granted_and_what_is_unread_are_one_batch() -> None:
    inbox = Inbox()
    assert inbox.grant(10) == 10
    assert inbox.grant(10) == 0
    inbox.put(batch(A, 1, 2, 3, 4), {})
    assert inbox.grant(10) == 0  # unread
    inbox.take(10)
    assert inbox.grant(10) == 0  # more than half is left
    inbox.put(batch(A, 5, 6), {})
    inbox.take(1)
    assert inbox.grant(10) == 5
    inbox.put(Records([], {A: 9}, {}), {})
    inbox.take(10)
    assert inbox.granted == 9


def test_what_is_dropped_can_be_fetched_again() -> None:
    inbox = filled(batch(A, 1, 2), batch(B, 3), batch(A, 3))
    inbox.drop(A)
    assert inbox.granted == 97
    found = inbox.take(100)
    assert offsets(found) == [(1, 3)]
    assert isinstance(found, Records)
    assert found.positions == {B: 4}


def test_tenures_are_those_that_were_read() -> None:
    inbox = Inbox()
    numbers: Mapping[Partition, int] = {A: 4}
    inbox.put(Assigned({A: Committed()}), numbers)
    inbox.put(Lost((A,)), {})
    assert inbox.tenures == {}
    inbox.take(1)
    assert inbox.tenures == {A: 4}
    inbox.take(1)
    assert inbox.tenures == {}
