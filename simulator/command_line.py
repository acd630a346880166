"""What pytest's command line says about seeds. It imports nothing, since every run of pytest loads it."""

from __future__ import annotations


class CommandLine:
    """See the module.

    Attributes:
        seed: Check this seed only.
        seeds: Check so many.
    """

    def __init__(self) -> None:
        self.seed: int | None = None
        self.seeds: int | None = None


command_line = CommandLine()
