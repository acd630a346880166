"""A command that is printed gives the same world again."""

from __future__ import annotations

import shlex

import attrs
import pytest

from simulator.cli.options import Given
from simulator.tools.reproduce import command, command_of, given_of, numbers_of, numbers_text, pairs_of, scenario_of
from simulator.world.draw import draw
from simulator.world.scenario import Scenario
from tests.simulator.parsing import parsed
from trio_consumer import ConfigurationError

SCENARIOS = [
    draw(7),
    draw(12, members=3, faults=frozenset()),
    Scenario(seed=5),
    Scenario(
        seed=-3,
        scheduler="pct",
        depth=5,
        protocol="consumer",
        static=True,
        handler_seconds=0.0,
        faults=frozenset({"crash", "handler-fails"}),
        scale={"handler-fails": 0.3},
        muted=frozenset({0, 1, 2, 9}),
        options={"attempts": None, "order": "key", "grace": 0.0, "exhausted": "skip"},
        settings={"isolation.level": "read_committed"},
        version="4.1",
    ),
    attrs.evolve(draw(9), options={}, muted=frozenset({4})),
    attrs.evolve(draw(9), static=False, hooks=False),
]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_command_gives_the_scenario_again(scenario: Scenario) -> None:
    seed, given = parsed(command_of(scenario))
    assert given.scenario(seed) == scenario


def test_what_is_drawn_needs_only_its_seed() -> None:
    assert command_of(draw(7)) == "python -m simulator run --seed 7"
    assert command_of(draw(7, members=3), action="report") == "python -m simulator report --seed 7 --members 3"


def test_no_faults_are_said_to_be_none() -> None:
    assert "--faults none" in command(7, {"faults": frozenset()})
    _, given = parsed(command(7, {"faults": frozenset()}))
    assert given.fields() == {"faults": frozenset()}


def test_what_a_shell_would_read_is_quoted() -> None:
    text = command(7, {"options": {"order": "a b; rm"}})
    assert shlex.split(text)[-1] == "order=a b; rm"


def test_given_is_what_makes_the_scenario() -> None:
    for scenario in SCENARIOS:
        assert scenario_of(scenario.seed, given_of(scenario)) == scenario


def test_nothing_given_is_all_drawn() -> None:
    assert Given().scenario(7) == draw(7)
    assert Given(plain=True).scenario(7) == Scenario(seed=7)


@pytest.mark.parametrize(("numbers", "text"), [((), ""), ((4,), "4"), ((3, 1, 2, 9), "1-3,9")])
def test_numbers_are_written_and_read(numbers: tuple[int, ...], text: str) -> None:
    assert numbers_text(numbers) == text
    assert numbers_of(text) == frozenset(numbers)


@pytest.mark.parametrize("text", ["x", "1-", "-1", "1-y", "1.5", "0-999999999999"])
def test_what_is_no_number_is_named(text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        numbers_of(text)


@pytest.mark.parametrize("text", ["attempts", "=3"])
def test_what_is_no_pair_is_named(text: str) -> None:
    with pytest.raises(ConfigurationError, match="give -O NAME=VALUE"):
        pairs_of("-O", [text])
