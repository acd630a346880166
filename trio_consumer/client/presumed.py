"""Partitions that count as lost on the client's word alone, although it may go on holding them.

When the client was not polled in time, all tenures end at once. Most often it then gives up its assignment by itself
and is given a new one. But not while the group rebalances: it drops the loss and joins again, and a static member under
the cooperative protocol keeps what the group leaves to it, without a callback. Its records would come for ever, and
nobody would take them. The group does not rebalance for that, so what this member gave up before can be left without an
owner.

What decides: an assign callback that comes after the word, when the client has a member id, which the word took from
it. Then the client is through with its rebalance. Whatever it still holds, and no callback has named since, it keeps.
It is to give up everything and join again, now as a member that the group knows, which makes the group rebalance.
Tenures begin by assign callbacks and by nothing else.

Batches blur the order: of an error and a callback that one call brought, nobody knows which was first. Then the
callback counts as the later one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from ..record import Partition

AGAIN_SECONDS = 5.0
"""How long to wait for callbacks. Without them the client was in the middle of a rebalance, and did not obey."""


class Presumed:
    """See the module. It knows no client.

    Attributes:
        due: When to look at what the client holds; infinite while there is no reason to.
    """

    def __init__(self) -> None:
        self._partitions: dict[Partition, None] = {}
        self._assigned = False
        self.due = math.inf

    def lost(self, partitions: Iterable[Partition]) -> None:
        """They count as lost, though no callback named them."""
        self._partitions.update(dict.fromkeys(partitions))
        self._decide()

    def named(self, partitions: Iterable[Partition]) -> None:
        """A callback of the client names them: there is nothing left to presume."""
        for partition in partitions:
            self._partitions.pop(partition, None)
        if not self._partitions:
            self.due = math.inf

    def assigned(self, partitions: Iterable[Partition]) -> None:
        """It was the assign callback, which may name none."""
        self._assigned = True
        self.named(partitions)
        self._decide()

    def passed(self) -> None:
        """Callbacks until now came before whatever comes next."""
        if not self._partitions:
            self._assigned = False

    def kept(self, member_id: str | None, held: Iterable[Partition], now: float) -> list[Partition]:
        """Those among what the client holds. Unless there are none, it is to join again."""
        self.due = math.inf
        if not member_id:
            return []  # another assign callback will come
        self._partitions = dict.fromkeys(partition for partition in held if partition in self._partitions)
        if self._partitions:
            self.due = now + AGAIN_SECONDS
        return list(self._partitions)

    def _decide(self) -> None:
        if self._partitions and self._assigned:
            self.due = 0.0
