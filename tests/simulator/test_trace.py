"""The trace: every kind of event has a line of its own look, in columns, and the legend explains each."""

from __future__ import annotations

import pytest

from simulator.tools.recording import EVENTS
from simulator.tools.trace import BROKER, DETAILS, KINDS, TONES, Line, cut, key_of, legend, lines, ranges
from simulator.world import history
from simulator.world.history import Moment
from simulator.world.scenario import Scenario
from tests.simulator.synthetic import run
from trio_consumer import Partition

ORDERS = Partition("orders", 1)
STORY = run(Scenario(seed=7, faults=frozenset({"commit-delayed", "crash", "stall"})))


def line_of(event: tuple[object, ...], time: float = 1.5) -> Line:
    (line,) = lines([Moment(time, event)], everything=True)
    return line


def test_every_event_is_shown() -> None:
    assert set(KINDS) == set(EVENTS.values())


def test_no_two_events_look_alike() -> None:
    looks = [kind.mark for kind in KINDS.values()]
    assert len(set(looks)) == len(looks)
    assert all(len(mark) == 1 for mark in looks)
    assert {kind.tone for kind in KINDS.values()} == set(TONES)


def test_the_columns_are_aligned() -> None:
    for line in lines(STORY.moments):
        assert line.text[21] == " "
        assert line.text[20] == line.mark
        assert line.text.startswith(f"{line.time:10.4f}  {line.who}")
        assert "\n" not in line.text


def test_lines_are_in_order_and_none_is_missing() -> None:
    told = list(lines(STORY.moments, everything=True))
    assert [line.time for line in told] == [moment.time for moment in STORY.moments]


def test_details_are_left_out_unless_wanted() -> None:
    details = [event for _, event in STORY.moments if isinstance(event, DETAILS)]
    few, all_ = list(lines(STORY.moments)), list(lines(STORY.moments, everything=True))
    assert details
    assert len(all_) - len(few) == len(details)


def test_the_legend_explains_what_is_shown() -> None:
    shown = list(lines(STORY.moments))
    explained = {row[0] for row in legend(shown)}
    assert explained == {line.mark for line in shown}
    assert len(legend()) == len(KINDS)


def test_an_unknown_event_is_shown_as_it_is() -> None:
    line = line_of(Moment(1.0, "of another kind"))
    assert "Moment" in line.text
    assert "of another kind" in line.text


@pytest.mark.parametrize(
    ("event", "parts"),
    [
        (history.HandlerStarted("a.1", 9, ORDERS, 4, b"k", 2), ["a.1", "orders[1]@4", "call 9", "key k", "attempt 2"]),
        (history.HandlerEnded("a.1", 9, ORDERS, 4, "failed", "ValueError: x"), ["call 9", "failed", "ValueError: x"]),
        (history.RecordsDelivered("a.1", ORDERS, (3, 4, 5, 9), 10, 12), ["orders[1]@3–5 9", "4 records", "end 12"]),
        (history.CommitAsked("a.1", 3, {ORDERS: (7, "map")}, True), ["commit 3", "in revoke", "orders[1]@7 +map 3"]),
        (history.CommitApplied("a.1", 3, "g", ORDERS, 7, "", -1), [BROKER, "orders[1]@7", "was none", "of a.1"]),
        (history.CommitRefused("a.1", 3, "g", ORDERS, "FENCED"), ["orders[1]", "FENCED", "commit 3 of a.1"]),
        (history.AssignmentDelivered("a.1", {ORDERS: 6}, {ORDERS: (-1, "")}), ["orders[1] from none", "tenure 6"]),
        (history.FaultFired("crash", 12, "a.1"), ["fault", "crash", "12", "a.1"]),
        (history.ProcessFrozen("a.1", False), ["frozen", "its event loop"]),
        (history.Violated("order", "G1c", "orders[1]@4 twice"), ["VIOLATED", "order (G1c): orders[1]@4 twice"]),
        (history.Transition("g", "classic", "Empty", "join", "Stable"), ["g/classic", "Empty —join→ Stable"]),
    ],
)
def test_a_line_says_what_happened(event: tuple[object, ...], parts: list[str]) -> None:
    text = line_of(event).text
    for part in parts:
        assert part in text


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        (None, "-"),
        (b"abc", "abc"),
        (b"", "b''"),
        (b"\xff", "b'\\xff'"),
        (b"a\nb", "b'a\\nb'"),
        (b"x" * 99, "x" * 23 + "…"),
    ],
)
def test_keys_are_readable(key: bytes | None, shown: str) -> None:
    assert key_of(key) == shown


@pytest.mark.parametrize(("numbers", "text"), [([], ""), ([4], "4"), ([1, 2, 3, 7, 9, 10], "1–3 7 9–10")])
def test_neighbours_are_joined(numbers: list[int], text: str) -> None:
    assert ranges(numbers) == text


def test_long_texts_are_cut_but_no_violation() -> None:
    assert len(line_of(history.ProcessEnded("a.1", "x" * 5000)).text) < 500
    assert len(line_of(history.Violated("o", "", "x" * 5000)).text) > 5000
    assert cut("a\nb") == "a b"
