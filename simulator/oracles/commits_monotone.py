"""Commits go forwards."""

from __future__ import annotations

from ..world.history import CommitAsked
from .oracle import Oracle, Subscriptions


class CommitsMonotone(Oracle):
    """What is asked for counts. At the broker an older commit may land after a newer one: the client sends it again."""

    name = "commits-monotone"
    promise = "G6"
    says = "a tenure never asks for a commit below one that it asked for before, nor below where it began"

    def subscriptions(self) -> Subscriptions:
        return {CommitAsked: self._asked}

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._last: dict[int, tuple[int, int]] = {}

    def _asked(self, event: CommitAsked) -> None:
        for partition, tenure in self.truth.commits[event.number].tenures.items():
            if tenure is None:
                continue
            offset = event.offsets[partition][0]
            epoch, before = self._last.get(tenure.number, (-1, -1))
            if epoch != tenure.epoch:
                # A client that starts below the committed offset has found another log there.
                before = tenure.start if tenure.start is not None and (tenure.trusted or tenure.doubted) else -1
            if offset < before:
                self.found(f"commit {event.number} of {event.process} says {partition}@{offset} after {before}")
            self._last[tenure.number] = (tenure.epoch, offset)
