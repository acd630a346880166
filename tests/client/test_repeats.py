"""librdkafka's repeated lines pass once in a while, and nothing else is held back."""

from __future__ import annotations

import logging

from trio_consumer.client.repeats import REPEAT_SECONDS, REPEATS_REMEMBERED_MAX, Repeats


def said(text: str, at: float) -> logging.LogRecord:
    record = logging.LogRecord("trio_consumer.client.librdkafka", logging.ERROR, __file__, 1, "%s", (text,), None)
    record.created = at
    return record


def test_a_repeated_line_of_the_client_passes_once_in_a_while() -> None:
    repeats = Repeats()
    assert repeats.filter(said("Connection refused (after 0ms in state CONNECT)", 100.0))
    assert not repeats.filter(said("Connection refused (after 1ms in state CONNECT)", 100.5))
    assert not repeats.filter(said("Connection refused (after 0ms in state CONNECT)", 101.0))
    later = said("Connection refused (after 12ms in state CONNECT)", 100.0 + REPEAT_SECONDS)
    assert repeats.filter(later)
    assert later.getMessage() == "Connection refused (after 12ms in state CONNECT) (and 2 times before)"


def test_different_lines_pass() -> None:
    repeats = Repeats()
    assert repeats.filter(said("broker 1 is down", 100.0))
    assert repeats.filter(said("broker 2 is down", 100.0))


def test_what_is_remembered_is_bounded() -> None:
    repeats = Repeats()
    for number in range(REPEATS_REMEMBERED_MAX + 1):
        assert repeats.filter(said(f"line {number}", 100.0))
    assert repeats.filter(said("line 0", 100.0))
