"""From what was given to the command that gives it again.

A world is named by its seed and by what was given; the rest is drawn. A scenario that was not drawn, for instance one
that was shrunk, is named by all that differs from the defaults, and ``--plain``.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import attrs

from trio_consumer import ConfigurationError

from ..world.draw import draw
from ..world.scenario import Scenario

if TYPE_CHECKING:
    from ..bugs.bug import Bug

PROGRAM = "python -m simulator"

OPTION_OF = {"version": "--kafka", "options": "-O", "settings": "-X"}
"""Fields of `Scenario` whose option has another name; the others have the field's."""


def option_of(field: str) -> str:
    """The command line's option for a field of `Scenario`."""
    return OPTION_OF.get(field, "--" + field.replace("_", "-"))


def scenario_of(seed: int, given: Mapping[str, Any]) -> Scenario:
    """The world of this seed.

    Args:
        seed: Decides what is not given.
        given: Fields of `Scenario`. Also ``plain``: if true, defaults instead of what the seed would draw; and ``bug``:
            the name of a planted bug, which may need certain fields.

    Raises:
        ConfigurationError: A value is out of its range.
    """
    fields = {**bug_of(given).given, **given} if given.get("bug") else dict(given)
    plain = fields.pop("plain", False)
    fields.pop("bug", None)
    return Scenario(seed=seed, **fields) if plain else draw(seed, **fields)


def planted(given: Mapping[str, Any]) -> AbstractContextManager[None]:
    """Inside of the block the code has the bug that is given, if there is one.

    Raises:
        ConfigurationError: There is no such bug.
    """
    return bug_of(given).planted() if given.get("bug") else nullcontext()


def bug_of(given: Mapping[str, Any]) -> Bug:
    """The planted bug that is given."""
    from ..bugs.catalogue import BUGS  # many modules, which few worlds need

    name = given["bug"]
    if name not in BUGS:
        raise ConfigurationError(f"bug {name!r} is unknown: give one of {', '.join(BUGS)}")
    return BUGS[name]


def command(seed: int, given: Mapping[str, Any], *, action: str = "run") -> str:
    """A line for a shell that runs this world again.

    Args:
        seed: Its seed.
        given: As for `scenario_of`.
        action: Which command.
    """
    words = [*PROGRAM.split(), action, "--seed", str(seed)]
    for field, value in given.items():
        words += _option(field, value)
    return shlex.join(words)


def command_of(scenario: Scenario, *, action: str = "run") -> str:
    """The same for a scenario as it is, drawn or not."""
    return command(scenario.seed, given_of(scenario), action=action)


def given_of(scenario: Scenario) -> dict[str, Any]:
    """What must be given so that `scenario_of` makes this scenario: little, if most of it was drawn from its seed."""
    drawn = draw(scenario.seed)
    given = _differing(scenario, drawn)
    plain = {"plain": True, **_differing(scenario, Scenario(seed=scenario.seed))}
    if len(given) < len(plain) and scenario_of(scenario.seed, given) == scenario:
        return given
    return plain


def _differing(scenario: Scenario, other: Scenario) -> dict[str, Any]:
    names = [field.name for field in attrs.fields(Scenario) if field.name != "seed"]
    return {name: getattr(scenario, name) for name in names if getattr(scenario, name) != getattr(other, name)}


def _option(field: str, value: Any) -> list[str]:
    name = option_of(field)
    if isinstance(value, bool):
        return [name if value else "--no-" + name.removeprefix("--")]
    if field == "faults":
        return [name, ",".join(sorted(value)) or "none"]
    if field == "muted":
        return [name, numbers_text(value)]
    if isinstance(value, Mapping):
        return [word for key, inner in value.items() for word in (name, f"{key}={inner}")]
    return [name, str(value)]


def numbers_text(numbers: Collection[int]) -> str:
    """``0-4,9``: whole numbers, neighbours joined."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in found)


def numbers_of(text: str, *, most: int = 100_000) -> frozenset[int]:
    """The other way.

    Raises:
        ConfigurationError: It reads otherwise, or is more numbers than that.
    """
    found: set[int] = set()
    for part in filter(None, (one.strip() for one in text.split(","))):
        low, dash, high = part.partition("-")
        high = high if dash else low
        if not (low.isdecimal() and high.isdecimal()):
            raise ConfigurationError(f"numbers {text!r}: give for instance 0-4,9")
        if int(high) - int(low) > most - len(found):
            raise ConfigurationError(f"numbers {text!r}: give at most {most:,}")
        found.update(range(int(low), int(high) + 1))
    return frozenset(found)


def pairs_of(option: str, texts: Iterable[str]) -> dict[str, str]:
    """``NAME=VALUE`` words as a mapping.

    Raises:
        ConfigurationError: One has no ``=``.
    """
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise ConfigurationError(f"{option} {text!r}: give {option} NAME=VALUE")
        found[name.strip()] = value.strip()
    return found
