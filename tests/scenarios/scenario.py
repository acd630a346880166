"""The list of all scenarios: an asynchronous function each, which `scenario` enters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import TypeAlias

import attrs

from .kafka import GroupProtocol
from .stage import Stage

Act: TypeAlias = Callable[[Stage], Awaitable[None]]

RANGE = (GroupProtocol.RANGE,)
COOPERATIVE = (GroupProtocol.COOPERATIVE,)
CONSUMER = (GroupProtocol.CONSUMER,)
CLASSIC = RANGE + COOPERATIVE
ALL = CLASSIC + CONSUMER


@attrs.frozen
class Scenario:
    """One scenario.

    Args:
        name: Of the function.
        says: Its docstring.
        act: The function.
        protocols: Under which it plays.
        relayed: Whether links of members are cut in it.
        outage: Whether it ends the broker.
    """

    name: str
    says: str
    act: Act
    protocols: tuple[GroupProtocol, ...]
    relayed: bool
    outage: bool


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    protocols: Collection[GroupProtocol] = ALL, *, relayed: bool = False, outage: bool = False
) -> Callable[[Act], Act]:
    """Enter a scenario."""

    def enter(act: Act) -> Act:
        name = getattr(act, "__name__", "")
        if name in SCENARIOS:
            raise ValueError(f"there are two scenarios named {name}")
        says = " ".join((act.__doc__ or "").split())
        SCENARIOS[name] = Scenario(name, says, act, tuple(protocols), relayed, outage)
        return act

    return enter
