"""Partitions that count as lost on the client's word alone, although it may go on holding them.

When the client was not polled in time, all tenures end at once. Most often it then gives up its assignment by itself and
is given a new one. But not while the group rebalances: it drops the loss, joins again, and a static member under the
cooperative protocol keeps what the group leaves to it, without a callback. Its records would come for ever, and nobody
would take them.

What decides: an assign callback that comes after the word means that the group has taken the member in. What the client
holds then, and no callback has named since, is ours again.

Batches blur the order: of an error and a callback that one call brought, nobody knows which was first. Then the callback
counts as the later one. If it was not, the client finds out that the group has expelled it, and says so by a callback.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, TopicPartition

from ..record import Partition
from . import committed
from .port import Committed

AGAIN_SECONDS = 5.0
"""When to try again if it could not be read where the group stands."""


class Presumed:
    """See the module.

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
        self._decide()

    def assigned(self, partitions: Iterable[Partition]) -> None:
        """It was the assign callback, which may name none."""
        self._assigned = True
        self.named(partitions)

    def passed(self) -> None:
        """Callbacks until now came before whatever comes next."""
        if not self._partitions:
            self._assigned = False

    def among(self, held: Iterable[Partition]) -> list[Partition]:
        """Those that the client still holds. The others are gone for good."""
        ours = [partition for partition in held if partition in self._partitions]
        self._partitions = dict.fromkeys(ours)
        return ours

    def taken_back(self, partitions: Collection[Partition], now: float) -> None:
        """These are ours again; the rest is tried again."""
        self.named(partitions)
        self.due = now + AGAIN_SECONDS if self._partitions else math.inf
        self.passed()

    def _decide(self) -> None:
        self.due = 0.0 if self._partitions and self._assigned else math.inf


def start_again(consumer: Consumer, partitions: Sequence[Partition]) -> dict[Partition, Committed]:
    """Have the client read on from where the group stands. What is left out could not be read, or not be set.

    Not to be called inside a callback.
    """
    found = committed.read(consumer, partitions) if partitions else {}
    return {partition: one for partition, one in found.items() if is_known(one) and _seek(consumer, partition, one)}


def is_known(found: Committed) -> bool:
    """Whether the broker has told where to start, or that nothing was committed."""
    return found.offset is not None or found.error is None


def _seek(consumer: Consumer, partition: Partition, found: Committed) -> bool:
    # Without an offset the client goes by auto.offset.reset.
    offset = OFFSET_INVALID if found.offset is None else found.offset
    try:
        consumer.seek(TopicPartition(partition.topic, partition.number, offset))
    except KafkaException as error:
        # It has not begun to read: it will, from where the group stands.
        return bool(error.args) and error.args[0].code() == KafkaError._STATE
    return True
