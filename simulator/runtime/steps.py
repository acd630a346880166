"""How many steps tasks took, and which."""

from __future__ import annotations


class Steps:
    """How many steps the tasks of a world took and, if asked for, which.

    Attributes:
        count: Steps.
        recorded: Time and task of each, ``"3:name"`` where 3 counts the tasks of the world; empty unless recording.
    """

    __slots__ = ("count", "recorded", "recording")

    def __init__(self, *, recording: bool = False) -> None:
        self.count = 0
        self.recording = recording
        self.recorded: list[tuple[float, str]] = []
