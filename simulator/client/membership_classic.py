"""The classic group protocol on the client's side: join, sync, heartbeat; eager or cooperative.

Joining has a backoff of one second after an error. A member that is told to rejoin gives up all it has first (eager),
or keeps it and is told what to give up with the next assignment (cooperative). The leader assigns.
"""

from __future__ import annotations

from collections.abc import Callable

from trio_consumer import Partition

from ..kafka.requests import (
    Heartbeat,
    HeartbeatResponse,
    JoinedGroup,
    JoinGroup,
    LeaveGroup,
    Metadata,
    MetadataResponse,
    Response,
    SyncedGroup,
    SyncGroup,
)
from .assignors import ASSIGNORS
from .handle import ErrorOp, Handle
from .membership import Membership, State

JOIN_AGAIN_SECONDS = 1.0
JOIN_GRACE_SECONDS = 3.0
"""How much longer than its limit a join or sync is waited for."""
LEAVE_SECONDS = 5.0

_COORDINATOR_GONE = ("NOT_COORDINATOR", "COORDINATOR_NOT_AVAILABLE")
_JOIN_IN_SILENCE = (
    "UNKNOWN_MEMBER_ID",
    "MEMBER_ID_REQUIRED",
    "ILLEGAL_GENERATION",
    "COORDINATOR_LOAD_IN_PROGRESS",
    "REBALANCE_IN_PROGRESS",
    *_COORDINATOR_GONE,
)
_JOINING = (State.WAIT_JOIN, State.WAIT_SYNC)


class ClassicMembership(Membership):
    """See the module."""

    def __init__(self, handle: Handle) -> None:
        super().__init__(handle)
        self._attempt = 0
        self._join_at = 0.0
        self._join_waits = False
        self._awaiting = False
        self._session_until: float | None = None
        self._beating = False
        self._beat_due = False
        self._topics: tuple[tuple[str, int], ...] = ()
        self._errors: dict[str, str] = {}

    # Joining

    def subscribe(self) -> None:
        self._look_at_topics()
        self.rejoin()

    def rejoin(self) -> None:
        self.state = State.INIT
        self._attempt += 1
        if not self._join_waits:
            self._join_waits = True
            self.handle.after(max(0.0, self._join_at - self.handle.now), self._join_soon)

    def _join_soon(self) -> None:
        self.handle.coordinator.when_up(self._join)

    def _join(self) -> None:
        self._join_waits = False
        handle = self.handle
        if self.state is not State.INIT or handle.closing or handle.fatal or self._awaiting:
            return
        if self._join_at > handle.now:  # an error came while we waited
            self.rejoin()
            return
        self.state = State.WAIT_JOIN
        self._awaiting = True
        self._attempt += 1
        attempt, knobs = self._attempt, handle.knobs
        self._join_at = handle.now + JOIN_AGAIN_SECONDS
        request = JoinGroup(
            knobs.group,
            self.member_id,
            knobs.instance_id,
            knobs.session_timeout,
            knobs.max_poll_interval,
            knobs.protocol,
            handle.brokers.subscribed() or knobs.topics,
            tuple(self.assigned) if knobs.incremental else (),
            self.generation,
        )
        handle.coordinator.call(
            request,
            lambda response: self._joined(attempt, response),
            knobs.max_poll_interval + JOIN_GRACE_SECONDS,
            blocking=True,
        )

    def _outdated(self, attempt: int, state: State) -> bool:
        """An answer has come: is it still of use? Nothing new is asked before it has come."""
        self._awaiting = False
        if self.handle.closing:
            return True
        if attempt == self._attempt and self.state is state:
            return False
        if self.state is State.INIT:
            self.rejoin()
        return True

    def _joined(self, attempt: int, response: Response | None) -> None:
        if self._outdated(attempt, State.WAIT_JOIN):
            return
        if not isinstance(response, JoinedGroup):
            self._join_failed("", "")
        elif response.error:
            self._join_failed(response.error, response.member_id)
        else:
            self.member_id, self.generation = response.member_id, response.generation
            self.state = State.WAIT_SYNC
            if response.leader == response.member_id:
                self._lead(attempt, response)
            else:
                self._sync(attempt, {})

    def _join_failed(self, error: str, member_id: str) -> None:
        handle = self.handle
        self._join_at = handle.now + JOIN_AGAIN_SECONDS
        if not error:
            handle.coordinator.query()
        elif error in _COORDINATOR_GONE:
            handle.coordinator.dead()
        elif error == "FENCED_INSTANCE_ID":
            handle.die(error, "Fatal consumer error")
        elif error == "UNKNOWN_MEMBER_ID":
            self.member_id = ""
        elif error == "ILLEGAL_GENERATION":
            self.generation = -1
        elif error == "MEMBER_ID_REQUIRED":
            self.member_id = member_id
            self._join_at = 0.0
        if error and error not in _JOIN_IN_SILENCE and error != "FENCED_INSTANCE_ID":
            handle.emit(ErrorOp(error, f"JoinGroup failed: {error}"))
        if handle.knobs.incremental and error in ("ILLEGAL_GENERATION", "MEMBER_ID_REQUIRED"):
            self.drop_all(lost=True)
        else:
            self.rejoin()

    def _lead(self, attempt: int, joined: JoinedGroup) -> None:
        """Assign, by fresh metadata."""
        topics = sorted({topic for member in joined.members.values() for topic in member.topics})

        def learnt(response: Response | None) -> None:
            if attempt != self._attempt or self.state is not State.WAIT_SYNC or self.handle.closing:
                return
            if not isinstance(response, MetadataResponse):
                self.handle.after(self.handle.backoff(0), self._ask_metadata, topics, learnt)
                return
            self.handle.brokers.topics.update(response.topics)
            # A topic that is missing now, and there again when metadata is next looked at, is a change.
            self._topics = self._subscribed_topics()
            counts = {topic: len(found.leaders) for topic, found in response.topics.items() if not found.error}
            assign = ASSIGNORS[self.handle.knobs.protocol]
            self._sync(attempt, assign(joined.members, {topic: counts[topic] for topic in topics if topic in counts}))

        self._ask_metadata(topics, learnt)

    def _ask_metadata(self, topics: list[str], answer: Callable[[Response | None], None]) -> None:
        # The leader of the group asks its coordinator, which is free now.
        node = self.handle.coordinator.node
        self.handle.send(self.handle.brokers.any() if node is None else node, Metadata(tuple(topics)), answer)

    def _sync(self, attempt: int, assignments: dict[str, tuple[Partition, ...]]) -> None:
        knobs = self.handle.knobs
        self._awaiting = True
        self.handle.coordinator.call(
            SyncGroup(knobs.group, self.member_id, knobs.instance_id, self.generation, assignments),
            lambda response: self._synced(attempt, response),
            knobs.session_timeout + JOIN_GRACE_SECONDS,
            blocking=True,
        )

    def _synced(self, attempt: int, response: Response | None) -> None:
        handle = self.handle
        if self._outdated(attempt, State.WAIT_SYNC):
            return
        error = response.error if isinstance(response, SyncedGroup) else "_TRANSPORT"
        if not error and isinstance(response, SyncedGroup):
            self._session_until = handle.now + handle.knobs.session_timeout
            self._begin_to_beat()
            if handle.knobs.incremental:
                self.reconcile(response.assignment)
            else:
                self.give(response.assignment)
            return
        if error == "FENCED_INSTANCE_ID":
            handle.die(error, "Fatal consumer error")
        elif error == "ILLEGAL_GENERATION":
            self.generation = -1
        elif error == "UNKNOWN_MEMBER_ID":
            self.member_id = ""
        elif error in _COORDINATOR_GONE:
            handle.coordinator.dead()
        elif error == "_TRANSPORT":
            handle.coordinator.query()
        if handle.knobs.incremental and error in ("ILLEGAL_GENERATION", "UNKNOWN_MEMBER_ID"):
            self.drop_all(lost=True)
        else:
            self.rejoin()

    def after_revoke(self, incoming: tuple[Partition, ...]) -> None:
        self.give(incoming, rejoins=True)

    # Heartbeats and the session

    def _begin_to_beat(self) -> None:
        if not self._beat_due:
            self._beat_due = True
            self.handle.after(self.handle.knobs.heartbeat_interval, self._beat)

    def _beat(self) -> None:
        handle = self.handle
        if handle.closing or handle.fatal:
            return
        if self.state is State.STEADY and self._session_until is not None and handle.now >= self._session_until:
            self._session_until = None
            self.member_id = ""
            self.lose_all()
        elif (
            self.state in (State.STEADY, State.WAIT_CALLBACK)
            and not self._beating
            and not (self.poll_flag and handle.poll_exceeded())
            and handle.coordinator.node is not None
        ):
            self._beating = True
            knobs = handle.knobs
            handle.coordinator.call(
                Heartbeat(knobs.group, self.member_id, knobs.instance_id, self.generation),
                self._beaten,
                knobs.session_timeout,
            )
        elif handle.coordinator.node is None:
            handle.coordinator.query()
        due = handle.now + handle.knobs.heartbeat_interval
        if self._session_until is not None and self.state is State.STEADY:
            due = min(due, max(self._session_until, handle.now + 0.001))
        handle.after(due - handle.now, self._beat)

    def _beaten(self, response: Response | None) -> None:
        self._beating = False
        handle = self.handle
        error = response.error if isinstance(response, HeartbeatResponse) else "_TRANSPORT"
        if handle.closing or handle.fatal:
            return
        if error in ("", "REBALANCE_IN_PROGRESS") and self._session_until is not None:
            self._session_until = handle.now + handle.knobs.session_timeout
        if not error or self.state in (State.INIT, State.WAIT_JOIN, State.WAIT_SYNC):
            return
        if error == "_TRANSPORT":
            handle.coordinator.query()
        elif error in _COORDINATOR_GONE:
            handle.coordinator.dead()
        elif error == "REBALANCE_IN_PROGRESS":
            if not self.rebalancing:
                if handle.knobs.incremental:
                    self.rejoin()
                else:
                    self.drop_all(lost=False)
        elif error == "UNKNOWN_MEMBER_ID":
            self.member_id = ""
            self.lose_all()
        elif error == "ILLEGAL_GENERATION":
            self.generation = -1
            self.lose_all()
        elif error == "FENCED_INSTANCE_ID":
            handle.die(error, "Fatal consumer error")
            self.lose_all()

    # What else makes it move

    def commit_refused(self, code: str) -> None:
        if self.handle.closing:
            return
        if code == "UNKNOWN_MEMBER_ID":
            self.member_id = ""
            self.lose_all()
        elif code == "ILLEGAL_GENERATION" and not self.rebalancing and self.state not in _JOINING:
            # While it joins, the new generation is on its way already.
            self.generation = -1
            self.lose_all()
        elif code == "FENCED_INSTANCE_ID":
            self.handle.die(code, "OffsetCommit failed")

    def lose_all(self) -> None:
        if not self.rebalancing:
            self._attempt += 1  # what a join of the member that was would bring is outdated
            self.drop_all(lost=True)

    def poll_exceeded(self) -> None:
        if self.handle.knobs.instance_id is None and self.member_id:
            self._send_leave(lambda: None)
        self.member_id = ""
        self.lose_all()

    def metadata_changed(self) -> None:
        if not self._look_at_topics() or self.state is not State.STEADY or self.rebalancing:
            return
        if not self.handle.knobs.incremental:
            self.drop_all(lost=False)
            return
        topics = self.handle.brokers.subscribed()
        gone = [partition for partition in self.assigned if partition.topic not in topics]
        if gone:
            self.take(gone, lost=True, rejoins=True)
        else:
            self.rejoin()

    def _subscribed_topics(self) -> tuple[tuple[str, int], ...]:
        brokers = self.handle.brokers
        return tuple((topic, len(brokers.topics[topic].leaders)) for topic in brokers.subscribed())

    def _look_at_topics(self) -> bool:
        """Whether topics or their partitions have changed; says which topics are missing, once."""
        brokers = self.handle.brokers
        subscribed = brokers.subscribed()
        errors = {}
        for topic in self.handle.knobs.topics:
            if topic not in subscribed and not topic.startswith("^"):
                found = brokers.topics.get(topic)
                errors[topic] = (found.error if found is not None else "") or "UNKNOWN_TOPIC_OR_PART"
        for topic, error in errors.items():
            if self._errors.get(topic) != error:
                self.handle.emit(ErrorOp(error, f"Subscribed topic not available: {topic}: {error}"))
        self._errors = errors
        topics = self._subscribed_topics()
        if topics == self._topics:
            return False
        if self.state in (State.STEADY, State.INIT) and not self.rebalancing:
            self._topics = topics
        return True

    def leave(self, done: Callable[[], None]) -> None:
        if self.handle.knobs.instance_id is not None or not self.member_id:
            done()
        else:
            self._send_leave(done)

    def _send_leave(self, done: Callable[[], None]) -> None:
        coordinator, knobs = self.handle.coordinator, self.handle.knobs
        if coordinator.node is None:
            done()
        else:
            request = LeaveGroup(knobs.group, self.member_id, knobs.instance_id)
            coordinator.call(request, lambda _: done(), LEAVE_SECONDS)
