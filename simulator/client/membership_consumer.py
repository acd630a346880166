"""The new group protocol (KIP-848) on the client's side: one heartbeat says all.

The broker assigns. A target is reconciled by increments, acknowledged by the next heartbeat, and only then the next
one is taken up; meanwhile it is remembered. A member whose epoch was fenced gives up all as lost and joins anew under
its own id, as soon as no rebalance goes on.
"""

from __future__ import annotations

from collections.abc import Callable

from trio_consumer import Partition

from ..kafka.requests import ConsumerGroupHeartbeat, ConsumerGroupHeartbeatResponse, Response
from .handle import Handle
from .membership import Membership, State

LEAVE_SECONDS = 1.0
LEAVING = -1
LEAVING_FOR_A_WHILE = -2

_BEGIN_ANEW = ("UNKNOWN_MEMBER_ID", "FENCED_MEMBER_EPOCH")
_COORDINATOR_GONE = ("NOT_COORDINATOR", "COORDINATOR_NOT_AVAILABLE")
_PASSING = (*_BEGIN_ANEW, *_COORDINATOR_GONE, "_TRANSPORT", "COORDINATOR_LOAD_IN_PROGRESS", "REQUEST_TIMED_OUT")
"""Any other error is fatal."""


class ConsumerMembership(Membership):
    """See the module."""

    def __init__(self, handle: Handle) -> None:
        super().__init__(handle)
        # The client chooses its id.
        self.member_id = f"{handle.name}-{handle.dice.below(1_000_000):06}"
        self.generation = 0
        self._interval = 0.0
        self._in_transit = False
        self._due = 0.0
        self._timer_due = 0.0
        self._tries = 0
        self._full = False
        self._acking = False
        self._wait_ack = False
        self._wait_rejoin = False
        self._rejoining = False
        self._target: tuple[Partition, ...] | None = None
        self._current: tuple[Partition, ...] = ()
        self._next: tuple[Partition, ...] | None = None
        self._topics: tuple[str, ...] = ()

    def subscribe(self) -> None:
        self.handle.coordinator.when_up(self._expedite)

    def rejoin(self) -> None:
        self.generation = 0
        self._target = self._next = None
        self._current = ()
        self._wait_ack = self._full = False
        self.state = State.INIT
        self._rejoining = False
        self._expedite()

    def after_revoke(self, incoming: tuple[Partition, ...]) -> None:
        self.give(incoming)

    def settled(self) -> None:
        self._serve()
        if self._wait_ack and self.state is State.STEADY:
            self._expedite()

    # Heartbeats

    def _expedite(self) -> None:
        """The next heartbeat is due now."""
        self._due = self.handle.now
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer_due <= self.handle.now or self._due < self._timer_due:
            self._timer_due = self._due
            self.handle.after(max(0.0, self._due - self.handle.now), self._tick, self._due)

    def _tick(self, due: float) -> None:
        if due == self._timer_due:
            self._timer_due = 0.0
            self._serve()
            self._beat()

    def _serve(self) -> None:
        """Begin anew if the group has fenced us, unless a rebalance goes on."""
        if self._wait_rejoin and not self.rebalancing and not self.handle.fatal and not self.handle.closing:
            self._wait_rejoin = False
            self._rejoining = True
            self.drop_all(lost=True)

    def _beat(self) -> None:
        handle = self.handle
        if handle.closing or handle.fatal or self._in_transit or self._rejoining:
            return
        if self.poll_flag and handle.poll_exceeded():
            self._later(1.0)
            return
        if handle.coordinator.node is None:
            handle.coordinator.when_up(self._expedite)
            return
        if self._due > handle.now:
            self._set_timer()
            return
        knobs = handle.knobs
        full = self._full or self.state is State.INIT
        self._acking = self.state is State.STEADY and self._wait_ack
        owned = self._target if self._acking else self._current if full else None
        self._topics = topics = handle.brokers.subscribed() or knobs.topics
        request = ConsumerGroupHeartbeat(
            knobs.group,
            self.member_id,
            max(self.generation, 0),
            knobs.instance_id if full else None,
            knobs.max_poll_interval,
            topics if full else None,
            owned,
        )
        self._in_transit = True
        handle.coordinator.call(request, self._beaten, self._interval or knobs.session_timeout)
        self._later(self._interval or knobs.retry_backoff_max)

    def _later(self, seconds: float) -> None:
        self._due = self.handle.now + seconds
        self._set_timer()

    def _beaten(self, response: Response | None) -> None:
        self._in_transit = False
        if self.handle.closing or self.handle.fatal:
            return
        if not isinstance(response, ConsumerGroupHeartbeatResponse):
            self._failed("_TRANSPORT")
        elif response.error:
            self._failed(response.error)
        else:
            self._told(response)

    def _told(self, response: ConsumerGroupHeartbeatResponse) -> None:
        self._tries = 0
        self._full = False
        self.generation = response.member_epoch
        self._interval = response.heartbeat_interval
        self._later(self._interval)
        if response.assignment is not None:
            self._next = response.assignment if self._differs(response.assignment) else None
        acking, self._acking = self._acking, False
        if self.state is State.STEADY and self._wait_ack and self._target is not None:
            if acking:
                self._current, self._target = self._target, None
                self._wait_ack = False
            else:
                self._expedite()
        if self._next is not None and not self._wait_ack and not self._wait_rejoin and not self.rebalancing:
            self._take_up(self._next)

    def _differs(self, assignment: tuple[Partition, ...]) -> bool:
        return sorted(assignment) != sorted(self._current if self._target is None else self._target)

    def _take_up(self, target: tuple[Partition, ...]) -> None:
        if self.state not in (State.INIT, State.STEADY) or not self._differs(target):
            return
        topics = self.handle.brokers.topics
        if any(partition.topic not in topics for partition in target):
            self.handle.brokers.refresh()  # a topic that we have never heard of: the next heartbeat looks again
            return
        self._next = None
        self._wait_ack = True
        self._target = target
        self.reconcile(target)

    def _failed(self, error: str) -> None:
        handle = self.handle
        if error not in _PASSING:
            handle.die(error, "ConsumerGroupHeartbeat fatal error")
            if not self.rebalancing:
                self.take(self.assigned, lost=True)
            return
        if error in _BEGIN_ANEW:
            self._wait_rejoin = True
            self._serve()
            return
        if error in _COORDINATOR_GONE:
            self._full = True
            handle.coordinator.dead()
            handle.coordinator.when_up(self._expedite)
        elif error == "_TRANSPORT":
            self._full = True
            handle.coordinator.query()
        if error == "COORDINATOR_LOAD_IN_PROGRESS" or not self._interval:
            self._tries += 1
            self._later(handle.backoff(self._tries))
        else:  # the timer may have fired while this answer was on its way
            self._set_timer()

    # What else makes it move

    def coordinator_changed(self) -> None:
        if self._interval:
            self._expedite()

    def commit_refused(self, code: str) -> None:
        if code in ("UNKNOWN_MEMBER_ID", "STALE_MEMBER_EPOCH"):
            self._expedite()
        elif code == "FENCED_INSTANCE_ID":
            self.handle.die(code, "OffsetCommit failed")

    def metadata_changed(self) -> None:
        if self.state is not State.INIT and self.handle.brokers.subscribed() != self._topics:
            self._full = True
            self._expedite()

    def poll_exceeded(self) -> None:
        # The member does not leave: the group waits for its session to end.
        self._wait_rejoin = True
        self._serve()

    def leave(self, done: Callable[[], None]) -> None:
        handle = self.handle
        if handle.coordinator.node is None or (self.state is State.INIT and not self._in_transit):
            done()
            return
        epoch = LEAVING if handle.knobs.instance_id is None else LEAVING_FOR_A_WHILE
        request = ConsumerGroupHeartbeat(
            handle.knobs.group,
            self.member_id,
            epoch,
            handle.knobs.instance_id,
            handle.knobs.max_poll_interval,
            None,
            None,
        )
        handle.coordinator.call(request, lambda _: done(), LEAVE_SECONDS)
