"""Planted bugs: each applies to the code of today, leaves nothing behind, and is caught by the oracle that it names."""

from __future__ import annotations

import dis
from pathlib import Path

import pytest

from simulator.bugs.bug import Bug
from simulator.bugs.catalogue import BUGS
from simulator.bugs.edits import Edit, EditDoesNotApply, applied, edited, function_at
from simulator.bugs.hunt import WORLD, findings, hunt, run_bugs
from simulator.faults.catalogue import KINDS
from simulator.oracles import ORACLES
from simulator.world.draw import draw
from trio_consumer import ConfigurationError
from trio_consumer.core.ledger import Ledger
from trio_consumer.core.retries import Decision, decide

ALL = pytest.mark.parametrize("bug", BUGS.values(), ids=list(BUGS))
DECIDE = "trio_consumer.core.retries:decide"
ATTEMPT = "attempt < attempts"


def instructions(bug: Bug) -> list[list[tuple[str, str]]]:
    return [[(one.opname, one.argrepr) for one in dis.get_instructions(function_at(edit.target))] for edit in bug.edits]


# Edits


def test_an_edit_changes_what_a_function_does_and_is_undone() -> None:
    with applied([Edit(DECIDE, ATTEMPT, "attempt <= attempts")]):
        assert decide(1, 1, "skip") is Decision.RETRY
    assert decide(1, 1, "skip") is Decision.SKIP


def test_an_edit_reaches_a_property_and_those_who_hold_it() -> None:
    ledger = Ledger()
    ledger.deliver([3, 4])
    with applied([Edit("trio_consumer.core.ledger:Ledger.committable", "return self.head", "return 7")]):
        assert ledger.committable == 7
    assert ledger.committable == 3


def test_an_edit_is_undone_after_an_error() -> None:
    with pytest.raises(KeyError), applied([Edit(DECIDE, ATTEMPT, "attempt <= attempts")]):
        raise KeyError
    assert decide(1, 1, "skip") is Decision.SKIP


def test_two_edits_of_one_function() -> None:
    again = Edit(DECIDE, "return Decision.RETRY", "return Decision.HALT")
    with applied([Edit(DECIDE, ATTEMPT, "attempt <= attempts"), again]):
        assert decide(1, 1, "skip") is Decision.HALT


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (Edit(DECIDE, "attempts > attempt", "True"), "is not there"),
        (Edit(DECIDE, "attempts", "retries"), "is there 3 times"),
        (Edit(DECIDE, ATTEMPT, "(attempt < attempts)"), "changes nothing"),
        (Edit(DECIDE, ATTEMPT, "attempt <"), "makes no Python"),
        (Edit("trio_consumer.core.retries:decided", ATTEMPT, "True"), "no such function"),
        (Edit("trio_consumer.core.retried:decide", ATTEMPT, "True"), "no such function"),
        (Edit("trio_consumer.core.retries:Decision", ATTEMPT, "True"), "no function of Python"),
    ],
)
def test_an_edit_that_does_not_fit_fails_and_changes_nothing(edit: Edit, says: str) -> None:
    good = Edit("trio_consumer.core.ledger:Ledger.committable", "return self.head", "return 7")
    with pytest.raises(EditDoesNotApply, match=says), applied([good, edit]):
        pass
    ledger = Ledger()
    ledger.deliver([3])
    assert ledger.committable == 3


def test_lines_after_the_first_keep_their_place() -> None:
    source = "def f():\n    if a:\n        b()\n    c()\n"
    assert edited(source, Edit("f", "if a:\n    b()", "d()\nif e:\n    f()")) == (
        "def f():\n    d()\n    if e:\n        f()\n    c()\n"
    )


# The catalogue


@ALL
def test_a_bug_changes_the_code_and_leaves_it_as_it_was(bug: Bug) -> None:
    before = [function_at(edit.target).__code__ for edit in bug.edits]
    right = instructions(bug)
    with bug.planted():
        assert all(wrong != one for wrong, one in zip(instructions(bug), right, strict=True))
    assert all(function_at(edit.target).__code__ is code for edit, code in zip(bug.edits, before, strict=True))


@ALL
def test_a_bug_is_described(bug: Bug) -> None:
    assert bug.accepted <= {*ORACLES, WORLD}
    assert bug.oracle not in bug.also
    assert bug.says[0].islower() or bug.says.split()[0].isupper()
    assert not bug.says.endswith(".")
    assert frozenset(bug.given.get("faults", ())) <= set(KINDS)
    draw(0, **bug.given)  # a scenario can be made of it
    in_simulator = [edit.target.startswith("simulator.kafka") for edit in bug.edits]
    assert all(in_simulator) if bug.lie else not any(in_simulator)


def test_there_are_enough() -> None:
    assert sum(not bug.lie for bug in BUGS.values()) >= 44
    assert sum(bug.lie for bug in BUGS.values()) >= 14


def test_bugs_edit_different_things() -> None:
    assert len({bug.edits for bug in BUGS.values()}) == len(BUGS)


@pytest.mark.parametrize("issue", ["#826", "#894", "#203", "#909", "#857", "#487", "#843", "#830"])
def test_published_bugs_are_among_them(issue: str) -> None:
    assert any(issue in bug.source for bug in BUGS.values() if "parallel-consumer" in bug.source)


# The hunt


def test_an_unknown_bug() -> None:
    with pytest.raises(ConfigurationError, match="nothing-wrong"):
        run_bugs(["nothing-wrong"])


def test_a_bug_that_no_longer_applies_says_so() -> None:
    broken = Bug(name="broken", says="plants nothing", oracle="commit", edits=(Edit(DECIDE, "gone", "here"),))
    with pytest.raises(EditDoesNotApply, match="has changed"), broken.planted():
        pass


@pytest.mark.parametrize("name", ["commit-one-too-far", "no-fence-after-revoke", "loses-acknowledged-commit"])
def test_hunting_catches_a_bug_and_leaves_the_code_right(name: str) -> None:
    row = hunt(name, seeds_max=40)
    assert row.killed
    assert row.caught == row.expected
    assert row.seeds == row.seed + 1
    assert not findings(None, row.seed, like=BUGS[row.bug])


def test_a_bug_that_is_not_caught_has_survived() -> None:
    row = hunt("commit-one-too-far", seeds_max=0)
    assert not row.killed
    assert (row.seed, row.seeds) == (-1, 0)


def test_docs_list_them() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/planted-bugs.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("| `")]
    assert lines == [f"| `{bug.name}` | {bug.says} | `{bug.oracle}` | {bug.source} |" for bug in BUGS.values()]
