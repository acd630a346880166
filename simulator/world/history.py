"""What happens in a world, as plain events: the one input of oracles, traces and reports.

An event is told at the instant it happens, to whoever listens for its type, in the order in which they asked. All
events are kept. None holds an object of the library under test: names, numbers and texts only, so that a history can be
written to a file and read back.

``process`` is one life of a member: ``a.1`` is the first life of member ``a``, ``a.2`` comes after its restart.
``tenure`` counts the assignments that a client has delivered in the world, from 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias, TypeVar

from trio_consumer import Partition

from ..runtime.clock import VirtualClock

# Log


class TopicCreated(NamedTuple):
    """Also when more partitions were added: ``partitions`` is their new number."""

    topic: str
    topic_id: int
    partitions: int


class TopicDeleted(NamedTuple):
    topic: str


class Appended(NamedTuple):
    """``visible`` is false for control entries and records of aborted transactions."""

    partition: Partition
    offset: int
    key: bytes | None
    visible: bool


class LogStartMoved(NamedTuple):
    """Retention or DeleteRecords: everything below is gone."""

    partition: Partition
    start: int


class Compacted(NamedTuple):
    partition: Partition
    removed: tuple[int, ...]


class Truncated(NamedTuple):
    """Unclean leader election: everything from this offset on is gone, and offsets are used again."""

    partition: Partition
    end: int


class Decided(NamedTuple):
    """A transaction ended: records at these offsets are now visible to read_committed, or never will be."""

    partition: Partition
    offsets: tuple[int, ...]
    committed: bool


# Processes


class ProcessStarted(NamedTuple):
    process: str


class ProcessKilled(NamedTuple):
    """Its effects are cut off from here on. Its tasks may still be unwinding."""

    process: str


class ProcessEnded(NamedTuple):
    """By itself. ``error`` is the name and text of the exception that `Consumer.run` raised, or ``""``."""

    process: str
    error: str


class ProcessFrozen(NamedTuple):
    """No task of it runs. ``whole``: its client does not run either (SIGSTOP), else only its event loop is blocked."""

    process: str
    whole: bool


class ProcessThawed(NamedTuple):
    process: str


# What the client delivers to the consumer


class AssignmentDelivered(NamedTuple):
    """``committed`` has the offset and the metadata that came with it; offset -1 if there is none."""

    process: str
    tenures: Mapping[Partition, int]
    committed: Mapping[Partition, tuple[int, str]]


class RevokeDelivered(NamedTuple):
    process: str
    partitions: tuple[Partition, ...]


class Released(NamedTuple):
    process: str
    partitions: tuple[Partition, ...]


class LossDelivered(NamedTuple):
    process: str
    partitions: tuple[Partition, ...]


class ErrorDelivered(NamedTuple):
    process: str
    code: str
    fatal: bool


class RecordsDelivered(NamedTuple):
    """``offsets`` in order; ``position`` and ``end`` as the client says them, -1 if it does not."""

    process: str
    partition: Partition
    offsets: tuple[int, ...]
    position: int
    end: int


class PositionReset(NamedTuple):
    """The client had no offset, or one out of range, and went elsewhere by ``auto.offset.reset``; -1: from nowhere."""

    process: str
    partition: Partition
    before: int
    after: int


class FetchPaused(NamedTuple):
    process: str
    partitions: tuple[Partition, ...]


class FetchResumed(NamedTuple):
    process: str
    partitions: tuple[Partition, ...]


class Sought(NamedTuple):
    """The consumer has the client fetch from here next."""

    process: str
    partition: Partition
    offset: int


# Commits


class CommitAsked(NamedTuple):
    """The consumer called ``commit``. ``number`` is unique in the world. ``in_revoke``: between Revoked and release."""

    process: str
    number: int
    offsets: Mapping[Partition, tuple[int, str]]
    in_revoke: bool


class CommitMadeAnew(NamedTuple):
    """A commit was put off for want of a coordinator, and its request made again with the generation of now.

    So it may land in a later generation than the one that it was asked for in, and be taken.
    """

    process: str
    number: int


class CommitAnswered(NamedTuple):
    """The consumer learnt the outcome: ``error`` is the code that its `ClientError` carries, or ``""``."""

    process: str
    number: int
    error: str


class CommitApplied(NamedTuple):
    """The broker changed what it holds. ``number`` is 0 where no member's commit did it.

    ``before`` is the offset held until then, -1 for none.
    """

    process: str
    number: int
    group: str
    partition: Partition
    offset: int
    metadata: str
    before: int


class CommitRefused(NamedTuple):
    process: str
    number: int
    group: str
    partition: Partition
    error: str


class OffsetsForgotten(NamedTuple):
    """Expired, deleted with the group or the topic, or an administrator's doing; ``after`` is -1, or what was set."""

    group: str
    partition: Partition
    before: int
    after: int
    reason: str


# Handlers


class HandlerStarted(NamedTuple):
    """``call`` is unique in the world. ``value`` is the record's, for reports."""

    process: str
    call: int
    partition: Partition
    offset: int
    key: bytes | None
    attempt: int


class HandlerEnded(NamedTuple):
    """``outcome``: ``succeeded``, ``failed`` or ``cancelled``, as the consumer saw it. ``detail`` is for reports."""

    process: str
    call: int
    partition: Partition
    offset: int
    outcome: str
    detail: str


class DeadLettered(NamedTuple):
    """The dead-letter topic acknowledged this record."""

    process: str
    partition: Partition
    offset: int


class EffectApplied(NamedTuple):
    """Something outside of Kafka changed on behalf of a record, for instance a row in the simulated database."""

    process: str
    name: str
    partition: Partition
    offset: int


# The world


class FaultFired(NamedTuple):
    """``number`` counts the faults of a world from 0, so that shrinking can leave single ones out."""

    kind: str
    number: int
    target: str


class Transition(NamedTuple):
    """One row of a coordinator's table was taken."""

    group: str
    table: str
    state: str
    event: str
    after: str


class PhaseBegan(NamedTuple):
    """``faults``, ``heal`` or ``end``."""

    phase: str


class Sampled(NamedTuple):
    """What a consumer's `statistics()` say about its bounds, looked at now and then."""

    process: str
    in_flight: int
    queued_records: int
    queued_bytes: int
    map_characters: int
    parked_records: int


class Violated(NamedTuple):
    """An oracle's finding. ``anomaly`` is Jepsen's name for it, or ``""``."""

    oracle: str
    anomaly: str
    text: str


Event: TypeAlias = NamedTuple
E = TypeVar("E", bound=tuple[Any, ...])


class Moment(NamedTuple):
    """An event and its time, in virtual seconds."""

    time: float
    event: Any


_tuple = tuple.__new__


class History:
    """All that happened, and who wants to know."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._listeners: dict[type, list[Callable[[Any], object]]] = {}
        self.moments: list[Moment] = []

    def listen(self, kind: type[E], listener: Callable[[E], object]) -> None:
        """Call this with each event of the kind from now on."""
        self._listeners.setdefault(kind, []).append(listener)

    def add(self, event: tuple[Any, ...]) -> None:
        """Something happened just now."""
        # As Moment(...) does, without a call of it: this is done for each event.
        self.moments.append(_tuple(Moment, (self._clock.now, event)))
        listeners = self._listeners.get(type(event))
        if listeners is not None:
            for listener in listeners:
                listener(event)
