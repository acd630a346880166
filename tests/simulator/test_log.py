"""The log: reading across holes, transactions and their last stable offset, losing the head, the tail or the middle."""

from __future__ import annotations

import random

import pytest

from simulator.kafka.log import Entry, Log, Span


def log_of(count: int, *, keys: int = 0, replicated: bool = True) -> Log:
    log = Log()
    log.begin_epoch(0)
    for number in range(count):
        log.append(f"k{number % keys}".encode() if keys else None, f"v{number}".encode())
    if replicated:
        log.replicate(log.end)
    return log


def offsets(entries: tuple[Entry, ...] | list[Entry]) -> list[int]:
    return [entry.offset for entry in entries]


def aborted(log: Log, count: int) -> Span:
    span = Span()
    for _ in range(count):
        log.append(b"a", b"aborted", None, None, span)
    log.decide(span, False)
    return span


def test_what_is_appended_is_kept_with_everything() -> None:
    log = Log()
    log.begin_epoch(7)
    log.append(None, None, [("source", b"x"), ("empty", None)], 1234)
    log.replicate(1)
    assert log.read(0, 1, 10) == (
        Entry(0, None, None, headers=[("source", b"x"), ("empty", None)], timestamp=1234, leader_epoch=7),
    )


def test_reading_ends_at_the_limit_and_at_the_count() -> None:
    log = log_of(10)
    assert offsets(log.read(3, 10, 4)) == [3, 4, 5, 6]
    assert offsets(log.read(3, 5, 4)) == [3, 4]
    assert log.read(10, 10, 4) == ()


def test_entries_are_handed_out_without_copying_them() -> None:
    log = log_of(3)
    assert log.read(1, 3, 1)[0] is log.entries[1]


def test_nothing_is_visible_before_it_is_replicated() -> None:
    log = log_of(3, replicated=False)
    assert log.visible(True) == []
    assert log.limit(False) == 0
    log.replicate(2)
    assert offsets(log.visible(True)) == [0, 1]
    with pytest.raises(ValueError, match="outside of the log"):
        log.replicate(4)


def test_an_open_transaction_holds_the_last_stable_offset() -> None:
    log = log_of(2)
    span = Span()
    log.append(b"k", b"undecided", None, None, span)
    log.append(b"k", b"after it")
    log.replicate(log.end)
    assert (log.high_watermark, log.last_stable) == (4, 2)
    assert offsets(log.visible(True)) == [0, 1]
    assert offsets(log.visible(False)) == [0, 1, 2, 3]


def test_a_decided_transaction_is_stable_once_its_marker_is_replicated() -> None:
    log = log_of(2)
    span = Span()
    log.append(b"k", b"v", None, None, span)
    log.replicate(log.end)
    marker = log.decide(span, True)
    assert marker.control
    assert log.last_stable == 2
    log.replicate(log.end)
    assert log.last_stable == 4
    assert offsets(log.visible(True)) == [0, 1, 2]


def test_the_records_of_an_aborted_transaction_are_for_read_uncommitted_only() -> None:
    log = log_of(1)
    aborted(log, 2)
    log.append(b"k", b"v")
    log.replicate(log.end)
    assert offsets(log.visible(True)) == [0, 4]
    assert offsets(log.visible(False)) == [0, 1, 2, 4]
    assert [(entry.aborted, entry.control) for entry in log.entries] == [
        (False, False),
        (True, False),
        (True, False),
        (False, True),
        (False, False),
    ]


def test_a_transaction_ends_once() -> None:
    log = log_of(0)
    span = aborted(log, 1)
    with pytest.raises(ValueError, match="has ended already"):
        log.decide(span, True)


def test_retention_moves_the_start_up_to_the_high_watermark() -> None:
    log = log_of(5)
    log.append(b"k", b"not replicated")
    log.trim(3)
    assert (log.start, offsets(log.entries)) == (3, [3, 4, 5])
    log.trim(5)
    assert offsets(log.visible(True)) == []
    for start in (4, 6):
        with pytest.raises(ValueError, match="log start"):
            log.trim(start)


def test_retention_can_pass_an_open_transaction() -> None:
    log = log_of(1)
    span = Span()
    log.append(b"k", b"v", None, None, span)
    log.append(b"k", b"v")
    log.replicate(3)
    assert log.last_stable == 1
    log.trim(2)
    assert log.last_stable == 3
    assert span.offsets == []


def test_truncation_gives_offsets_out_again_in_another_epoch() -> None:
    log = log_of(5)
    assert log.truncate(2, 1) == []
    assert (log.end, log.high_watermark, log.last_stable) == (2, 2, 2)
    assert log.append(b"k", b"other").offset == 2
    assert [(entry.offset, entry.leader_epoch) for entry in log.entries] == [(0, 0), (1, 0), (2, 1)]


def test_a_truncated_transaction_ends_again_in_the_same_way() -> None:
    log = log_of(0)
    span = aborted(log, 3)
    log.replicate(log.end)
    markers = log.truncate(2, 1)
    assert offsets(markers) == [2]
    assert markers[0].control
    assert span.offsets == [0, 1]
    log.replicate(log.end)
    assert log.last_stable == 3
    assert log.visible(True) == []


def test_an_open_transaction_survives_truncation_with_what_is_left_of_it() -> None:
    log = log_of(1)
    span = Span()
    for _ in range(3):
        log.append(b"k", b"v", None, None, span)
    log.replicate(log.end)
    assert log.truncate(2, 1) == []
    assert (span.offsets, log.last_stable) == ([1], 1)
    log.append(b"k", b"v", None, None, span)
    log.decide(span, True)
    log.replicate(log.end)
    assert (log.last_stable, offsets(log.visible(True))) == (4, [0, 1, 2])


def test_a_transaction_that_was_truncated_as_a_whole_can_go_on() -> None:
    log = log_of(1)
    span = Span()
    log.append(b"k", b"v", None, None, span)
    log.truncate(1, 1)
    log.append(b"k", b"v", None, None, span)
    log.replicate(log.end)
    assert (span.offsets, log.last_stable) == ([1], 1)


def test_where_a_leader_epoch_ended() -> None:
    log = log_of(5)
    log.begin_epoch(2)
    log.append(b"k", b"v")
    log.begin_epoch(4)
    assert log.end_of_epoch(0) == (0, 5)
    assert log.end_of_epoch(1) == (0, 5)
    assert log.end_of_epoch(2) == (2, 6)
    assert log.end_of_epoch(4) == (4, 6)
    assert log.end_of_epoch(5) == (-1, -1)
    assert log.end_of_epoch(-1) == (-1, -1)
    assert [log.epoch_at(offset) for offset in (0, 4, 5, 6)] == [0, 0, 2, 4]
    with pytest.raises(ValueError, match="epochs only grow"):
        log.begin_epoch(4)


def test_truncation_shows_in_the_end_of_an_older_epoch() -> None:
    log = log_of(5)
    log.truncate(3, 1)
    log.append(b"k", b"other")
    log.append(b"k", b"other")
    log.append(b"k", b"other")
    assert log.end_of_epoch(0) == (0, 3)


def test_compaction_leaves_the_last_record_of_each_key() -> None:
    log = log_of(9, keys=3)
    assert log.compact() == (0, 1, 2, 3, 4)
    # Offset 8 is the last entry and takes no part, so it does not supersede 5.
    assert offsets(log.entries) == [5, 6, 7, 8]
    assert (log.start, log.end) == (0, 9)
    assert offsets(log.read(1, 9, 2)) == [5, 6]


def test_compaction_leaves_what_is_not_stable() -> None:
    log = log_of(2, keys=1)
    span = Span()
    log.append(b"k0", b"undecided", None, None, span)
    log.append(b"k0", b"v")
    log.append(b"k0", b"v")
    log.replicate(log.end)
    assert log.compact() == (0,)
    assert offsets(log.entries) == [1, 2, 3, 4]


def test_compaction_drops_aborted_records_first_and_markers_and_tombstones_later() -> None:
    log = log_of(0)
    aborted(log, 2)
    log.append(b"gone", None)
    log.append(None, b"no key")
    log.append(b"k", b"v")
    log.replicate(log.end)
    assert log.compact() == (0, 1)
    assert log.compact(horizon=True) == (2, 3)
    assert offsets(log.entries) == [4, 5]


def test_compaction_leaves_the_last_entry_and_copes_with_nothing() -> None:
    assert log_of(0).compact(horizon=True) == ()
    log = log_of(0)
    aborted(log, 1)
    log.replicate(log.end)
    assert log.compact(horizon=True) == (0,)
    assert offsets(log.entries) == [1]


@pytest.mark.parametrize("seed", range(40))
def test_the_invariants_hold_whatever_happens(seed: int) -> None:
    draw = random.Random(seed)
    log = log_of(3, keys=2)
    open_: list[Span] = []
    epoch = 0
    for _ in range(120):
        match draw.randrange(9):
            case 0 | 1 | 2:
                log.append(b"k%d" % draw.randrange(4), draw.choice([None, b"v"]))
            case 3:
                span = draw.choice([*open_, Span()])
                if span not in open_:
                    open_.append(span)
                log.append(b"k%d" % draw.randrange(4), b"v", None, None, span)
            case 4 if open_:
                log.decide(open_.pop(draw.randrange(len(open_))), draw.random() < 0.5)
            case 5 | 6:
                log.replicate(draw.randint(max(log.start, log.high_watermark - 1), log.end))
            case 7:
                if draw.random() < 0.3:
                    log.trim(draw.randint(log.start, log.high_watermark))
                elif draw.random() < 0.5:
                    log.compact(horizon=draw.random() < 0.5)
            case 8 if draw.random() < 0.3:
                epoch += 1
                log.truncate(draw.randint(log.start, log.end), epoch)
        assert log.start <= log.last_stable <= log.high_watermark <= log.end
        held = offsets(log.entries)
        assert held == sorted(set(held))
        assert all(log.start <= offset < log.end for offset in held)
        assert all(span.offsets == sorted(span.offsets) for span in open_)
        undecided = [offset for span in open_ for offset in span.offsets]
        assert all(offset >= log.last_stable for offset in undecided)
        assert offsets(log.read(log.start, log.end, 1000)) == held
