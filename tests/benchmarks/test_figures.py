"""The arithmetic of a run."""

from __future__ import annotations

import pytest

from benchmarks.figures import Spread, number, ratios, reached, spread


def test_spread() -> None:
    assert spread([3.0, None, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0, 3)
    assert spread([1.0, 2.0]) == Spread(1.5, 1.0, 2.0, 2)
    assert spread([None]) is None
    assert Spread(2.0, 1.0, 3.0, 3).width == 1.0


def test_ratios_are_taken_within_a_round() -> None:
    # The machine was twice as slow in the second round; the ratio did not change.
    assert ratios([100.0, 50.0, 100.0], [200.0, 100.0, 200.0]) == [0.5, 0.5, 0.5]


def test_a_missing_value_takes_its_round_out() -> None:
    assert ratios([1.0, None, 3.0, 4.0], [2.0, 2.0, None, 0.0]) == [0.5, None, None, None]
    with pytest.raises(ValueError, match="zip"):
        ratios([1.0], [1.0, 2.0])


def test_targets() -> None:
    assert reached(spread([0.3, 0.4, 0.5]), least=0.4)
    assert not reached(spread([0.3, 0.39, 0.5]), least=0.4)
    assert reached(spread([700.0]), most=1024)
    assert not reached(spread([1025.0]), most=1024)
    assert not reached(None, least=0.0)


@pytest.mark.parametrize(
    ("value", "told"), [(1234567.8, "1,234,568"), (12.345, "12.3"), (0.01234, "0.0123"), (7.0, "7"), (-250.4, "-250")]
)
def test_numbers(value: float, told: str) -> None:
    assert number(value) == told
