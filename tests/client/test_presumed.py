"""Partitions that count as lost and may still be held: when the client is to join again."""

from __future__ import annotations

import math

import pytest

from trio_consumer import Partition
from trio_consumer.client.presumed import AGAIN_SECONDS, Presumed

P0, P1, P2 = (Partition("orders", number) for number in range(3))


@pytest.fixture
def presumed() -> Presumed:
    """Two partitions are presumed lost."""
    presumed = Presumed()
    presumed.lost([P0, P1])
    return presumed


def test_it_joins_again_for_what_an_assign_callback_leaves_unnamed(presumed: Presumed) -> None:
    assert presumed.due == math.inf
    presumed.assigned([P2])
    assert presumed.due == 0
    assert presumed.kept("member", [P1, P2], 10) == [P1]
    assert presumed.due == 10 + AGAIN_SECONDS


def test_it_asks_again_until_callbacks_name_them(presumed: Presumed) -> None:
    presumed.assigned([])
    assert presumed.kept("member", [P0, P1], 10) == [P0, P1]
    assert presumed.kept("member", [P0, P1], 20) == [P0, P1]
    presumed.named([P1])
    assert presumed.due == 20 + AGAIN_SECONDS
    presumed.named([P0])
    assert presumed.due == math.inf


def test_what_is_not_held_any_more_is_gone(presumed: Presumed) -> None:
    presumed.assigned([])
    assert presumed.kept("member", [P2], 10) == []
    assert presumed.due == math.inf
    presumed.assigned([])
    assert presumed.due == math.inf


def test_without_a_member_id_another_assign_callback_decides(presumed: Presumed) -> None:
    presumed.assigned([])
    assert presumed.kept("", [P0, P1], 10) == []
    assert presumed.due == math.inf
    presumed.assigned([])
    assert presumed.kept("member", [P0], 11) == [P0]


@pytest.mark.parametrize("named", [Presumed.named, Presumed.assigned])
def test_a_callback_that_names_all_settles_it(presumed: Presumed, named: object) -> None:
    assert callable(named)
    named(presumed, [P0, P1])
    presumed.assigned([])
    assert presumed.due == math.inf


def test_an_assign_callback_from_before_tells_nothing() -> None:
    presumed = Presumed()
    presumed.assigned([P0])
    presumed.passed()
    presumed.lost([P0])
    assert presumed.due == math.inf


def test_an_assign_callback_of_the_same_call_counts_as_later() -> None:
    presumed = Presumed()
    presumed.assigned([P0])
    presumed.lost([P0, P1])
    assert presumed.due == 0


def test_an_assign_callback_that_has_passed_is_not_forgotten_while_some_are_presumed(presumed: Presumed) -> None:
    presumed.assigned([])
    presumed.passed()
    assert presumed.due == 0
