"""Reads a command of the simulator as its command line does."""

from __future__ import annotations

import shlex

from cyclopts import App

from simulator.cli.options import NOTHING, Given, Seed


def parsed(command: str) -> tuple[int, Given]:
    """The seed, and what is given."""
    app = App(name="simulator")
    found: list[tuple[int, Given]] = []

    @app.command
    def run(*, seed: Seed = 0, given: Given = NOTHING) -> None:
        found.append((seed, given))

    words = shlex.split(command)
    app(words[words.index("simulator") + 1 :], exit_on_error=False, result_action="return_value")
    return found[0]
