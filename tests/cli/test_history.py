"""The demo's judge must catch each kind of violation, and must not cry wolf about what at-least-once allows."""

from __future__ import annotations

import pytest

from trio_consumer import Order, Partition, Record
from trio_consumer.cli.history import Held, History, Run

P0 = Partition("demo", 0)
P1 = Partition("demo", 1)


def record(offset: int, key: bytes = b"k", value: bytes | None = None, partition: Partition = P0) -> Record:
    return Record(*partition, offset, key, b"value of %d" % offset if value is None else value)


def history(*keys: bytes, order: Order = Order.KEY, partition: Partition = P0) -> History:
    """A log of one record for each of these keys, and member a holding the partition."""
    judge = History(order)
    for offset, key in enumerate(keys):
        judge.produced(record(offset, key, partition=partition))
    judge.assigned("a", partition)
    return judge


def handle(judge: History, offset: int, key: bytes = b"k", member: str = "a") -> None:
    judge.succeeded(member, judge.began(member, record(offset, key)))


def committed_to_the_end(judge: History, end: int) -> None:
    judge.audit({P0: Held(end, (), end)})


def test_everything_handled_in_order_and_committed_is_kept() -> None:
    judge = history(b"k", b"other", b"k")
    for offset, key in enumerate((b"k", b"other", b"k")):
        handle(judge, offset, key)
    committed_to_the_end(judge, 3)
    verdict = judge.verdict()
    assert verdict.kept
    assert (verdict.produced, verdict.handled, verdict.repeated, verdict.audits) == (3, 3, 0, 1)
    assert judge.examples == []


def test_keys_are_not_ordered_among_each_other() -> None:
    judge = history(b"k", b"other")
    late = judge.began("a", record(0))
    handle(judge, 1, b"other")
    judge.succeeded("a", late)
    committed_to_the_end(judge, 2)
    assert judge.verdict().kept


def test_a_record_that_was_never_handled_is_lost() -> None:
    judge = history(b"k", b"other")
    handle(judge, 0)
    committed_to_the_end(judge, 1)
    assert judge.verdict().lost == 1
    assert not judge.verdict().kept
    assert judge.lost() == [(P0, 1)]


def test_a_cancelled_run_does_not_handle_its_record() -> None:
    judge = history(b"k")
    judge.was_cancelled(judge.began("a", record(0)))
    assert (judge.verdict().lost, judge.verdict().cancelled) == (1, 1)


def test_a_repeat_is_counted_and_allowed() -> None:
    judge = history(b"k", b"k")
    handle(judge, 0)
    handle(judge, 1)
    judge.released("a", P0)
    judge.assigned("b", P0)
    handle(judge, 0, member="b")
    handle(judge, 1, member="b")
    committed_to_the_end(judge, 2)
    verdict = judge.verdict()
    assert (verdict.repeated, verdict.out_of_order, verdict.handled) == (2, 0, 2)
    assert verdict.kept
    assert judge.handled_by == {"a": 2}


def test_a_replayed_prefix_that_is_interrupted_may_be_replayed_again() -> None:
    judge = history(b"k", b"k", b"k")
    for offset in range(3):
        handle(judge, offset)
    for _ in range(2):
        judge.released("a", P0)
        judge.assigned("a", P0)
        handle(judge, 0)
        judge.was_cancelled(judge.began("a", record(1)))
    assert (judge.verdict().repeated, judge.verdict().out_of_order) == (2, 0)


def test_two_handlers_of_one_key_at_once_are_out_of_order() -> None:
    judge = history(b"k", b"k")
    first = judge.began("a", record(0))
    judge.released("a", P0)
    judge.assigned("b", P0)
    again = judge.began("b", record(0))
    judge.succeeded("a", first)
    judge.succeeded("b", again)
    assert judge.verdict().out_of_order == 1
    assert "while another handler" in judge.examples[0]


def test_a_record_before_an_earlier_one_of_its_key_was_handled_is_out_of_order() -> None:
    judge = history(b"k", b"k")
    handle(judge, 1)
    handle(judge, 0)
    assert judge.verdict().out_of_order == 2  # the second came after a later one, within one tenure
    assert not judge.verdict().kept


def test_a_cancelled_record_may_not_be_overtaken_by_the_next_tenure() -> None:
    judge = history(b"k", b"k")
    judge.was_cancelled(judge.began("a", record(0)))
    judge.released("a", P0)
    judge.assigned("b", P0)
    handle(judge, 1, member="b")
    assert judge.verdict().out_of_order == 1
    assert "before an earlier record" in judge.examples[0]


def test_going_back_within_one_tenure_is_out_of_order() -> None:
    judge = history(b"k", b"k")
    handle(judge, 0)
    handle(judge, 1)
    handle(judge, 0)
    assert (judge.verdict().out_of_order, judge.verdict().repeated) == (1, 1)


@pytest.mark.parametrize(("order", "found"), [(Order.KEY, 0), (Order.PARTITION, 1), (Order.UNORDERED, 0)])
def test_the_lane_follows_from_the_order(order: Order, found: int) -> None:
    judge = history(b"k", b"other", order=order)
    first = judge.began("a", record(0))
    second = judge.began("a", record(1, b"other"))
    judge.succeeded("a", first)
    judge.succeeded("a", second)
    assert judge.verdict().out_of_order == found


def test_one_key_may_be_overtaken_where_nothing_is_ordered() -> None:
    judge = history(b"k", b"k", order=Order.UNORDERED)
    handle(judge, 1)
    handle(judge, 0)
    assert judge.verdict().out_of_order == 0


def test_the_same_key_in_another_partition_is_another_lane() -> None:
    judge = history(b"k")
    judge.produced(record(0, partition=P1))
    judge.assigned("a", P1)
    runs = [judge.began("a", record(0)), judge.began("a", record(0, partition=P1))]
    assert judge.verdict().out_of_order == 0
    assert len(runs) == 2


def test_a_handler_outside_a_tenure_is_unfenced() -> None:
    judge = history(b"k", b"k")
    handle(judge, 0)
    judge.released("a", P0)
    handle(judge, 1)
    assert judge.verdict().unfenced == 1
    assert not judge.verdict().kept


def test_a_member_that_does_not_hold_the_partition_is_unfenced() -> None:
    judge = history(b"k")
    handle(judge, 0, member="b")
    assert judge.verdict().unfenced == 1


@pytest.mark.parametrize(
    "seen", [record(0, value=b"something else"), record(0, key=b"other"), record(7)], ids=["value", "key", "offset"]
)
def test_a_record_that_was_not_produced_there_is_altered(seen: Record) -> None:
    judge = history(b"k")
    judge.succeeded("a", judge.began("a", seen))
    assert (judge.verdict().altered, judge.verdict().handled) == (1, 0)
    assert not judge.verdict().kept


def test_an_altered_run_can_be_cancelled() -> None:
    judge = history(b"k")
    run = judge.began("a", record(7))
    assert isinstance(run, Run)
    judge.was_cancelled(run)
    assert judge.verdict().cancelled == 1


def test_a_commit_past_a_running_handler_is_early() -> None:
    judge = history(b"k", b"other")
    run = judge.began("a", record(0))
    judge.audit({P0: Held(1, (), 2)})
    judge.audit({P0: Held(1, (), 2)})  # once for each record, however often it is seen
    judge.succeeded("a", run)
    assert judge.verdict().committed_early == 1
    assert not judge.verdict().kept
    assert "demo[0]@0" in judge.examples[0]


def test_an_offset_map_that_claims_too_much_is_early() -> None:
    judge = history(b"k", b"other", b"third")
    handle(judge, 2, b"third")
    judge.audit({P0: Held(0, [range(2, 3)], 3)})
    assert judge.verdict().committed_early == 0
    judge.audit({P0: Held(0, [range(1, 3)], 3)})
    assert judge.verdict().committed_early == 1


def test_what_was_handled_later_does_not_excuse_an_early_commit() -> None:
    judge = history(b"k")
    judge.audit({P0: Held(1, (), 1)})
    handle(judge, 0)
    assert judge.verdict().committed_early == 1


def test_a_commit_beyond_the_log_is_early() -> None:
    judge = history(b"k")
    handle(judge, 0)
    judge.audit({P0: Held(2, (), 1)})
    assert judge.verdict().committed_early == 1


def test_what_the_last_audit_found_uncommitted_is_reported() -> None:
    judge = history(b"k", b"k", b"k")
    for offset in range(3):
        handle(judge, offset)
    assert judge.verdict().uncommitted == 3  # nobody has looked yet
    judge.audit({P0: Held(None, (), 3)})
    assert judge.verdict().uncommitted == 3
    judge.audit({P0: Held(2, (), 3)})
    assert judge.verdict().uncommitted == 1
    assert not judge.verdict().kept
    judge.audit({P0: Held(3, (), 3)})
    assert judge.verdict().kept


def test_only_the_first_violations_are_kept_word_for_word() -> None:
    judge = history(*[b"k"] * 50)
    for offset in range(49, -1, -1):
        handle(judge, offset)
    assert judge.verdict().out_of_order == 50
    assert len(judge.examples) == 10
