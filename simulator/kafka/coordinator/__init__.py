"""The group coordinator of a cluster: who is a member, who has which partition, and which offsets are committed.

`Coordinator` routes: a request to its group, an answer back. What a group does is in `classic` and `consumer_protocol`,
what it says to requests in `validation`, its offsets in `offsets`, and every transition in `tables`. The levers are for
the nemesis and for scripted scenarios.

Not modelled: the migration of a live group from one protocol to the other, transactional commits, share and streams
groups, regular expressions on the broker's side, rack awareness.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from trio_consumer import Partition
from trio_consumer.client.port import Commit, Committed

from ...faults.faults import Faults
from ...runtime.clock import Timer, VirtualClock
from ...runtime.dice import Dice
from ...world.history import CommitRefused, History
from ..requests import (
    ConsumerGroupHeartbeat,
    ConsumerGroupHeartbeatResponse,
    Heartbeat,
    HeartbeatResponse,
    JoinedGroup,
    JoinGroup,
    LeaveGroup,
    LeftGroup,
    Node,
    OffsetCommit,
    OffsetCommitted,
    OffsetFetch,
    OffsetFetched,
    Request,
    Response,
    SyncedGroup,
    SyncGroup,
)
from .classic import ClassicGroup
from .consumer_protocol import ConsumerGroup
from .context import Context, MemberView
from .offsets import Offsets, characters
from .tables import DEAD, DOWN, MACHINES, SERVING, Machine, Row
from .validation import OK, RULES, UNAVAILABLE, judge

__all__ = ["TABLES", "Coordinator", "MemberView", "Row"]

TABLES: Mapping[str, tuple[Row, ...]] = {
    **MACHINES,
    **{name: tuple(rule.row for rule in rules) for name, rules in RULES.items()},
    "unavailable": UNAVAILABLE,
}
"""Every row of the coordinator: the state machines, and the verdicts on requests, in which the order counts."""

_UNAVAILABLE = {(row.state, row.event): row for row in UNAVAILABLE}

Reply: TypeAlias = Callable[[Response], None]
GroupRequest: TypeAlias = (
    JoinGroup | SyncGroup | Heartbeat | LeaveGroup | ConsumerGroupHeartbeat | OffsetCommit | OffsetFetch
)

LOADING_SECONDS = 0.2
"""How long a coordinator that comes back takes to load its groups."""


class _Place:
    """Where a group is coordinated, and whether it is ready. Exists for each group that was ever asked for."""

    __slots__ = ("group", "machine", "node", "offsets", "timer")

    def __init__(self, node: Node, machine: Machine, offsets: Offsets) -> None:
        self.node = node
        self.machine = machine
        self.offsets = offsets
        self.group: ClassicGroup | ConsumerGroup | None = None
        self.timer: Timer | None = None


class Coordinator:
    """See the module.

    Args:
        clock: Virtual time.
        dice: Choose the group's first broker, and which partition of a commit fails by itself.
        faults: Asked for the faults of commits.
        history: Is told of commits and transitions.
        nodes: The brokers.
        topics: How many partitions each existing topic has.
        version: Of the brokers.

    Attributes:
        settings: Of the brokers: delays and timeouts.
    """

    TABLES = TABLES

    def __init__(
        self,
        clock: VirtualClock,
        dice: Dice,
        faults: Faults,
        history: History,
        *,
        nodes: Sequence[Node],
        topics: Callable[[], Mapping[str, int]],
        version: str = "4.3",
    ) -> None:
        self._clock = clock
        self._dice = dice
        self._faults = faults
        self._history = history
        self._nodes = tuple(nodes)
        self._topics = topics
        self._places: dict[str, _Place] = {}
        self.settings = Context(clock, history, topics, version)

    @property
    def metadata_max(self) -> int:
        """Characters of metadata that are taken for one partition."""
        return self.settings.metadata_max

    @metadata_max.setter
    def metadata_max(self, characters: int) -> None:
        self.settings.metadata_max = characters

    # Requests

    def handle(self, process: str, request: Request, reply: Reply) -> None:
        """A request of a process, for the group that it names.

        Raises:
            TypeError: The coordinator does not serve it.
        """
        if not isinstance(request, GroupRequest):
            raise TypeError(f"{type(request).__name__} is not for the coordinator")
        place = self._place(request.group)
        state = place.machine.state
        if state != SERVING:
            row = _UNAVAILABLE.get((state, type(request).__name__)) or _UNAVAILABLE[DOWN, "any request"]
            self.settings.emitter(request.group)("unavailable", *row[:3])
            self._refuse(process, request, row.after, reply)
        elif isinstance(request, OffsetCommit):
            self._commit(process, place, request, reply)
        elif isinstance(request, OffsetFetch):
            self._fetch(place, request, reply)
        elif isinstance(request, ConsumerGroupHeartbeat):
            self._consumer_heartbeat(process, place, request, reply)
        else:
            self._classic(process, place, request, reply)

    def _classic(
        self, process: str, place: _Place, request: JoinGroup | SyncGroup | Heartbeat | LeaveGroup, reply: Reply
    ) -> None:
        group = place.group
        if isinstance(request, JoinGroup):
            if isinstance(group, ConsumerGroup) and not group.empty:
                reply(JoinedGroup("INCONSISTENT_GROUP_PROTOCOL", request.member_id))
                return
            if not isinstance(group, ClassicGroup):
                group = place.group = ClassicGroup(request.group, self.settings)
            group.join(process, request, reply)
        elif not isinstance(group, ClassicGroup):
            self._refuse(process, request, "UNKNOWN_MEMBER_ID", reply)
        elif isinstance(request, SyncGroup):
            group.sync(process, request, reply)
        elif isinstance(request, Heartbeat):
            reply(group.heartbeat(process, request))
        else:
            reply(group.leave(process, request))

    def _consumer_heartbeat(self, process: str, place: _Place, request: ConsumerGroupHeartbeat, reply: Reply) -> None:
        group = place.group
        if isinstance(group, ClassicGroup) and not group.empty:
            reply(ConsumerGroupHeartbeatResponse("GROUP_ID_NOT_FOUND"))
        elif not isinstance(group, ConsumerGroup) and request.member_epoch != 0:
            reply(ConsumerGroupHeartbeatResponse("UNKNOWN_MEMBER_ID"))
        else:
            if not isinstance(group, ConsumerGroup):
                group = place.group = ConsumerGroup(request.group, self.settings)
            reply(group.heartbeat(process, request))

    def _refuse(self, process: str, request: GroupRequest, error: str, reply: Reply) -> None:
        """Answer with this error, in the shape that the request has."""
        code = "" if error == OK else error
        if isinstance(request, OffsetCommit):
            self._refuse_commit(process, request, error, reply)
        elif isinstance(request, OffsetFetch):
            reply(OffsetFetched(code))
        elif isinstance(request, ConsumerGroupHeartbeat):
            reply(ConsumerGroupHeartbeatResponse(code))
        elif isinstance(request, JoinGroup):
            reply(JoinedGroup(code, request.member_id))
        elif isinstance(request, SyncGroup):
            reply(SyncedGroup(code))
        elif isinstance(request, Heartbeat):
            reply(HeartbeatResponse(code))
        else:
            reply(LeftGroup(code))

    # Offsets

    def _commit(self, process: str, place: _Place, request: OffsetCommit, reply: Reply) -> None:
        error = self._commit_fault(process)
        if error:
            self._refuse_commit(process, request, error, reply)
            return
        verdict = self._judge_commit(place, request)
        if verdict != OK:
            self._refuse_commit(process, request, verdict, reply)
            return
        topics, longest = self._topics(), self.metadata_max
        unlucky = None
        if len(request.offsets) > 1 and self._faults.fires("commit-fails-in-part", process):
            unlucky = self._dice.choice([*request.offsets])

        def refuse(partition: Partition, commit: Commit) -> str:
            if partition.number >= topics.get(partition.topic, 0) or partition == unlucky:
                return "UNKNOWN_TOPIC_OR_PART"
            if characters(commit.metadata) + request.padding > longest:
                return "OFFSET_METADATA_TOO_LARGE"
            return ""

        reply(OffsetCommitted(place.offsets.apply(process, request.number, request.offsets, refuse)))

    def _commit_fault(self, process: str) -> str:
        if self._faults.fires("commit-not-coordinator", process):
            return "NOT_COORDINATOR"
        if self._faults.fires("commit-loading", process):
            return "COORDINATOR_LOAD_IN_PROGRESS"
        if self._faults.fires("commit-timed-out", process):
            # Kafka's own translation of a write that was not replicated in time.
            return "COORDINATOR_NOT_AVAILABLE"
        return ""

    def _judge_commit(self, place: _Place, request: OffsetCommit) -> str:
        if place.group is None:
            verdict = judge("commit without a group", None, request, self.settings.emitter(request.group))
            if verdict == OK:
                place.group = ClassicGroup(request.group, self.settings)
            return verdict
        return place.group.judge_commit(request)

    def _refuse_commit(self, process: str, request: OffsetCommit, error: str, reply: Reply) -> None:
        """The whole request, though a partition that does not exist is found before the group is asked."""
        topics = self._topics()
        errors = {}
        for partition in request.offsets:
            known = partition.number < topics.get(partition.topic, 0)
            errors[partition] = error if known else "UNKNOWN_TOPIC_OR_PART"
            self._history.add(CommitRefused(process, request.number, request.group, partition, errors[partition]))
        reply(OffsetCommitted(errors))

    def _fetch(self, place: _Place, request: OffsetFetch, reply: Reply) -> None:
        if isinstance(place.group, ConsumerGroup):
            verdict = place.group.judge_fetch(request)
            if verdict != OK:
                reply(OffsetFetched(verdict))
                return
        now, offsets = self._clock.now, place.offsets
        reply(OffsetFetched("", {partition: offsets.fetch(partition, now) for partition in request.partitions}))

    # What others may know

    def node_of(self, group: str) -> Node | None:
        """The broker that coordinates this group; ``None`` while none does."""
        place = self._place(group)
        return None if place.machine.state == DOWN else place.node

    def state(self, group: str) -> str:
        """State of the group, ``Dead`` if there is none."""
        place = self._places.get(group)
        return DEAD if place is None or place.group is None else place.group.state

    def members(self, group: str) -> Mapping[str, MemberView]:
        """The members by their id; none while the group is not loaded."""
        place = self._places.get(group)
        if place is None or place.group is None or place.machine.state != SERVING:
            return {}
        return place.group.members()

    def committed(self, group: str, partition: Partition) -> Committed:
        """What is held for this partition, whoever asks and whatever state the group is in."""
        return self._place(group).offsets.committed(partition)

    # Levers

    def move(self, group: str, node: Node, loading_seconds: float) -> None:
        """Another broker coordinates the group from now on, and has to load it first."""
        place = self._place(group)
        place.node = node
        self._load(place, "moves", loading_seconds)

    def load(self, group: str, seconds: float) -> None:
        """The same broker has to load the group again."""
        self._load(self._place(group), "loads", seconds)

    def down(self, group: str, seconds: float) -> None:
        """No broker coordinates the group for a while; then the same one loads it."""
        place = self._place(group)
        self._unload(place, "goes down")
        place.timer = self._clock.after(seconds, self._load, place, "comes back", LOADING_SECONDS)

    def expel(self, group: str, member_id: str) -> None:
        """An administrator removes a member; one that is not there is ignored."""
        place = self._places.get(group)
        if place is not None and place.group is not None and place.machine.state == SERVING:
            place.group.expel(member_id)

    def expire_offsets(self, group: str, partition: Partition) -> None:
        """The group's offset of this partition is forgotten, as after ``offsets.retention.minutes``."""
        self._place(group).offsets.forget((partition,), "expired")

    def unsettle(self, group: str, partition: Partition, seconds: float) -> None:
        """A transaction holds the offset of this partition for a while: asking for it gets UNSTABLE_OFFSET_COMMIT."""
        self._place(group).offsets.unsettle(partition, self._clock.now + seconds)

    def set_offset(self, group: str, partition: Partition, commit: Commit) -> str:
        """An administrator sets an offset: the error's name, or ``""``. Refused while the group has members."""
        place = self._place(group)
        if place.machine.state != SERVING:
            return _UNAVAILABLE.get((place.machine.state, "OffsetCommit"), _UNAVAILABLE[DOWN, "any request"]).after
        if partition.number >= self._topics().get(partition.topic, 0):
            return "UNKNOWN_TOPIC_OR_PART"
        verdict = self._judge_commit(place, OffsetCommit(group, "", None, -1, {partition: commit}))
        if verdict != OK:
            return verdict
        if characters(commit.metadata) > self.metadata_max:
            return "OFFSET_METADATA_TOO_LARGE"
        place.offsets.put(partition, commit)
        return ""

    def delete_group(self, group: str) -> str:
        """An administrator deletes the group and its offsets: the error's name, or ``""``."""
        place = self._place(group)
        if place.machine.state != SERVING:
            return _UNAVAILABLE.get((place.machine.state, "OffsetCommit"), _UNAVAILABLE[DOWN, "any request"]).after
        if place.group is None:
            return "GROUP_ID_NOT_FOUND"
        if not place.group.empty:
            return "NON_EMPTY_GROUP"
        place.group.delete()
        place.group = None
        place.offsets.forget(place.offsets.partitions(), "group deleted")
        return ""

    def topics_changed(self) -> None:
        """Topics were created, deleted or grew: offsets of what is gone go too. Groups see it at a next request."""
        topics = self._topics()
        for place in self._places.values():
            gone = [held for held in place.offsets.partitions() if held.number >= topics.get(held.topic, 0)]
            place.offsets.forget(gone, "topic deleted")

    # Where groups are

    def _place(self, group: str) -> _Place:
        place = self._places.get(group)
        if place is None:
            machine = Machine("coordinator", SERVING, self.settings.emitter(group))
            place = _Place(self._dice.choice(self._nodes), machine, Offsets(group, self._history))
            self._places[group] = place
        return place

    def _unload(self, place: _Place, event: str) -> None:
        if place.timer is not None:
            place.timer.cancel()
        serving = place.machine.state == SERVING
        place.machine.take(event)
        if serving and place.group is not None:
            place.group.unload()

    def _load(self, place: _Place, event: str, seconds: float) -> None:
        self._unload(place, event)
        place.timer = self._clock.after(seconds, self._loaded, place)

    def _loaded(self, place: _Place) -> None:
        place.machine.take("has loaded")
        if place.group is not None:
            place.group.load()
