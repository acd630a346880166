"""Dice from anywhere, tapes, and worlds that are played from them."""

from __future__ import annotations

import random

import pytest

import simulator
from simulator import Play, Scenario
from simulator.runtime.dice import Dice, SeededDice
from simulator.runtime.schedulers import Delays
from simulator.tape import DrawnDice, PlainDice, Recorder, TapeSource
from trio_consumer import Record

PLAIN = {"grace": 0.5, "revoke_deadline": 2.0}


class RandomSource:
    """Draws by a generator of random numbers."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def whole(self, purpose: str, high: int) -> int:
        return self._random.randint(0, high)

    def truth(self, purpose: str, probability: float) -> bool:
        return self._random.random() < probability


def drawn(dice: Dice) -> list[object]:
    """Some of everything."""
    items = list("abcdef")
    dice.shuffle(items)
    part = dice.split("part")
    return [
        dice.chance(0.5), dice.below(10), dice.between(5, 9), dice.uniform(1.0, 2.0), dice.choice("xyz"), items,
        dice.random().random(), part.below(100), dice.split("network").below(100), part.split("deeper").chance(0.9),
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_a_tape_gives_the_same_draws_again(seed: int) -> None:
    recorder = Recorder(RandomSource(seed))
    first = drawn(DrawnDice(recorder))
    assert drawn(DrawnDice(TapeSource(recorder.tape))) == first


def test_the_empty_tape_is_plain() -> None:
    first = [False, 0, 5, 1.0, "x", list("abcdef"), random.Random(0).random(), 0, 0, False]
    assert drawn(DrawnDice(TapeSource({}))) == first
    assert drawn(PlainDice()) == first


def test_draws_are_within_their_limits() -> None:
    dice = DrawnDice(RandomSource(3))
    for _ in range(300):
        assert 0 <= dice.below(3) < 3
        assert 5 <= dice.between(5, 6) <= 6
        assert 1.0 <= dice.uniform(1.0, 2.0) <= 2.0
        assert dice.below(1) == 0


def test_a_tape_that_says_too_much_is_cut() -> None:
    assert DrawnDice(TapeSource({"": {0: 99}})).below(3) == 2


def test_the_nemesis_waits_long_by_default() -> None:
    assert DrawnDice(TapeSource({})).split("nemesis").uniform(0.1, 2.0) == 2.0


@pytest.mark.parametrize("seed", range(5))
def test_a_played_world_is_the_same_again_from_what_it_prints(seed: int) -> None:
    scenario = Scenario(
        seed=0, records=10, fault_seconds=2.0, faults={"crash", "leave", "handler"} & set(), options=PLAIN
    )
    first = Play(scenario, source=RandomSource(seed))
    outcome = first.run()
    assert not outcome.failed
    again = eval(first.pasted(), {"Play": Play, "Scenario": Scenario})
    assert again.run().moments == outcome.moments


def test_the_plain_world_has_no_faults() -> None:
    play = Play(
        Scenario(seed=0, records=10, fault_seconds=2.0, faults={"crash", "commit-response-lost"}, options=PLAIN)
    )
    outcome = play.check()
    assert not outcome.fired
    assert play.tape == {}


def test_a_failure_shows_how_to_play_it_again() -> None:
    async def handle(record: Record) -> None:
        pass

    def never(world: simulator.World) -> None:
        raise AssertionError("not at all")

    play = Play(Scenario(seed=0, records=2, fault_seconds=1.0, options=PLAIN))
    with pytest.raises(simulator.Falsified, match=r"not at all[\s\S]*Again:\nPlay\(\n"):
        play.check(handle, oracle=never)


def test_delays_are_few_and_none_by_default() -> None:
    plain = Delays(PlainDice())
    for size in (2, 3, 5):
        batch = list(range(size))
        assert plain.arrange(batch) == []
        assert batch == list(reversed(range(size)))
    late = 0
    for seed in range(10):
        chosen = Delays(SeededDice(seed))
        for _ in range(100):
            batch = [0, 1, 2]
            waiting = chosen.arrange(batch)
            assert sorted(batch + waiting) == [0, 1, 2]
            assert batch
            late += bool(waiting)
    assert 50 < late < 950
