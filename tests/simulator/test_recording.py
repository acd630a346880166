"""A world on file: the same comes back, and nothing else is taken for one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest

from simulator.tools.recording import (
    EVENTS,
    VERSION,
    Recording,
    UnreadableRecording,
    dumps,
    loads,
    read,
    recording_of,
    write,
)
from simulator.world import history
from simulator.world.history import Moment
from simulator.world.scenario import Scenario
from tests.simulator.synthetic import run
from trio_consumer import ConfigurationError, Partition

ORDERS = Partition("orders", 1)
SCENARIO = Scenario(
    seed=7,
    faults=frozenset({"crash", "stall", "commit-delayed"}),
    muted=frozenset({4, 11}),
    scale={"handler-fails": 3.0},
    options={"attempts": None, "order": "key", "grace": 0.4},
    settings={"auto.offset.reset": "latest"},
)
WORLD: Recording = recording_of(run(SCENARIO))  # type: ignore[arg-type]


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    write(tmp_path / "a", WORLD)
    back = read(tmp_path / "a")
    assert back == WORLD
    assert [type(moment.event) for moment in back.moments] == [type(moment.event) for moment in WORLD.moments]
    assert back.violations == WORLD.violations
    assert back.scenario.pasted() == SCENARIO.pasted()


EVERY = (
    history.HandlerStarted("a.1", 1, ORDERS, 2, None, 1),
    history.HandlerStarted("a.1", 1, ORDERS, 2, b"\xff\x00", 1),
    history.CommitAsked("a.1", 1, {ORDERS: (5, "map")}, False),
    history.CommitAsked("a.1", 2, {}, True),
    history.AssignmentDelivered("a.1", {ORDERS: 1}, {ORDERS: (-1, "")}),
    history.RevokeDelivered("a.1", ()),
    history.RevokeDelivered("a.1", (ORDERS, Partition("x", 0))),
    history.Compacted(ORDERS, (1, 5, 9)),
    history.Sampled("a.1", 1, 2, 3, 4, 5),
)


@pytest.mark.parametrize("event", EVERY)
def test_each_shape_of_event_comes_back(event: tuple[object, ...]) -> None:
    world = Recording(Scenario(seed=1), (Moment(0.25, event),))
    (moment,) = loads(dumps(world)).moments
    assert moment == Moment(0.25, event)
    assert repr(moment.event) == repr(event)


def test_the_same_world_gives_the_same_bytes() -> None:
    assert dumps(WORLD) == dumps(recording_of(run(SCENARIO)))  # type: ignore[arg-type]


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    body = msgpack.unpackb(dumps(WORLD))
    change(body)
    return bytes(msgpack.packb(body))


def set_(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda body: body.update({name: value})


def with_moment(moment: object) -> bytes:
    return changed(lambda body: body["moments"].append(moment))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not a recording"),
        (b"hello", "not a recording"),
        (b"\x80", "not a recording"),
        (bytes(msgpack.packb({"format": "another"})), "not a recording"),
        (bytes(msgpack.packb([1])), "not a recording"),
        (b"\xdd\xff\xff\xff\xff", "not a recording"),  # an array of four thousand million
        (b"\x91" * 5000, "not a recording"),
        (dumps(WORLD)[:-9], "not a recording"),
        (changed(set_("version", VERSION + 1)), f"has version {VERSION + 1}, and this simulator reads {VERSION}"),
        (changed(lambda body: body["events"].update(Appended=["partition"])), "another version (Appended)"),
        (changed(lambda body: body["events"].update(Unheard=[])), "another version (Unheard)"),
        (changed(lambda body: body["scenario"].update(gravity=9.8)), "another version (gravity)"),
        (changed(lambda body: body["scenario"].update(protocol="raft")), "protocol='raft'"),
        (changed(lambda body: body.pop("steps")), "damaged"),
        (changed(set_("steps", "many")), "damaged"),
        (
            changed(lambda body: body["moments"].append([1.0, "Appended", [["orders", "one"], 1, None, True]])),
            "damaged",
        ),
        (changed(lambda body: body["moments"].append([1.0, "Appended", [["orders", 1], 1]])), "damaged"),
        (changed(lambda body: body["moments"].append([1.0, "Moment", []])), "damaged"),
        (changed(lambda body: body["moments"].append(7)), "damaged"),
    ],
)
def test_what_is_no_recording_is_refused(data: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(UnreadableRecording) as caught:
        read(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_is_too_large_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a", WORLD)
    monkeypatch.setattr("simulator.tools.recording.FILE_BYTES_MAX", 100)
    with pytest.raises(UnreadableRecording, match="more than 100 bytes"):
        read(tmp_path / "a")


def test_files_that_cannot_be_opened_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableRecording, match="none can't be read"):
        read(tmp_path / "none")
    with pytest.raises(ConfigurationError, match="can't be written"):
        write(tmp_path / "no" / "such" / "folder", WORLD)


def test_every_event_of_a_history_is_known() -> None:
    assert {"Violated", "Appended", "HandlerStarted", "PhaseBegan"} <= set(EVENTS)
    assert "Moment" not in EVENTS
