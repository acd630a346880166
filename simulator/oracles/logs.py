"""One partition's log as the history tells it: what is there to be handled, and what the broker holds of the group.

What is excused, and why, is said in `truth`.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

from trio_consumer import Partition

from .pending import Pending

if TYPE_CHECKING:
    from .tenures import Tenure

NEVER = float("-inf")
INFINITY = float("inf")


class Log:
    """One partition, over all lives of its topic.

    Attributes:
        partition: Which one.
        start: First offset that is still there.
        end: The next offset.
        high: The highest end that there ever was; offsets below it that are given out now are used again.
        floor: Nothing below is demanded.
        shaken: True once offsets were, or could be, used again.
        visible: Records that consumers have to be given, in order.
        pending: Those of them that nobody has resolved.
        hidden: Control entries, and records of transactions that are undecided or were aborted.
        control: End markers of transactions, as far as they can be told from the rest.
        done: What was resolved.
        succeeded: That part of it whose handler has succeeded.
        values: What the broker held, in order of time: offset, -1 for none, and metadata.
        newest: The tenure that was delivered last.
        given_back: How many values there were when the newest tenure was released.
        best: The highest offset that it held since it last forgot what it held: a resent commit may lower that.
        changed: When that last changed.
    """

    __slots__ = (
        "best", "changed", "control", "done", "end", "floor", "given_back", "hidden", "high", "newest", "partition",
        "pending", "shaken", "start", "succeeded", "values", "visible",
    )  # fmt: skip

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.start = self.end = self.high = self.floor = 0
        self.shaken = False
        self.visible: list[int] = []
        self.pending = Pending()
        self.hidden: set[int] = set()
        self.control: set[int] = set()
        self.done: set[int] = set()
        self.succeeded: set[int] = set()
        self.values: list[tuple[int, str]] = [(-1, "")]
        self.newest: Tenure | None = None
        self.given_back = 0
        self.best = -1
        self.changed = NEVER

    @property
    def held(self) -> tuple[int, str]:
        """What the broker holds now."""
        return self.values[-1]

    def show(self, offset: int) -> None:
        """A record has to be handled from now on, unless it was already or is excused."""
        if offset < self.floor:
            return
        if not self.visible or offset > self.visible[-1]:
            self.visible.append(offset)
        else:
            insort(self.visible, offset)
        if offset not in self.done:
            self.pending.add(offset)

    def hide(self, offset: int) -> None:
        """No consumer is given this."""
        at = bisect_left(self.visible, offset)
        if at < len(self.visible) and self.visible[at] == offset:
            del self.visible[at]
        self.pending.discard(offset)

    def excuse_below(self, offset: int) -> None:
        """Nothing below is demanded any more."""
        if offset > self.floor:
            self.floor = offset
            del self.visible[: bisect_left(self.visible, offset)]
            self.pending.drop_below(offset)

    def cut(self, end: int) -> None:
        """What is at this offset or above is gone."""
        self.shaken = True
        self.end = end
        del self.visible[bisect_left(self.visible, end) :]
        self.pending.drop_from(end)
        self.done = {offset for offset in self.done if offset < end}
        self.succeeded = {offset for offset in self.succeeded if offset < end}
        self.hidden = {offset for offset in self.hidden if offset < end}
        self.control = {offset for offset in self.control if offset < end}

    def empty(self) -> None:
        """The topic is gone. Of the next one of its name the offsets are used again."""
        self.cut(0)
        self.start = self.floor = 0

    def hold(self, offset: int, metadata: str, now: float) -> None:
        """The broker holds something else."""
        self.values.append((offset, metadata))
        if offset > self.best:
            self.best = offset
            self.changed = now

    def forget(self, offset: int) -> None:
        """The broker holds nothing, or what an administrator says."""
        self.values.append((offset, ""))
        self.best = offset
