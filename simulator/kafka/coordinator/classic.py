"""A group of the classic protocol: join, sync, heartbeat, leave; eager and cooperative alike.

Who gets what is the leader's business, and what "cooperative" means is the clients': the coordinator only makes sure
that all members meet at one barrier (join), and that the leader's plan reaches them (sync). It knows nothing of
partitions.

What survives a move of the coordinator is what was written to its log: the group as of the last sync of a leader, or as
of the last time it was empty. A generation that was joined and never synced is forgotten, and its number used again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from trio_consumer import Partition

from ..requests import (
    Heartbeat,
    HeartbeatResponse,
    JoinedGroup,
    JoinGroup,
    LeaveGroup,
    LeftGroup,
    OffsetCommit,
    SyncedGroup,
    SyncGroup,
)
from .alarm import Alarm
from .context import NEWCOMER_SECONDS, Context, MemberView
from .tables import ABSENT, COMPLETING, EMPTY, PREPARING, STABLE, Machine
from .validation import OK, judge

JoinReply: TypeAlias = Callable[[JoinedGroup], None]
SyncReply: TypeAlias = Callable[[SyncedGroup], None]


class _Member:
    """A member, or one that was only given an id (``request`` is what it asked with)."""

    __slots__ = ("assignment", "id", "join_reply", "machine", "newcomer", "process", "request", "session", "sync_reply")

    def __init__(self, member_id: str, process: str, request: JoinGroup, machine: Machine, session: Alarm) -> None:
        self.id = member_id
        self.process = process
        self.request = request
        self.machine = machine
        self.session = session
        self.assignment: tuple[Partition, ...] = ()
        self.join_reply: JoinReply | None = None
        self.sync_reply: SyncReply | None = None
        self.newcomer = False

    def answer_join(self, response: JoinedGroup) -> None:
        reply, self.join_reply = self.join_reply, None
        if reply is not None:
            reply(response)

    def answer_sync(self, response: SyncedGroup) -> None:
        reply, self.sync_reply = self.sync_reply, None
        if reply is not None:
            reply(response)

    def keep_alive(self) -> None:
        self.session.set(self.request.session_timeout)


class _Written(NamedTuple):
    """The group as its log has it."""

    generation: int
    leader: str
    members: tuple[tuple[str, str, JoinGroup, tuple[Partition, ...]], ...]


class ClassicGroup:
    """See the module.

    Attributes:
        generation: Grows with each join that ends.
        by_id: The members, in the order in which they joined; without those that were only given an id.
        instances: Member id of each static member, by its instance id.
    """

    def __init__(self, name: str, context: Context) -> None:
        self.name = name
        self.generation = 0
        self.leader = ""
        self.by_id: dict[str, _Member] = {}
        self.instances: dict[str, str] = {}
        self._context = context
        self._emit = context.emitter(name)
        self._machine = Machine("classic group", EMPTY, self._emit)
        self._pending: dict[str, _Member] = {}
        self._unsynced: dict[str, None] = {}
        self._join_alarm = Alarm(context.clock, self._join_time_is_up)
        self._sync_alarm = Alarm(context.clock, self._sync_time_is_up)
        self._first_join_waits: float | None = None
        self._newcomers = False
        self._written = _Written(0, "", ())

    @property
    def state(self) -> str:
        return self._machine.state

    @property
    def empty(self) -> bool:
        """True if nobody is a member, nor about to be one."""
        return self.state == EMPTY

    def members(self) -> Mapping[str, MemberView]:
        return {
            member.id: MemberView(
                member.process,
                member.request.instance_id,
                member.assignment,
                member.assignment,
                self.generation,
                member.machine.state,
            )
            for member in self.by_id.values()
        }

    # Requests

    def join(self, process: str, request: JoinGroup, reply: JoinReply) -> None:
        """A `JoinGroup`; the answer comes when all have joined, or the rebalance timeout is over."""
        if any(
            member.request.protocol != request.protocol
            for member in self.by_id.values()
            if member.id != request.member_id and member.id != self.instances.get(request.instance_id or "")
        ):
            reply(JoinedGroup("INCONSISTENT_GROUP_PROTOCOL", request.member_id))
        elif request.member_id in self._pending and request.instance_id is None:
            member = self._pending.pop(request.member_id)
            member.machine.take("joins")
            self._add(member, process, request, reply)
        elif request.member_id:
            self._join_again(process, request, reply)
        elif request.instance_id is None:
            self._give_id(process, request, reply)
        elif request.instance_id in self.instances:
            self._replace(process, request, reply)
        else:
            member = self._new(self._context.new_id(request.instance_id), process, request)
            member.machine.take("joins with an instance id")
            self._add(member, process, request, reply)

    def sync(self, process: str, request: SyncGroup, reply: SyncReply) -> None:
        """A `SyncGroup`; the answer comes when the leader has told who gets what."""
        error = judge("classic sync", self, request, self._emit)
        if error != OK:
            reply(SyncedGroup(error))
            return
        member = self.by_id[request.member_id]
        self._unsynced.pop(member.id, None)
        if not self._unsynced:
            self._sync_alarm.stop()
        if self.state == STABLE:
            member.machine.take("syncs, assignment is known")
            member.keep_alive()
            reply(SyncedGroup("", member.assignment))
            return
        member.machine.take("syncs")
        member.answer_sync(SyncedGroup("REBALANCE_IN_PROGRESS"))
        member.sync_reply = reply
        if member.id == self.leader:
            self._take_plan(request.assignments)

    def heartbeat(self, process: str, request: Heartbeat) -> HeartbeatResponse:
        """A `Heartbeat`; it keeps the session alive also when it says that the member must join again."""
        error = judge("classic heartbeat", self, request, self._emit)
        if error in (OK, "REBALANCE_IN_PROGRESS"):
            self.by_id[request.member_id].keep_alive()
        return HeartbeatResponse("" if error == OK else error)

    def leave(self, process: str, request: LeaveGroup) -> LeftGroup:
        """A `LeaveGroup`."""
        if request.instance_id is not None:
            known = self.instances.get(request.instance_id)
            if known is None:
                return LeftGroup("UNKNOWN_MEMBER_ID")
            if request.member_id and request.member_id != known:
                return LeftGroup("FENCED_INSTANCE_ID")
            return self.expel(known)
        return self.expel(request.member_id)

    def expel(self, member_id: str) -> LeftGroup:
        """Remove a member: it leaves, or an administrator removes it."""
        if member_id in self._pending:
            self._forget_pending(self._pending[member_id], "leaves")
        elif member_id in self.by_id:
            self._remove(self.by_id[member_id], "leaves")
        else:
            return LeftGroup("UNKNOWN_MEMBER_ID")
        return LeftGroup()

    def judge_commit(self, request: OffsetCommit) -> str:
        """The verdict on a commit; a good one keeps the session alive, as heartbeats do."""
        verdict = judge("classic commit", self, request, self._emit)
        if verdict == OK and self.state in (STABLE, PREPARING) and request.member_id in self.by_id:
            self.by_id[request.member_id].keep_alive()
        return verdict

    def delete(self) -> None:
        self._machine.take("group deleted")

    # Joining

    def _new(self, member_id: str, process: str, request: JoinGroup) -> _Member:
        member = _Member(
            member_id,
            process,
            request,
            Machine("classic member", ABSENT, self._emit),
            Alarm(self._context.clock, lambda: self._session_is_over(member)),
        )
        return member

    def _give_id(self, process: str, request: JoinGroup, reply: JoinReply) -> None:
        """A dynamic member comes back with the id that it gets here: KIP-394."""
        member = self._new(self._context.new_id(process), process, request)
        member.machine.take("gets an id")
        member.keep_alive()
        self._pending[member.id] = member
        reply(JoinedGroup("MEMBER_ID_REQUIRED", member.id))

    def _add(self, member: _Member, process: str, request: JoinGroup, reply: JoinReply) -> None:
        member.process, member.request, member.join_reply = process, request, reply
        member.newcomer = True
        member.session.set(NEWCOMER_SECONDS)
        self._enter(member)
        self._newcomers = True
        self._rebalance("member joins")

    def _enter(self, member: _Member) -> None:
        self.by_id[member.id] = member
        if member.request.instance_id is not None:
            self.instances[member.request.instance_id] = member.id
        if not self.leader:
            self.leader = member.id

    def _join_again(self, process: str, request: JoinGroup, reply: JoinReply) -> None:
        error = judge("classic rejoin", self, request, self._emit)
        if error != OK:
            reply(JoinedGroup(error, request.member_id))
            return
        member = self.by_id[request.member_id]
        before = member.request
        changed = (before.protocol, before.topics, before.owned, before.generation) != (
            request.protocol,
            request.topics,
            request.owned,
            request.generation,
        )
        if self.state == PREPARING or changed or (self.state == STABLE and member.id == self.leader):
            # Whoever waits for the sync of a generation that ends here is told first: its request came earlier.
            self._begin("member rejoins")
            member.answer_join(JoinedGroup("REBALANCE_IN_PROGRESS", member.id))
            member.machine.take("joins again")
            member.process, member.request, member.join_reply = process, request, reply
            self._finish_if_all_joined()
        else:
            # Its answer got lost, or it is a follower to whom nothing happened.
            self._machine.take("joins again, unchanged")
            member.machine.take("joins again, unchanged")
            member.answer_sync(SyncedGroup("REBALANCE_IN_PROGRESS"))
            member.keep_alive()
            reply(self._joined(member))

    def _replace(self, process: str, request: JoinGroup, reply: JoinReply) -> None:
        """A static member started again: it takes the place of its former life, and that one is fenced."""
        old = self.by_id[self.instances[request.instance_id or ""]]
        member = self._new(self._context.new_id(request.instance_id or ""), process, request)
        member.assignment = old.assignment
        unsynced, led = old.id in self._unsynced, self.leader == old.id
        self._drop(old, "replaced", "FENCED_INSTANCE_ID")
        self._enter(member)
        if led:
            self.leader = member.id
        if self.state != STABLE:
            self._begin("member replaced")
        elif request.protocol != old.request.protocol:
            self._begin("replaced with a change")
        else:
            self._machine.take("member replaced")
        if self.state == STABLE:
            member.machine.take("takes over in a stable group")
            member.keep_alive()
            if unsynced:
                self._unsynced[member.id] = None
            self._write()
            # Named as the leader it would assign anew; the assignment is to stay.
            reply(JoinedGroup("", member.id, self.generation, old.id if led else self.leader))
        else:
            member.machine.take("takes the place of another")
            member.join_reply = reply
            member.keep_alive()
            self._finish_if_all_joined()

    def _joined(self, member: _Member) -> JoinedGroup:
        members = {other.id: other.request for other in self.by_id.values()} if member.id == self.leader else {}
        return JoinedGroup("", member.id, self.generation, self.leader, members)

    # The rebalance

    def _rebalance(self, event: str) -> None:
        self._begin(event)
        self._finish_if_all_joined()

    def _begin(self, event: str) -> None:
        """All must join, from now on or still."""
        state = self.state
        self._machine.take(event)
        if state == PREPARING:
            return
        self._sync_alarm.stop()
        self._unsynced.clear()
        if state == EMPTY and self._context.initial_delay > 0:
            self._first_join_waits = max(self._rebalance_timeout() - self._context.initial_delay, 0)
            self._newcomers = False
            self._join_alarm.set(self._context.initial_delay)
        else:
            self._first_join_waits = None
            self._join_alarm.set(self._rebalance_timeout())
        waiting = [member for member in self.by_id.values() if member.sync_reply is not None]
        if state == COMPLETING:
            for member in self.by_id.values():
                member.assignment = ()
        for member in waiting:
            member.machine.take("must join again")
            member.answer_sync(SyncedGroup("REBALANCE_IN_PROGRESS"))

    def _rebalance_timeout(self) -> float:
        return max((member.request.rebalance_timeout for member in self.by_id.values()), default=0.0)

    def _finish_if_all_joined(self) -> None:
        if (
            self.state == PREPARING
            and self._first_join_waits is None
            and not self._pending
            and all(member.join_reply is not None for member in self.by_id.values())
        ):
            self._finish("all have joined")

    def _join_time_is_up(self) -> None:
        if self._first_join_waits and self._newcomers:
            delay = min(self._context.initial_delay, self._first_join_waits)
            self._first_join_waits -= delay
            self._newcomers = False
            self._join_alarm.set(delay)
            return
        self._first_join_waits = None
        self._finish("rebalance timeout")

    def _finish(self, event: str) -> None:
        """The join ends. Dynamic members that did not come are out; static ones may come back within their session."""
        for member in [*self.by_id.values()]:
            if member.join_reply is None and member.request.instance_id is None:
                self._drop(member, "has not joined in time", "UNKNOWN_MEMBER_ID")
        here = [member for member in self.by_id.values() if member.join_reply is not None]
        if self.by_id and not here:
            self._machine.take("only absent static members")
            self._join_alarm.set(self._rebalance_timeout())
            return
        self._join_alarm.stop()
        self.generation += 1
        if not here:
            self._machine.take("nobody left")
            self._write()
            return
        if self.by_id[self.leader].join_reply is None:
            self.leader = here[0].id
        self._machine.take(event)
        for member in self.by_id.values():
            member.machine.take("join answered" if member.join_reply is not None else "kept, though absent")
            member.newcomer = False
            member.keep_alive()
            self._unsynced[member.id] = None
        self._sync_alarm.set(self._rebalance_timeout())
        for member in here:
            member.answer_join(self._joined(member))

    def _take_plan(self, assignments: Mapping[str, tuple[Partition, ...]]) -> None:
        self._machine.take("leader syncs")
        waiting = [member for member in self.by_id.values() if member.sync_reply is not None]
        for member in self.by_id.values():
            member.assignment = tuple(assignments.get(member.id, ()))
        self._write()
        for member in waiting:
            member.machine.take("sync answered")
            member.keep_alive()
        for member in waiting:
            member.answer_sync(SyncedGroup("", member.assignment))

    def _sync_time_is_up(self) -> None:
        late = [self.by_id[member_id] for member_id in self._unsynced]
        self._begin("sync timeout")
        for member in late:
            self._drop(member, "has not synced in time", "UNKNOWN_MEMBER_ID")
        self._finish_if_all_joined()

    # Leaving

    def _session_is_over(self, member: _Member) -> None:
        if self._pending.get(member.id) is member:
            self._forget_pending(member, "session ends")
        elif (member.join_reply is not None or member.sync_reply is not None) and not member.newcomer:
            # Who waits for the coordinator is alive.
            member.keep_alive()
        else:
            self._remove(member, "session ends")

    def _forget_pending(self, member: _Member, event: str) -> None:
        member.machine.take(event)
        member.session.stop()
        del self._pending[member.id]
        self._finish_if_all_joined()

    def _remove(self, member: _Member, event: str) -> None:
        self._drop(member, event, "UNKNOWN_MEMBER_ID")
        self._rebalance("member gone")

    def _drop(self, member: _Member, event: str, error: str) -> None:
        """Out, without a rebalance."""
        member.machine.take(event)
        member.session.stop()
        del self.by_id[member.id]
        instance = member.request.instance_id
        if instance is not None and self.instances.get(instance) == member.id:
            del self.instances[instance]
        self._unsynced.pop(member.id, None)
        if self.leader == member.id:
            self.leader = next(iter(self.by_id), "")
        member.answer_join(JoinedGroup(error, member.id))
        member.answer_sync(SyncedGroup(error))

    # The log

    def _write(self) -> None:
        members = ((member.id, member.process, member.request, member.assignment) for member in self.by_id.values())
        self._written = _Written(self.generation, self.leader, tuple(members))

    def unload(self) -> None:
        """The coordinator is gone, with all that only its memory held."""
        self._join_alarm.stop()
        self._sync_alarm.stop()
        members = [*self.by_id.values(), *self._pending.values()]
        self.by_id, self.instances, self._pending, self._unsynced = {}, {}, {}, {}
        for member in members:
            member.machine.take("coordinator moved")
            member.session.stop()
        for member in members:
            member.answer_join(JoinedGroup("NOT_COORDINATOR", member.id))
            member.answer_sync(SyncedGroup("NOT_COORDINATOR"))

    def load(self) -> None:
        """Another coordinator has read the log: sessions start anew."""
        self.generation, self.leader, members = self._written
        self._machine.take("loaded with members" if members else "loaded without members")
        for member_id, process, request, assignment in members:
            member = self._new(member_id, process, request)
            member.machine.take("loaded")
            member.assignment = assignment
            self.by_id[member_id] = member
            if request.instance_id is not None:
                self.instances[request.instance_id] = member_id
            member.keep_alive()
