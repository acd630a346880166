"""What candidates run in: this Python, or an environment of a peer's own.

`command` gives the process that measures a job: it reads a `Job` as JSON from its standard input and prints a
`Measurement` as JSON on the last line of its standard output. Environments of peers are set up once by
``python -m benchmarks setup``, into a cache of the user's; where one is missing, its candidates are skipped.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Protocol, cast

from .model import Runtime

Tell = Callable[[str], object]
"""Takes a line about the progress."""


class RuntimeMissing(Exception):
    """A runtime can't be used; the message names the reason and the remedy."""


class Environment(Protocol):
    """The runtime of a peer."""

    def command(self) -> list[str]:
        """The process that measures a job. Looks only whether it is set up.

        Raises:
            RuntimeMissing: It is not.
        """
        ...

    def set_up(self, tell: Tell) -> None:
        """Install what it needs, unless that is there.

        Raises:
            RuntimeMissing: This machine cannot have it.
        """
        ...


def command(runtime: Runtime) -> list[str]:
    """The argv of a process that measures a job in a runtime; to be run at the root of the repository.

    Raises:
        RuntimeMissing: The runtime is not set up, or this machine cannot have it.
    """
    if runtime == "python":
        return [sys.executable, "-m", f"{__package__}.child"]
    return peers()[runtime].command()


def set_up(environments: Mapping[str, Environment], tell: Tell) -> bool:
    """Set up runtimes, and tell of each. True if all are ready."""
    ready = True
    for name, environment in environments.items():
        try:
            environment.set_up(tell)
        except RuntimeMissing as error:
            tell(f"{name}: missing: {error}")
            ready = False
        else:
            tell(f"{name}: ready")
    return ready


def peers() -> Mapping[str, Environment]:
    """Each peer's environment by the name of its runtime."""
    module = importlib.import_module(f"{__package__}.peers.environments")
    return cast(Mapping[str, Environment], module.ENVIRONMENTS)
