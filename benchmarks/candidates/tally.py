"""Which records were handled, and how often: one byte for each, so that checking costs little while time is taken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from trio_consumer import Record

Handler = Callable[[Record], Awaitable[object]]


class Tally:
    """Counts of one topic's records.

    Args:
        counts: Records of each partition, whose first offset is 0.

    Attributes:
        marks: By partition and offset, how often the record was handled. Handlers write here.
    """

    def __init__(self, counts: Sequence[int]) -> None:
        self.marks = [bytearray(count) for count in counts]
        self._low = [0] * len(counts)

    @property
    def complete(self) -> bool:
        """True if each record was handled. Costs little when asked again and again."""
        for number, marks in enumerate(self.marks):
            low = self._low[number] = marks.find(0, self._low[number])
            if low >= 0:
                return False
            self._low[number] = len(marks)
        return True

    @property
    def handled(self) -> int:
        """Distinct records. Costs a look at each."""
        return sum(len(marks) - marks.count(0) for marks in self.marks)

    def problems(self) -> list[str]:
        """What contradicts that each record was handled exactly once."""
        lost = sum(marks.count(0) for marks in self.marks)
        repeated = sum(len(marks) - marks.count(0) - marks.count(1) for marks in self.marks)
        found = [(lost, "records were not handled"), (repeated, "records were handled more than once")]
        return [f"{count:,} {what}" for count, what in found if count]


class OrderCheck:
    """A handler around another that sees whether handlers of one key overlap or leave offset order."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._latest: dict[bytes, int] = {}
        self._running: set[bytes] = set()
        self._overlaps = 0
        self._reorders = 0

    async def __call__(self, record: Record) -> None:
        key = record.key
        self._reorders += self._latest.get(key, -1) >= record.offset
        self._overlaps += key in self._running
        self._latest[key] = record.offset
        self._running.add(key)
        await self._handler(record)
        self._running.discard(key)

    def problems(self) -> list[str]:
        """What contradicts the order of keys."""
        found = [
            (self._overlaps, "records of a key overlapped"),
            (self._reorders, "records of a key came out of order"),
        ]
        return [f"{count:,} {what}" for count, what in found if count]
