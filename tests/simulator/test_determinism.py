"""The check of determinism compares with real other processes, and finds what differs."""

from __future__ import annotations

import sys

import pytest

from simulator.tools.determinism import OTHER_HASH_SEED, compare, others_of
from trio_consumer import ConfigurationError

SAME = "tests.simulator.synthetic:run"
HASHED = "tests.simulator.synthetic:run_hashed"


def test_the_same_world_is_the_same_elsewhere() -> None:
    compared = compare(3, 8, {"faults": frozenset({"crash"})}, runner=SAME)
    assert compared.same
    assert compared.seeds == 8
    assert compared.differences == ()
    ((other, says),) = compared.others
    assert other.hash_seed == OTHER_HASH_SEED
    assert says.startswith("CPython 3.")


def test_the_digest_is_of_what_happened() -> None:
    assert compare(3, 2, {}, runner=SAME).digest == compare(3, 2, {}, runner=SAME).digest
    assert compare(3, 2, {}, runner=SAME).digest != compare(4, 2, {}, runner=SAME).digest


def test_what_the_hash_seed_decides_is_found() -> None:
    compared = compare(0, 12, {"faults": frozenset()}, runner=HASHED)
    assert not compared.same
    assert compared.differing[0] > 0
    divergence = compared.differences[0].divergence
    assert divergence is not None
    assert "ProcessEnded" in divergence.first
    assert "ProcessEnded" in divergence.second
    assert divergence.first != divergence.second


def test_it_is_shown_progress() -> None:
    seen: list[int] = []
    compare(0, 3, {}, runner=SAME, look=seen.append)
    assert seen == [1, 2, 3]


def test_other_interpreters_are_compared_with() -> None:
    compared = compare(0, 2, {}, pythons=[sys.executable], runner=SAME)
    assert len(compared.others) == 2
    assert compared.same
    assert others_of(["/a"])[1].python == "/a"


@pytest.mark.parametrize("python", ["/no/such/python", "/bin/false"])
def test_an_interpreter_that_cannot_is_named(python: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{python}.*can't run the seeds"):
        compare(0, 1, {}, pythons=[python], runner=SAME)


def test_no_seeds_are_nothing_to_compare() -> None:
    with pytest.raises(ConfigurationError, match="--seeds 0"):
        compare(0, 0, {}, runner=SAME)
