"""What the model of `test_core_model` keeps: plain sets for each partition and each tenure, and no cleverness."""

from __future__ import annotations

import attrs

from trio_consumer.client.port import Committed
from trio_consumer.core.offset_map import decode
from trio_consumer.record import Record


def by_function(one: Record) -> object:
    """A lane function without a lane for one of the keys."""
    if one.key == b"bad":
        raise LookupError(one.key)
    return one.key


@attrs.define
class Side:
    """What the model knows of one partition, over all tenures."""

    log: dict[int, bytes | None] = attrs.field(factory=dict)
    end: int = 0
    broker: Committed = attrs.field(factory=Committed)
    done: set[int] = attrs.field(factory=set)  # handled or skipped in a tenure that had not ended
    fetch_at: int = 0

    def committed_as_done(self) -> set[int]:
        """Offsets that the broker holds as done."""
        offset = self.broker.offset or 0
        ranges = decode(self.broker.metadata, offset)
        return {at for at in self.log if at < offset or any(start <= at < stop for start, stop in ranges)}


@attrs.define
class Life:
    """What the model knows of one tenure."""

    restored: set[int]
    delivered: list[int] = attrs.field(factory=list)
    resolved: set[int] = attrs.field(factory=set)
    failed: dict[int, int] = attrs.field(factory=dict)  # attempts that failed, by offset
    not_before: dict[int, float] = attrs.field(factory=dict)  # the next attempt, for those that wait for it
    halted: set[int] = attrs.field(factory=set)

    def incomplete(self) -> list[int]:
        return [offset for offset in self.delivered if offset not in self.resolved]
