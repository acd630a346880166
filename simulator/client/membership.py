"""What both group protocols share on the client's side: partitions come and go by callbacks of the application.

Invariants:

- One rebalance at a time: from the moment a callback is put into the application's queue until it has returned and no
  commit is unanswered. While it waits nothing is fetched, of partitions that stay either.
- What the broker says in that time is remembered by the protocols, or asked for again, never acted on.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable

from trio_consumer import Partition

from .handle import ErrorOp, GiveAssignment, Handle, TakeAssignment


class State(enum.Enum):
    """Where a member stands."""

    INIT = "not joined"
    WAIT_JOIN = "waits for the join"
    WAIT_SYNC = "waits for the assignment"
    WAIT_CALLBACK = "waits for the application's callback"
    WAIT_UNASSIGN = "waits for commits of what was revoked"
    STEADY = "member"


class Membership:
    """The common part. See the module.

    Attributes:
        member_id: As the group knows this member; ``""`` until it does.
        generation: Generation, or member epoch.
        state: Where it stands.
        assigned: Partitions that the group gave, in order.
    """

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.member_id = ""
        self.generation = -1
        self.state = State.INIT
        self.assigned: dict[Partition, None] = {}
        self.subscribed = False
        self.incoming: tuple[Partition, ...] | None = None
        self.rejoins = False
        self.poll_flag = False

    # What the protocols bring

    def subscribe(self) -> None:
        """Join the group from now on."""
        raise NotImplementedError

    def rejoin(self) -> None:
        """Join again, with what is still assigned."""
        raise NotImplementedError

    def settled(self) -> None:
        """A rebalance has ended, and this member keeps its membership."""

    def after_revoke(self, incoming: tuple[Partition, ...]) -> None:
        """What was revoked is gone; these partitions come instead."""
        raise NotImplementedError

    def metadata_changed(self) -> None:
        """There is new metadata."""

    def coordinator_changed(self) -> None:
        """Another broker coordinates the group."""

    def commit_refused(self, code: str) -> None:
        """The coordinator refused a commit with this error."""

    def leave(self, done: Callable[[], None]) -> None:
        """Leave the group for good."""
        raise NotImplementedError

    def poll_exceeded(self) -> None:
        """The application has not polled for too long."""
        raise NotImplementedError

    # Rebalances

    @property
    def rebalancing(self) -> bool:
        return (
            self.state in (State.WAIT_CALLBACK, State.WAIT_UNASSIGN, State.WAIT_SYNC)
            or (self.state is State.WAIT_JOIN and bool(self.member_id))
            or self.incoming is not None
            or self.rejoins
        )

    def give(self, partitions: Iterable[Partition], *, rejoins: bool = False) -> None:
        """Have the assign callback run; rejoin after it if need be."""
        self.state = State.WAIT_CALLBACK
        self.rejoins = rejoins
        self.handle.fetching.hold()
        self.handle.emit(GiveAssignment(tuple(partitions)))

    def take(self, partitions: Iterable[Partition], *, lost: bool, rejoins: bool = False) -> None:
        """Have the revoke or lost callback run."""
        self.state = State.WAIT_CALLBACK
        self.rejoins = rejoins
        self.handle.fetching.hold()
        self.handle.emit(TakeAssignment(tuple(partitions), lost))

    def called(self, op: GiveAssignment | TakeAssignment) -> None:
        """The callback has returned."""
        fetching = self.handle.fetching
        if isinstance(op, GiveAssignment):
            self.assigned.update(dict.fromkeys(op.partitions))
            fetching.add(op.partitions)
            self.state = State.STEADY
            if not self.handle.closing:
                self._watch_polls()
        else:
            for partition in op.partitions:
                self.assigned.pop(partition, None)
            fetching.remove(op.partitions)
            self.state = State.WAIT_UNASSIGN
        fetching.go_on()
        self.served()

    def served(self) -> None:
        """Go on with a rebalance as soon as no commit is unanswered and every start is known."""
        if self.handle.closing or self.handle.fatal or self.handle.committing.unanswered or self.handle.fetching.asking:
            return
        if self.state is State.WAIT_UNASSIGN:
            incoming, self.incoming = self.incoming, None
            if incoming is not None:
                self.after_revoke(incoming)
            elif self.rejoins or not self.handle.knobs.incremental:
                self.rejoins = False
                self.rejoin()
            else:
                self.state = State.STEADY
                self.settled()
        elif self.state is State.STEADY:
            if self.rejoins:
                self.rejoins = False
                self.rejoin()
            else:
                self.settled()

    def lose_all(self) -> None:
        """All that is assigned is gone; then join again. Nothing if a rebalance goes on already."""
        if not self.rebalancing:
            self.drop_all(lost=True)

    def drop_all(self, *, lost: bool) -> None:
        if self.assigned:
            self.take(self.assigned, lost=lost, rejoins=self.handle.knobs.incremental)
        else:
            self.rejoin()

    def join_again(self) -> None:
        """The application unsubscribes and subscribes. In the middle of a rebalance the one cancels the other."""
        if not self.rebalancing:
            self.drop_all(lost=False)

    def reconcile(self, target: Iterable[Partition]) -> None:
        """Come from what is assigned to this, by increments: first revoke, then assign."""
        wanted = dict.fromkeys(target)
        revoked = [partition for partition in self.assigned if partition not in wanted]
        added = tuple(partition for partition in wanted if partition not in self.assigned)
        if revoked:
            self.incoming = added
            self.take(revoked, lost=False)
        else:
            self.give(added)

    # The application's polls

    def _watch_polls(self) -> None:
        self.poll_flag = False
        if not self.subscribed:
            self.subscribed = True
            self._look_at_polls()

    def _look_at_polls(self) -> None:
        handle = self.handle
        if handle.closing or handle.fatal:
            return
        if handle.poll_exceeded() and not self.poll_flag and self.state is not State.INIT:
            self.poll_flag = True
            self.subscribed = False
            handle.emit(ErrorOp("_MAX_POLL_EXCEEDED", "Application maximum poll interval exceeded"))
            self.poll_exceeded()
            return
        since = handle.now if handle.polled is None else handle.polled
        due = since + handle.knobs.max_poll_interval
        handle.after(max(due - handle.now, 0.0) + handle.dice.uniform(0.0, 0.5), self._look_at_polls)
