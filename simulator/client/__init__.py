"""The simulated client: the port's third implementation, without a thread.

It is our production adapter and librdkafka in one: the same order of events, the same error types and codes, the same
refusals. `owner` mirrors the adapter's thread; the modules beside it do what librdkafka does behind the adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import attrs

from trio_consumer.client.port import Connect

from ..faults.faults import Faults
from ..kafka.requests import Node
from ..runtime.clock import VirtualClock
from ..runtime.dice import Dice
from ..runtime.processes import Process
from ..world.history import History

if TYPE_CHECKING:
    from ..kafka.network import Network


def _immortal() -> None:
    pass


@attrs.frozen(kw_only=True)
class Surroundings:
    """What a client lives in.

    Args:
        process: Whose client it is.
        network: Its way to the brokers.
        clock: The world's.
        dice: Its own.
        faults: Which fire.
        history: Is told what the client delivers and is asked for.
        nodes: The brokers that it may ask first.
        tenures: Numbers for tenures, unique in the world.
        commits: Numbers for commits, unique in the world.
        crash: Kills the process.
    """

    process: Process
    network: Network
    clock: VirtualClock
    dice: Dice
    faults: Faults
    history: History
    nodes: tuple[Node, ...]
    tenures: Iterator[int]
    commits: Iterator[int]
    crash: Callable[[], None] = _immortal


def connector(surroundings: Surroundings) -> Connect:
    """What ``open_consumer(..., connect=)`` takes, for a client in these surroundings."""
    from .client import connect

    return connect(surroundings)
