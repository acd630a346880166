"""A group of the consumer protocol, KIP-848: one heartbeat does everything, and the coordinator assigns.

Three numbers. The *group epoch* grows with every change of members, subscriptions or topics. The *target* is what each
member shall have as of a group epoch; the next heartbeat after a change computes it. Each *member epoch* says how far
that member has come: it gives back what is not its own any more and says so (its heartbeat does not name it), only then
does its epoch move, and it gets what others have given back. So a partition is with one member at a time, as long as
members tell the truth about what they own.

All of this is written to the group's log, so it survives a move of the coordinator; only the sessions start anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trio_consumer import Partition

from ..requests import ConsumerGroupHeartbeat, ConsumerGroupHeartbeatResponse, OffsetCommit, OffsetFetch
from .alarm import Alarm
from .assignors import balanced
from .context import Context, MemberView
from .tables import ABSENT, ASSIGNING, AWAY, EMPTY, RECONCILING, STABLE, UNRELEASED, UNREVOKED, Machine
from .validation import AWAY_EPOCH, OK, judge


class _Member:
    """A member.

    Attributes:
        assigned: Its partitions, and the epoch in which it got each.
        revoking: What it was told to give back, and has not yet.
    """

    __slots__ = (
        *("assigned", "epoch", "id", "instance", "machine", "previous_epoch", "process", "revocation", "revoking"),
        *("session", "timeout", "topics"),
    )

    def __init__(self, member_id: str, process: str, instance: str | None, machine: Machine) -> None:
        self.id = member_id
        self.process = process
        self.instance = instance
        self.machine = machine
        self.epoch = 0
        self.previous_epoch = 0
        self.topics: tuple[str, ...] = ()
        self.timeout = 0.0
        self.assigned: dict[Partition, int] = {}
        self.revoking: dict[Partition, int] = {}
        self.session: Alarm
        self.revocation: Alarm

    def move_to(self, epoch: int) -> None:
        self.previous_epoch, self.epoch = self.epoch, epoch


class ConsumerGroup:
    """See the module.

    Attributes:
        epoch: The group epoch.
        target_epoch: Group epoch as of which the target was computed.
        by_id: The members, in the order in which they joined; those that are away for a while are among them.
        instances: Member id of each static member, by its instance id.
    """

    def __init__(self, name: str, context: Context) -> None:
        self.name = name
        self.epoch = 0
        self.target_epoch = 0
        self.by_id: dict[str, _Member] = {}
        self.instances: dict[str, str] = {}
        self._context = context
        self._emit = context.emitter(name)
        self._machine = Machine("consumer group", EMPTY, self._emit)
        self._target: dict[str, tuple[Partition, ...]] = {}
        self._topics: dict[str, int] = {}

    @property
    def state(self) -> str:
        return self._machine.state

    @property
    def empty(self) -> bool:
        """True if it has no member."""
        return not self.by_id

    @property
    def recent(self) -> bool:
        return self._context.recent

    def members(self) -> Mapping[str, MemberView]:
        return {
            member.id: MemberView(
                member.process,
                member.instance,
                (*member.assigned, *member.revoking),
                self._target.get(member.id, ()),
                member.epoch,
                member.machine.state,
            )
            for member in self.by_id.values()
        }

    # Requests

    def heartbeat(self, process: str, request: ConsumerGroupHeartbeat) -> ConsumerGroupHeartbeatResponse:
        """A `ConsumerGroupHeartbeat`: joins, leaves, or stays and moves on towards its target."""
        if request.member_epoch == 0 and not request.member_id:
            return self.heartbeat(process, _named(request, self._context.new_id(process)))
        error = judge("consumer heartbeat", self, request, self._emit)
        if error != OK:
            return ConsumerGroupHeartbeatResponse(error)
        if request.member_epoch < 0:
            return self._leave(request)
        member = self._admit(process, request)
        before = tuple(member.assigned)
        changed = request.topics is not None and member.topics != request.topics
        if request.topics is not None:
            member.topics = request.topics
        self._notice(member, changed)
        self._compute_target()
        self._reconcile(member, request.owned)
        self._settle()
        member.session.set(self._context.session)
        full = request.topics is not None and request.owned is not None
        tell = request.member_epoch == 0 or full or tuple(member.assigned) != before
        return ConsumerGroupHeartbeatResponse(
            "", member.epoch, self._context.heartbeat, tuple(sorted(member.assigned)) if tell else None
        )

    def expel(self, member_id: str) -> str:
        """An administrator removes a member."""
        if member_id not in self.by_id:
            return "UNKNOWN_MEMBER_ID"
        self._remove(self.by_id[member_id], "leaves")
        return ""

    def judge_commit(self, request: OffsetCommit) -> str:
        """The verdict on a commit; it does not keep a session alive here."""
        return judge("consumer commit", self, request, self._emit)

    def judge_fetch(self, request: OffsetFetch) -> str:
        return judge("consumer offset fetch", self, request, self._emit)

    def takes(self, partition: Partition, characters: int) -> bool:
        """False if a commit of this partition, with so much metadata, is refused whoever makes it."""
        return self._context.exists(partition) and characters <= self._context.metadata_max

    def had(self, member_id: str, epoch: int, partition: Partition) -> bool:
        """True if this member had this partition in that epoch, and has it still."""
        member = self.by_id[member_id]
        since = member.assigned.get(partition, member.revoking.get(partition))
        return since is not None and since <= epoch

    def delete(self) -> None:
        self._machine.take("group deleted")

    # Members come and go

    def _admit(self, process: str, request: ConsumerGroupHeartbeat) -> _Member:
        member = self.by_id.get(request.member_id)
        if member is None or member.machine.state == AWAY:
            holder = self.instances.get(request.instance_id or "")
            member = self._new(request.member_id, process, request.instance_id)
            if holder is None:
                self.by_id[member.id] = member
                member.machine.take("joins")
                self.epoch += 1
                self._machine.take("member joins")
            else:
                self._take_place(member, self.by_id[holder])
            if request.instance_id is not None:
                self.instances[request.instance_id] = member.id
        member.process = process
        member.timeout = request.rebalance_timeout
        return member

    def _new(self, member_id: str, process: str, instance: str | None) -> _Member:
        member = _Member(member_id, process, instance, Machine("consumer member", ABSENT, self._emit))
        clock = self._context.clock
        member.session = Alarm(clock, lambda: self._remove(member, "session ends"))
        member.revocation = Alarm(clock, lambda: self._remove(member, "has not given back in time"))
        return member

    def _take_place(self, member: _Member, old: _Member) -> None:
        """A static member is back: it has what its former life had, and the group need not change."""
        old.machine.take("replaced")
        old.session.stop()
        member.topics, member.assigned = old.topics, old.assigned
        self.by_id = {(member.id if key == old.id else key): value for key, value in self.by_id.items()}
        self.by_id[member.id] = member
        if old.id in self._target:
            self._target[member.id] = self._target.pop(old.id)
        member.machine.take("takes the place of another")
        self._machine.take("member returns")

    def _leave(self, request: ConsumerGroupHeartbeat) -> ConsumerGroupHeartbeatResponse:
        member = self.by_id[request.member_id]
        if request.member_epoch == AWAY_EPOCH and member.instance is not None:
            if member.machine.state != AWAY:
                member.machine.take("leaves for a while")
                member.revocation.stop()
                member.revoking = {}
                member.move_to(AWAY_EPOCH)
                self._machine.take("member away")
        else:
            self._remove(member, "leaves")
        return ConsumerGroupHeartbeatResponse("", request.member_epoch, self._context.heartbeat)

    def _remove(self, member: _Member, event: str) -> None:
        member.machine.take(event)
        member.session.stop()
        member.revocation.stop()
        del self.by_id[member.id]
        self._target.pop(member.id, None)
        if member.instance is not None and self.instances.get(member.instance) == member.id:
            del self.instances[member.instance]
        self.epoch += 1
        if self.by_id:
            self._machine.take("member gone")
        else:
            self.target_epoch = self.epoch
            self._machine.take("last member gone")

    # Towards the target

    def _notice(self, member: _Member, subscription_changed: bool) -> None:
        """Topics that grew, came or went, and other subscriptions, make a new epoch."""
        topics = self._context.topics()
        wanted = dict.fromkeys(topic for other in self.by_id.values() for topic in other.topics)
        seen = {topic: topics[topic] for topic in wanted if topic in topics}
        changed = seen != self._topics or subscription_changed
        self._topics = seen
        if changed and self.state != ASSIGNING:
            self.epoch += 1
            self._machine.take("topics changed")

    def _compute_target(self) -> None:
        if self.state != ASSIGNING:
            return
        subscriptions = {member.id: member.topics for member in self.by_id.values()}
        self._target = balanced(subscriptions, self._target, self._topics)
        self.target_epoch = self.epoch
        self._machine.take("target computed")

    def _held_by_others(self, partition: Partition, member: _Member) -> bool:
        return any(
            partition in other.assigned or partition in other.revoking
            for other in self.by_id.values()
            if other is not member
        )

    def _reconcile(self, member: _Member, owned: Sequence[Partition] | None) -> None:
        """Move a member as far towards its target as what it and others own allows."""
        state = member.machine.state
        if state == STABLE and member.epoch == self.target_epoch:
            return
        epoch = member.epoch
        if state == UNREVOKED:
            if owned is None or any(partition in member.revoking for partition in owned):
                return
            # One step further by itself: what comes next starts from there.
            epoch += 1
        target = self._target.get(member.id, ())
        kept = {partition: since for partition, since in member.assigned.items() if partition in target}
        leaving = {partition: since for partition, since in member.assigned.items() if partition not in target}
        if leaving and (owned is None or any(partition in leaving for partition in owned)):
            member.assigned, member.revoking = kept, leaving
            if epoch != member.epoch:
                member.move_to(epoch)
            member.machine.take("must give back")
            member.revocation.set(member.timeout)
            return
        missing = [partition for partition in target if partition not in kept]
        free = [partition for partition in missing if not self._held_by_others(partition, member)]
        waits = len(free) < len(missing)
        if state == UNRELEASED and waits and not free and member.epoch == self.target_epoch and not leaving:
            return
        member.revocation.stop()
        member.revoking = {}
        member.assigned = kept | dict.fromkeys(free, self.target_epoch)
        if member.epoch != self.target_epoch:
            member.move_to(self.target_epoch)
        member.machine.take("waits for others" if waits else "reaches the target")

    def _settle(self) -> None:
        """The group is stable once every member is."""
        if self.state == RECONCILING and all(
            member.machine.state == STABLE and member.epoch == self.target_epoch for member in self.by_id.values()
        ):
            self._machine.take("all reconciled")

    # The log

    def unload(self) -> None:
        """The coordinator is gone; nothing expires meanwhile."""
        for member in self.by_id.values():
            member.session.stop()
            member.revocation.stop()

    def load(self) -> None:
        """Another coordinator has read the log: sessions and deadlines start anew."""
        self._machine.take("loaded")
        for member in self.by_id.values():
            member.session.set(self._context.session)
            if member.machine.state == UNREVOKED:
                member.revocation.set(member.timeout)


def _named(request: ConsumerGroupHeartbeat, member_id: str) -> ConsumerGroupHeartbeat:
    """The request of a client that lets the coordinator choose its id, as those of Kafka 3.7 did."""
    return ConsumerGroupHeartbeat(
        request.group,
        member_id,
        request.member_epoch,
        request.instance_id,
        request.rebalance_timeout,
        request.topics,
        request.owned,
    )
