"""The registry of oracles, and how they are attached to a history."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simulator.oracles import ORACLES, Expectations, watch
from simulator.oracles.oracle import FINDINGS_MAX
from simulator.runtime.clock import VirtualClock
from simulator.world import history as h
from trio_consumer import ConfigurationError

from .story import P0, A, Story, owner

REFERENCE = Path(__file__).parents[2] / "docs/reference/oracles.md"
JEPSEN = {"", "lost-write", "poll-skip", "nonmonotonic-poll", "unseen", "G1a"}


def test_each_oracle_has_a_name_of_its_own_and_a_promise() -> None:
    assert all(oracle.name == name for name, oracle in ORACLES.items())
    assert {oracle.promise for oracle in ORACLES.values()} == {f"G{number}" for number in range(1, 7)}
    assert {oracle.anomaly for oracle in ORACLES.values()} <= JEPSEN
    assert all(oracle.says and not oracle.says.endswith(".") for oracle in ORACLES.values())


def test_each_oracle_has_a_file_of_its_own() -> None:
    modules = [oracle.__module__ for oracle in ORACLES.values()]
    assert len(set(modules)) == len(ORACLES)
    assert all(oracle.__module__ == f"simulator.oracles.{name.replace('-', '_')}" for name, oracle in ORACLES.items())


@pytest.mark.parametrize(
    ("heading", "liveness"), [("## What must never happen", False), ("## What must happen in time", True)]
)
def test_the_reference_says_what_the_registry_says(heading: str, liveness: bool) -> None:
    wanted = [
        f"| `{name}` | {oracle.promise} | {oracle.anomaly} | {oracle.says} |"
        for name, oracle in ORACLES.items()
        if oracle.liveness is liveness
    ]
    section = REFERENCE.read_text(encoding="utf-8").split(heading, 1)[1].split("\n## ", 1)[0]
    assert re.findall(r"^\| `.*$", section, re.MULTILINE) == wanted, "\n".join(wanted)


def test_an_unknown_oracle_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'comit' is unknown: give one of commit, "):
        watch(h.History(VirtualClock()), Expectations(), ["comit"])


def test_a_plain_story_is_legal() -> None:
    story = owner()
    story.handle(A, 0, 1, 2, 3)
    story.commit(A, 4)
    story.heal()
    story.add(h.ProcessEnded(A, ""))
    story.add(h.ProcessEnded("b.1", ""))
    assert story.end() == [], story.texts


def test_a_finding_is_told_to_the_history_at_its_time() -> None:
    story = owner("commit")
    story.wait(1.5)
    story.commit(A, 1)
    found = [moment for moment in story.history.moments if isinstance(moment.event, h.Violated)]
    assert [moment.event for moment in found] == story.watch.violations
    assert {moment.time for moment in found} == {1.5}
    assert found[0].event[:2] == ("commit", "lost-write")


def test_only_the_chosen_oracles_watch() -> None:
    story = owner("order")
    story.commit(A, 1)
    assert story.found == []


def test_an_oracle_does_not_repeat_itself_for_ever() -> None:
    story = owner("commit")
    for _ in range(20):
        story.ask(A, 1)
    assert story.found == ["commit"] * FINDINGS_MAX


def test_what_a_killed_process_does_does_not_count() -> None:
    story = owner()
    call = story.start(A, 0)
    story.add(h.ProcessKilled(A))
    story.stop(call)
    story.ask(A, 4)
    story.handle(A, 3)
    assert story.found == []
    assert story.truth.log(P0).pending.head == 0


def test_a_commit_of_a_dead_process_that_nobody_asked_for_in_time_must_not_land() -> None:
    story = owner("acknowledged")
    story.add(h.ProcessKilled(A))
    story.apply(story.ask(A, 0))
    assert story.found == ["acknowledged"]


def test_another_group_does_not_count() -> None:
    story = Story()
    story.produce(0)
    story.add(h.CommitApplied("x.1", 0, "others", P0, 1, "", -1))
    story.add(h.OffsetsForgotten("others", P0, 1, -1, "expired"))
    assert story.found == []
