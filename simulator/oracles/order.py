"""Order within lanes."""

from __future__ import annotations

from bisect import insort
from collections.abc import Hashable

from trio_consumer import Partition

from ..world.history import Appended, Decided, HandlerEnded, HandlerStarted, ProcessEnded, ProcessKilled
from .logs import INFINITY
from .oracle import Oracle, Subscriptions
from .tenures import Call, Tenure


class Order(Oracle):
    """Three rules for one handler that starts.

    - In its process no other handler of its lane runs, of this tenure or an earlier one.
    - In its tenure the lane goes upwards, and the one before is resolved.
    - In the log nothing is left below it in its lane: so across a rebalance a lane can only replay.
    """

    name = "order"
    promise = "G2"
    anomaly = "nonmonotonic-poll"
    says = "handlers of a lane never overlap and run in offset order; across a rebalance a lane only replays"

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._running: dict[str, dict[Hashable, Call]] = {}
        self._last: dict[tuple[int, int], dict[Hashable, int]] = {}
        self._lanes: dict[Hashable, list[int]] = {}
        self._unseen: dict[tuple[Partition, int], Hashable] = {}

    def subscriptions(self) -> Subscriptions:
        if self.expected.order == "unordered":
            return {}
        return {
            Appended: self._appended,
            Decided: self._decided,
            HandlerStarted: self._started,
            HandlerEnded: self._ended,
            ProcessKilled: self._gone,
            ProcessEnded: self._gone,
        }

    def _lane(self, partition: Partition, key: bytes | None) -> Hashable | None:
        if self.expected.order == "partition":
            return (partition,)
        if key is None and self.expected.null_key == "unordered":
            return None
        return (partition, key)

    def _appended(self, event: Appended) -> None:
        lane = self._lane(event.partition, event.key)
        if lane is None:
            return
        if event.visible:
            self._lanes.setdefault(lane, []).append(event.offset)
        else:
            self._unseen[event.partition, event.offset] = lane

    def _decided(self, event: Decided) -> None:
        for offset in event.offsets:
            lane = self._unseen.pop((event.partition, offset), None)
            if lane is not None and (event.committed or not self.expected.read_committed):
                insort(self._lanes.setdefault(lane, []), offset)

    def _started(self, event: HandlerStarted) -> None:
        lane = self._lane(event.partition, event.key)
        if lane is None:
            return
        call = self.truth.started
        running = self._running.setdefault(event.process, {})
        other = running.get(lane)
        if other is not None:
            self._broken(call, f"while {other} of its lane runs")
        running[lane] = call
        if call.tenure is not None:
            self._in_tenure(call, call.tenure, lane)
        self._in_log(call, lane)

    def _broken(self, call: Call, why: str) -> None:
        self.found(f"{call.process.name} starts {call} {why}")

    def _in_tenure(self, call: Call, tenure: Tenure, lane: Hashable) -> None:
        offset = call.offset
        if offset < tenure.low < INFINITY:
            return  # it may have begun before the tenure started over
        lanes = self._last.setdefault((tenure.number, tenure.epoch), {})
        last = lanes.get(lane)
        if last is None or offset > last:
            lanes[lane] = offset
            if last is not None and last in tenure.incomplete:
                self._broken(call, f"although {last} of its lane, which it had begun, is not resolved")
        elif offset < last:
            self._broken(call, f"after {last} of its lane")

    def _in_log(self, call: Call, lane: Hashable) -> None:
        waiting = self._lanes.get(lane)
        if not waiting:
            return
        pending, offset, gone = call.log.pending, call.offset, 0
        for first in waiting:
            if first in pending:
                if first < offset:
                    self._broken(call, f"although nobody has handled {first} of its lane")
                break
            gone += 1
        if gone:
            del waiting[:gone]

    def _ended(self, event: HandlerEnded) -> None:
        call = self.truth.ended
        if call is None:
            return
        lane, running = self._lane(call.partition, call.key), self._running.get(event.process)
        if running is not None and running.get(lane) is call:
            del running[lane]

    def _gone(self, event: ProcessKilled | ProcessEnded) -> None:
        self._running.pop(event.process, None)
