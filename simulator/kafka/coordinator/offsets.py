"""A group's committed offsets, and what a single partition of a commit can be refused for.

The broker keeps the offset and its metadata as they come: it neither compares with what it has nor with the log.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from trio_consumer import Partition
from trio_consumer.client.port import Commit, Committed

from ...world.history import CommitApplied, CommitRefused, History, OffsetsForgotten

NOTHING = Committed()


def characters(text: str) -> int:
    """As Java counts them: in units of UTF-16."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


class Offsets:
    """The offsets of one group. They outlive members, rebalances and coordinators.

    Args:
        group: Whose.
        history: Is told of every change.
    """

    def __init__(self, group: str, history: History) -> None:
        self.group = group
        self._history = history
        self._held: dict[Partition, Commit] = {}
        self._unstable: dict[Partition, float] = {}

    def partitions(self) -> tuple[Partition, ...]:
        """Those for which something is held."""
        return tuple(self._held)

    def committed(self, partition: Partition) -> Committed:
        held = self._held.get(partition)
        return NOTHING if held is None else Committed(held.offset, held.metadata)

    def fetch(self, partition: Partition, now: float) -> Committed:
        """What an `OffsetFetch` gets that asks for stable offsets, as consumers do."""
        if self._unstable and self._unstable.get(partition, now) > now:
            return Committed(error="UNSTABLE_OFFSET_COMMIT")
        return self.committed(partition)

    def unsettle(self, partition: Partition, until: float) -> None:
        """A transaction holds this offset until then: KIP-447."""
        self._unstable[partition] = until

    def apply(
        self,
        process: str,
        number: int,
        offsets: Mapping[Partition, Commit],
        refuse: Callable[[Partition, Commit], str],
    ) -> dict[Partition, str]:
        """Commit what ``refuse`` has no error for; each partition by itself."""
        errors = {}
        held, add = self._held, self._history.add
        for partition, commit in offsets.items():
            error = errors[partition] = refuse(partition, commit)
            if error:
                add(CommitRefused(process, number, self.group, partition, error))
                continue
            before = held.get(partition)
            held[partition] = commit
            add(
                CommitApplied(
                    process,
                    number,
                    self.group,
                    partition,
                    commit.offset,
                    commit.metadata,
                    -1 if before is None else before.offset,
                )
            )
        return errors

    def put(self, partition: Partition, commit: Commit) -> None:
        """An administrator sets it."""
        before = self._held.get(partition)
        self._held[partition] = commit
        offset = -1 if before is None else before.offset
        self._history.add(OffsetsForgotten(self.group, partition, offset, commit.offset, "set by an administrator"))

    def forget(self, partitions: Collection[Partition], reason: str) -> None:
        """Drop what is held for these."""
        for partition in partitions:
            held = self._held.pop(partition, None)
            if held is not None:
                self._history.add(OffsetsForgotten(self.group, partition, held.offset, -1, reason))
