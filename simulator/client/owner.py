"""The thread that owns the client, as the real adapter has one: `trio_consumer.client.owner`, in virtual time.

Requests are carried out between polls; a poll without a record lasts 50 ms, so that is how long a request may wait.
Inside a rebalance callback nothing polls, and requests are carried out there too, until the revoked partitions are
released, or until the adapter's own deadline. A commit is asynchronous outside of a revoke; inside it blocks the
thread for as long as it takes. The invariants are those of the real adapter; a difference is a bug here.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from trio_consumer import ClientError, Partition
from trio_consumer.client.bridge import Answer
from trio_consumer.client.owner import BUSY_POLL_SECONDS, IDLE_SECONDS, POLL_SECONDS, REVOKE_SHARE
from trio_consumer.client.port import Assigned, Event, Failed, Lost, Records, Revoked
from trio_consumer.client.presumed import Presumed
from trio_consumer.client.translation import DEAD, not_assigned

from ..world.history import FetchPaused, FetchResumed, Sought
from . import offsets, reading, startup
from .errors import commit_error, error_of
from .fetching import Fetched
from .handle import CommitOp, EndOp, ErrorOp, GiveAssignment, Handle, TakeAssignment
from .requests import Close, CommitOffsets, Fetch, Pause, Release, Request, Resume, Seek
from .thread import Blocking, wait

CLOSE_BLOCKED_SECONDS = 45.0
"""KIP-848: how long closing waits for a commit that no broker answers."""

LEAVE_SECONDS = 5.0
"""How long closing waits for the answer that it has left the group."""


class Bridge(Protocol):
    """The way to Trio."""

    def emit(self, event: Event, numbers: Mapping[Partition, int], last: bool) -> None: ...

    def drop(self, partition: Partition) -> None: ...

    def started(self, error: Exception | None) -> None: ...

    def ended(self) -> None: ...


class Owner:
    """The thread's state. `run` is the thread; `ask` may be called from anywhere.

    Args:
        handle: The client.
        settings: Prepared.
        bridge: The way to Trio.
    """

    def __init__(self, handle: Handle, settings: Mapping[str, Any], bridge: Bridge) -> None:
        self._handle = handle
        self._settings = settings
        self._bridge = bridge
        self._requests: deque[Request] = deque()
        self._revoke_seconds = REVOKE_SHARE * handle.knobs.max_poll_interval
        self._reading = reading.Reading(handle)
        self._tenures: dict[Partition, int] = {}
        self._presumed = Presumed()
        self._paused: dict[Partition, None] = {}
        self._held: reading.InHand = []
        self._halted: dict[Partition, None] = {}
        self._wanted = 0
        self._batch_max = 0
        self._flowing = False
        self._subscribed = False
        self._revoking = False
        self._closing = False
        self._unanswered = 0
        self._dead: ClientError | None = None
        self._await_reason: list[Answer] = []
        self._idle_due = 0.0

    def ask(self, request: Request) -> None:
        """Queue a request; what it takes for an answer is in it."""
        if isinstance(request, Close):
            self._closing = True
            if not self._subscribed:
                self._handle.closing = True
        self._requests.append(request)
        self._handle.wake()

    def run(self) -> Blocking[None]:
        """The thread: from the constructor to close()."""
        try:
            yield from startup.check(self._handle, self._settings)
        except startup.GivenUp:
            self._bridge.ended()
            return
        except ClientError as error:
            self._bridge.started(error)
            self._bridge.ended()
            return
        self._handle.ops.clear()
        self._bridge.started(None)
        while not self._closing:
            yield from self._carry_out_requests()
            if self._wanted and not self._closing:
                yield from self._fetch()
        yield from self._close()
        self._bridge.ended()

    def _close(self) -> Blocking[None]:
        handle = self._handle
        handle.closing = True
        if not self._subscribed:
            return
        handle.ops.clear()
        seconds = CLOSE_BLOCKED_SECONDS if handle.knobs.protocol == "consumer" else handle.knobs.session_timeout
        yield from wait(lambda: not handle.committing.unanswered, handle.time, handle.now + seconds)
        left: list[bool] = []

        def done() -> None:
            left.append(True)
            handle.wake()

        handle.fetching.remove(tuple(handle.membership.assigned))
        if not handle.fatal:
            handle.membership.leave(done)
            yield from wait(lambda: left, handle.time, handle.now + LEAVE_SECONDS)

    # Requests

    def _carry_out_requests(self) -> Blocking[None]:
        """All that are queued. Waits for one if there is nothing to fetch for."""
        requests, handle = self._requests, self._handle
        if not requests and not self._wanted and not self._closing:
            if self._unanswered or self._await_reason:
                handle.polled = None
                yield from wait(lambda: requests or handle.ops or self._closing, handle.time)
                handle.polled = handle.now
                if not requests and not self._closing:
                    yield from self._hold_one()
                return
            yield from wait(lambda: requests or self._closing, handle.time)
        while requests:
            yield from self._carry_out(requests.popleft())

    def _carry_out(self, request: Request) -> Blocking[None]:
        if isinstance(request, Fetch):
            self._wanted = self._batch_max = request.records_max
            self._go_on()
        elif isinstance(request, CommitOffsets):
            error = self._stale("commit", request.tenures)
            if error is not None:
                self._reply(request.answer, error)
            elif self._revoking:
                yield from self._commit_and_wait(request)
            else:
                self._commit(request)
        elif isinstance(request, Pause):
            self._pause(request.partitions)
            self._reply(request.answer, None)
        elif isinstance(request, Resume):
            self._resume(request.partitions)
            self._reply(request.answer, None)
        elif isinstance(request, Seek):
            self._reply(request.answer, self._seek(request))
        # A Release that finds no revoke came too late: the partitions were given up as lost. Close has set its flag.

    def _reply(self, answer: Answer, error: ClientError | None) -> None:
        if error is not None and error.code == DEAD:
            # Requests to a dead client are not told why it died; that comes by a poll.
            if self._dead is None and not self._revoking:
                self._await_reason.append(answer)
                return
            error = self._dead or error
        answer.set(error)

    def _commit(self, request: CommitOffsets) -> None:
        self._unanswered += 1

        def outcome(code: str, errors: Mapping[Partition, str]) -> None:
            def tell() -> None:
                self._unanswered -= 1
                self._reply(request.answer, commit_error(code, errors, request.offsets))

            self._handle.emit_first(CommitOp(tell))

        self._handle.committing.commit(request.offsets, request.number, outcome)

    def _commit_and_wait(self, request: CommitOffsets) -> Blocking[None]:
        outcomes: list[tuple[str, Mapping[Partition, str]]] = []

        def outcome(code: str, errors: Mapping[Partition, str]) -> None:
            outcomes.append((code, errors))
            self._handle.wake()

        self._handle.committing.commit(request.offsets, request.number, outcome)
        yield from wait(lambda: outcomes, self._handle.time)
        self._reply(request.answer, commit_error(*outcomes[0], request.offsets))

    def _stale(self, what: str, tenures: Mapping[Partition, int]) -> ClientError | None:
        stale = [partition for partition, number in tenures.items() if self._tenures.get(partition) != number]
        return not_assigned(what, stale) if stale else None

    def _pause(self, partitions: Collection[Partition]) -> None:
        ours = tuple(partition for partition in partitions if partition in self._tenures)
        if ours:
            self._handle.fetching.pause(ours)
            self._paused.update(dict.fromkeys(ours))
            self._handle.history.add(FetchPaused(self._handle.name, ours))

    def _resume(self, partitions: Collection[Partition]) -> None:
        for partition in partitions:
            self._paused.pop(partition, None)
        ours = tuple(one for one in partitions if one in self._tenures)
        if ours:
            self._handle.fetching.resume([one for one in ours if one not in self._halted])
            self._handle.history.add(FetchResumed(self._handle.name, ours))

    def _seek(self, request: Seek) -> ClientError | None:
        error = self._stale("seek", request.tenures)
        if error is not None:
            return error
        for partition, offset in request.offsets.items():
            if not self._handle.fetching.seek(partition, offset):
                return error_of("_UNKNOWN_PARTITION", "seek")
            self._forget_in_hand([partition])
            self._reading.forget([partition])
            self._bridge.drop(partition)
            self._handle.history.add(Sought(self._handle.name, partition, offset))
        return None

    # Fetching

    def _fetch(self) -> Blocking[None]:
        """One step towards the granted batch: what is there at once, or one poll for a first record."""
        handle = self._handle
        if not self._subscribed:
            self._subscribed = True
            handle.polled = handle.now
            handle.brokers.begin()
            handle.membership.subscribe()
        if self._held:
            self._deliver_held()
            return
        handle.polled = None
        messages: reading.InHand = []
        ended = False
        if self._flowing:
            messages, ended = yield from self._take(self._wanted)
        if not messages and not ended:
            messages, ended = yield from self._poll()
        handle.polled = handle.now
        self._flowing = bool(messages) or ended
        if self._closing:
            return
        if messages or ended:
            self._deliver(messages)
        else:
            self._deliver_positions()
        self._join_again_if_need_be()

    def _join_again_if_need_be(self) -> None:
        handle = self._handle
        if handle.now < self._presumed.due or self._dead is not None or self._closing:
            return
        if self._presumed.kept(handle.membership.member_id, handle.membership.assigned, handle.now):
            handle.membership.join_again()

    def _poll(self) -> Blocking[tuple[reading.InHand, bool]]:
        """Wait for one record, an error or an end, for as long as a poll lasts. A request is seen when it is over.

        As long as nothing happens one poll follows the other, and none of them costs anything.
        """
        handle, requests = self._handle, self._requests
        began = handle.now
        seconds = BUSY_POLL_SECONDS if self._unanswered else POLL_SECONDS
        until = max(self._idle_due, began) if self._reading.untold and self._tenures else math.inf
        until = min(until, self._presumed.due)
        yield from wait(lambda: handle.ops or requests, handle.time, until)
        if not handle.ops and requests and not self._closing:
            over = began + math.ceil((handle.now - began) / seconds) * seconds
            yield from wait(lambda: handle.ops or self._closing, handle.time, over)
        return (yield from self._take(1))

    def _take(self, count: int) -> Blocking[tuple[reading.InHand, bool]]:
        """What is in the queue, up to so many records; callbacks among it run. True if there was an error or an end."""
        handle = self._handle
        ops, fetching = handle.ops, handle.fetching
        messages: reading.InHand = []
        ended = False
        while ops and count:
            op = ops[0]
            if isinstance(op, Fetched):
                if not fetching.is_current(op):
                    ops.popleft()
                    continue
                entries = fetching.take(op, count)
                count -= len(entries)
                messages.append((op.feed.partition, entries))
                if op.taken == len(op.entries):
                    ops.popleft()
                continue
            ops.popleft()
            if isinstance(op, EndOp):
                if fetching.is_current(op) and op.partition in self._tenures:
                    self._reading.reached(op.partition, op.offset)
                    ended = True
                    count -= 1
            elif isinstance(op, ErrorOp):
                self._presumed.passed()
                self._client_failed(op)
                ended = True
                count -= 1
            elif isinstance(op, CommitOp):
                op.tell()
            else:
                yield from self._callback(op)
                messages = [one for one in messages if one[0] in self._tenures]
        return messages, ended

    def _deliver(self, messages: reading.InHand) -> None:
        records, positions, bytes_max = reading.build(messages, self._tenures)
        moved = self._reading.moved(positions)
        for partition, position in moved.items():
            positions[partition] = max(positions.get(partition, 0), position)
        if records:
            self._send(Records(records, positions, {}, bytes_max))
        elif positions:
            self._emit(Records([], positions, self._reading.ends(self._tenures, positions)))

    def _deliver_held(self) -> None:
        wanted, messages = self._wanted, []
        while self._held and wanted:
            partition, entries = self._held.pop(0)
            if len(entries) > wanted:
                self._held.insert(0, (partition, entries[wanted:]))
                entries = entries[:wanted]
            wanted -= len(entries)
            messages.append((partition, entries))
        records, positions, bytes_max = reading.build(messages, self._tenures)
        if records:
            self._reading.delivered(positions)
            self._send(Records(records, positions, {}, bytes_max))

    def _send(self, batch: Records) -> None:
        # A lone record from poll() uses up only its own share: what came with it follows at once.
        self._wanted = 0 if len(batch.records) > 1 else self._wanted - 1
        ends = self._reading.ends(self._tenures, batch.positions)
        self._idle_due = self._handle.now + IDLE_SECONDS
        self._emit(Records(batch.records, batch.positions, ends, batch.bytes_max), last=not self._wanted)

    def _deliver_positions(self) -> None:
        now = self._handle.now
        if not self._tenures or now < self._idle_due:
            return
        self._idle_due = now + IDLE_SECONDS
        positions = self._reading.moved(self._tenures)
        ends = self._reading.ends(self._tenures)
        if positions or ends:
            self._emit(Records([], positions, ends))

    def _hold_one(self) -> Blocking[None]:
        """Poll for the answer to a commit although nobody wants records; one that comes is kept for the next batch."""
        if not self._subscribed:
            return
        if reading.count(self._held) >= self._batch_max and any(one not in self._halted for one in self._tenures):
            self._halted = dict.fromkeys(self._tenures)
            self._handle.fetching.pause(self._halted)
        messages, _ = yield from self._take(1)
        self._held.extend(messages)
        self._presumed.passed()
        self._join_again_if_need_be()

    def _go_on(self) -> None:
        """Fetch again what is ours and was not paused by request."""
        halted, self._halted = self._halted, {}
        ours = [one for one in halted if one in self._tenures and one not in self._paused]
        if ours:
            self._handle.fetching.resume(ours)

    # Callbacks of the client

    def _callback(self, op: GiveAssignment | TakeAssignment) -> Blocking[None]:
        polled, self._handle.polled = self._handle.polled, None
        if isinstance(op, GiveAssignment):
            yield from self._on_assign(op.partitions)
        elif op.lost:
            self._presumed.named(op.partitions)
            self._lose(op.partitions)
        else:
            yield from self._on_revoke(op.partitions)
        self._handle.polled = polled if polled is None else self._handle.now
        self._handle.membership.called(op)

    def _on_assign(self, partitions: tuple[Partition, ...]) -> Blocking[None]:
        self._presumed.assigned(partitions)
        if self._closing or not partitions:
            return
        self._lose(partitions)  # normally none: a tenure that was never revoked
        found = yield from offsets.read(self._handle, partitions)
        numbers = {partition: next(self._handle.surroundings.tenures) for partition in partitions}
        for partition in partitions:
            self._paused.pop(partition, None)
            self._halted.pop(partition, None)
        self._forget_in_hand(partitions)  # what came while nobody had them
        self._tenures.update(numbers)
        self._idle_due = self._handle.now + IDLE_SECONDS
        self._emit(Assigned(found), numbers)

    def _on_revoke(self, revoked: tuple[Partition, ...]) -> Blocking[None]:
        self._presumed.named(revoked)
        partitions = tuple(partition for partition in revoked if partition in self._tenures)
        if self._closing or not partitions:
            self._forget(partitions)
            return
        event = Revoked(partitions)
        until = self._handle.now + self._revoke_seconds
        self._forget_in_hand(partitions)
        self._emit(event)
        self._revoking = True
        released = yield from self._serve_until_released(event, until)
        self._revoking = False
        if released:
            self._forget(partitions)
        else:
            self._lose(partitions)

    def _serve_until_released(self, event: Revoked, until: float) -> Blocking[bool]:
        """False if the deadline came first."""
        requests, handle = self._requests, self._handle
        while not self._closing:
            if not (yield from wait(lambda: requests or self._closing, handle.time, until)):
                return False
            if not requests:
                break
            request = requests.popleft()
            if isinstance(request, Release) and request.revoked is event:
                return True
            yield from self._carry_out(request)
        return True

    def _client_failed(self, op: ErrorOp) -> None:
        is_dead = op.code == DEAD
        error = error_of(op.code, op.text, behind=op.where) if is_dead else error_of(op.code, op.where or op.text)
        if is_dead or op.code == "_MAX_POLL_EXCEEDED":
            if not is_dead and self._handle.knobs.protocol != "consumer":
                self._presumed.lost(self._tenures)
            self._lose(tuple(self._tenures))
        if is_dead:
            if self._dead is not None:
                return
            self._dead = error
            for answer in self._await_reason:
                answer.set(error)
            self._await_reason.clear()
        self._emit(Failed(error))

    # Tenures

    def _lose(self, partitions: Iterable[Partition]) -> None:
        ours = tuple(partition for partition in partitions if partition in self._tenures)
        if ours:
            self._forget(ours)
            self._emit(Lost(ours))

    def _forget(self, partitions: Sequence[Partition]) -> None:
        self._forget_in_hand(partitions)
        self._reading.forget(partitions)
        for partition in partitions:
            self._tenures.pop(partition, None)
            self._paused.pop(partition, None)

    def _forget_in_hand(self, partitions: Sequence[Partition]) -> None:
        if self._held:
            self._held = [one for one in self._held if one[0] not in partitions]

    def _emit(self, event: Event, numbers: Mapping[Partition, int] | None = None, *, last: bool = False) -> None:
        self._bridge.emit(event, numbers or {}, last)
