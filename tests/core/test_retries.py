"""Backoff and decisions: arithmetic and a table."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_consumer.core.retries import Backoff, Decision, decide
from trio_consumer.errors import ConfigurationError

RNG = random.Random(0)


@pytest.mark.parametrize(
    ("attempts", "exhausted", "decisions"),
    [
        (1, "halt", [Decision.HALT, Decision.HALT]),
        (1, "skip", [Decision.SKIP, Decision.SKIP]),
        (3, "halt", [Decision.RETRY, Decision.RETRY, Decision.HALT, Decision.HALT]),
        (3, "skip", [Decision.RETRY, Decision.RETRY, Decision.SKIP, Decision.SKIP]),
        (None, "halt", [Decision.RETRY] * 5),
        (None, "skip", [Decision.RETRY] * 5),
    ],
)
def test_what_follows_each_failed_attempt(attempts: int | None, exhausted: str, decisions: list[Decision]) -> None:
    assert [decide(attempt, attempts, exhausted) for attempt in range(1, len(decisions) + 1)] == decisions


@pytest.mark.parametrize(
    ("options", "pauses"),
    [
        ({}, [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30]),
        ({"first": 1, "factor": 1}, [1, 1, 1, 1]),
        ({"first": 1, "factor": 10, "limit": 50}, [1, 10, 50, 50]),
        ({"first": 0}, [0, 0, 0]),
        ({"first": 2, "limit": 2}, [2, 2]),
    ],
)
def test_pauses_without_jitter(options: dict[str, Any], pauses: list[float]) -> None:
    backoff = Backoff(**{"jitter": 0, **options})
    assert [backoff.delay(attempt, RNG) for attempt in range(1, len(pauses) + 1)] == pytest.approx(pauses)


@pytest.mark.parametrize("attempt", [1_024, 5_000, 100_000])
@pytest.mark.parametrize("factor", [2, 2.0, 1e300])
def test_many_attempts_reach_the_limit_and_no_further(attempt: int, factor: float) -> None:
    assert Backoff(factor=factor, jitter=0).delay(attempt, RNG) == 30
    assert Backoff(first=0, factor=factor).delay(attempt, RNG) == 0


@given(st.floats(0, 100), st.floats(1, 10), st.floats(0, 100), st.floats(0, 1), st.integers(1, 2_000), st.randoms())
def test_no_pause_exceeds_the_limit_or_leaves_its_jitter(
    first: float, factor: float, extra: float, jitter: float, attempt: int, rng: random.Random
) -> None:
    limit = first + extra
    plain = Backoff(first=first, factor=factor, limit=limit, jitter=0).delay(attempt, rng)
    pause = Backoff(first=first, factor=factor, limit=limit, jitter=jitter).delay(attempt, rng)
    assert 0 <= pause <= limit
    assert plain * (1 - jitter) - 1e-9 <= pause <= plain * (1 + jitter) + 1e-9


def test_jitter_spreads_to_both_sides() -> None:
    rng = random.Random(1)
    pauses = [Backoff(first=1, jitter=0.2).delay(1, rng) for _ in range(1_000)]
    assert 0.8 <= min(pauses) < 0.81
    assert 1.19 < max(pauses) <= 1.2


def test_the_same_seed_draws_the_same_pauses() -> None:
    draws = [[Backoff().delay(attempt, rng) for attempt in range(1, 9)] for rng in map(random.Random, (3, 3, 4))]
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"first": -1}, "Backoff(first=-1): give a number of at least 0"),
        ({"first": "1"}, "Backoff(first='1'): give a number of at least 0"),
        ({"first": True}, "Backoff(first=True): give a number of at least 0"),
        ({"first": float("nan")}, "Backoff(first=nan): give a number of at least 0"),
        ({"factor": 0.5}, "Backoff(factor=0.5): give a number of at least 1"),
        ({"limit": float("inf")}, "Backoff(limit=inf): give a number of at least 0"),
        ({"jitter": 1.5}, "Backoff(jitter=1.5): give a number from 0 to 1"),
        ({"jitter": -0.1}, "Backoff(jitter=-0.1): give a number from 0 to 1"),
        ({"first": 31}, "Backoff(first=31) is above its limit of 30.0 s: raise the limit"),
    ],
)
def test_wrong_settings_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Backoff(**options)
    assert str(caught.value) == text
