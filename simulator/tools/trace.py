"""A history as text: one aligned line for each event, and a legend.

A line has the time, who it is about, a mark and a word for what happened, where, and the rest. The mark alone tells
the kind, so that a trace can be skimmed and searched without colour. What only tables need (`Transition`, `Sampled`) is
left out unless one asks for everything. An event of a kind that is not listed here is shown as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import attrs

from trio_consumer import Partition

from ..world import history
from ..world.history import Moment

BROKER, WORLD = "broker", "world"
"""Who a line is about, where it is no process."""

TONES = ("phase", "process", "client", "commit", "handler", "fault", "log", "table", "violation")
"""Kinds of lines, for colours."""

DETAILS = (history.Transition, history.Sampled)

KEY_CHARACTERS_MAX = 24
TEXT_CHARACTERS_MAX = 400


@attrs.frozen
class Line:
    """One event, ready to be printed.

    Args:
        time: Virtual seconds.
        who: A process, `BROKER` or `WORLD`.
        mark: One character that stands for the kind.
        what: The same in a word or two.
        where: Partition and offsets, or ``""``.
        rest: Everything else.
        tone: One of `TONES`.
    """

    time: float
    who: str
    mark: str
    what: str
    where: str
    rest: str
    tone: str

    @property
    def body(self) -> str:
        """All but the time, in columns."""
        return f"{self.who:<7} {self.mark} {self.what:<12} {self.where:<22} {self.rest}".rstrip()

    @property
    def text(self) -> str:
        """In columns."""
        return f"{self.time:10.4f}  {self.body}"


def _nothing(event: Any) -> str:
    return ""


def _process(event: Any) -> str:
    return str(event.process)


@attrs.frozen
class Kind:
    """How events of one type are shown.

    Args:
        mark, what, tone: As in `Line`.
        who, where, rest: Each from the event.
        says: For the legend.
    """

    mark: str
    what: str
    tone: str
    says: str
    who: Callable[[Any], str] = _process
    where: Callable[[Any], str] = _nothing
    rest: Callable[[Any], str] = _nothing


def lines(moments: Iterable[Moment], *, everything: bool = False) -> Iterator[Line]:
    """The trace of a history, in order.

    Args:
        moments: The history.
        everything: Also what only tables need.
    """
    for time, event in moments:
        if not everything and isinstance(event, DETAILS):
            continue
        kind = KINDS.get(type(event))
        if kind is None:
            yield Line(time, WORLD, "?", type(event).__name__, "", cut(_fields(event)), "table")
        else:
            rest = cut(kind.rest(event)) if kind.tone != "violation" else kind.rest(event)
            yield Line(time, kind.who(event), kind.mark, kind.what, kind.where(event), rest, kind.tone)


def legend(shown: Iterable[Line] | None = None) -> list[str]:
    """What the marks mean: of these lines, or all of them."""
    used = None if shown is None else {(line.mark, line.what) for line in shown}
    rows = [kind for kind in KINDS.values() if used is None or (kind.mark, kind.what) in used]
    return [f"{kind.mark} {kind.what:<12} {kind.says}" for kind in rows]


def place(partition: Partition, offset: int | None = None) -> str:
    """``orders[0]@7``."""
    return str(partition) if offset is None else f"{partition}@{offset}"


def key_of(key: bytes | None) -> str:
    """A key for people: its text, or its bytes; ``-`` for none."""
    if key is None:
        return "-"
    try:
        text = key.decode()
        shown = text if text.isprintable() and text else repr(key)
    except UnicodeDecodeError:
        shown = repr(key)
    return cut(shown, KEY_CHARACTERS_MAX)


def cut(text: str, characters_max: int = TEXT_CHARACTERS_MAX) -> str:
    """On one line, and no longer than that."""
    text = " ".join(text.splitlines())
    return text if len(text) <= characters_max else f"{text[: characters_max - 1]}…"


def ranges(numbers: Iterable[int]) -> str:
    """``3–7 9``: whole numbers in order, neighbours joined."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return " ".join(str(low) if low == high else f"{low}–{high}" for low, high in found)


def offset_of(offset: int) -> str:
    return "none" if offset < 0 else str(offset)


def _fields(event: Any) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in zip(event._fields, event, strict=True))


def _partitions(partitions: Iterable[Partition]) -> str:
    return " ".join(map(str, partitions)) or "nothing"


def _map(metadata: str) -> str:
    return f" +map {len(metadata)}" if metadata else ""


def _offsets(offsets: Mapping[Partition, tuple[int, str]]) -> str:
    return "  ".join(f"{partition}@{offset_of(at)}{_map(metadata)}" for partition, (at, metadata) in offsets.items())


def _assigned(event: history.AssignmentDelivered) -> str:
    parts = []
    for partition, tenure in event.tenures.items():
        offset, metadata = event.committed.get(partition, (-1, ""))
        parts.append(f"{partition} from {offset_of(offset)}{_map(metadata)}, tenure {tenure}")
    return "; ".join(parts) or "nothing"


def _applied(event: history.CommitApplied) -> str:
    by = f"commit {event.number} of {event.process}" if event.number else "not a member's"
    return f"was {offset_of(event.before)}{_map(event.metadata)}  ({by})"


def _started(event: history.HandlerStarted) -> str:
    attempt = f"  attempt {event.attempt}" if event.attempt > 1 else ""
    return f"call {event.call}  key {key_of(event.key)}{attempt}"


def _numbered(event: history.CommitAnswered) -> str:
    return f"commit {event.number}" + (f"  {event.error}" if event.error else "")


def _delivered(event: history.RecordsDelivered) -> str:
    known = [f"{name} {at}" for name, at in (("position", event.position), ("end", event.end)) if at >= 0]
    return ", ".join([f"{len(event.offsets)} record{'s' if len(event.offsets) != 1 else ''}", *known])


def _sampled(event: history.Sampled) -> str:
    return (
        f"{event.in_flight} in flight, {event.queued_records} queued ({event.queued_bytes} B), "
        f"{event.parked_records} parked, map {event.map_characters}"
    )


def _at(event: Any) -> str:
    return place(event.partition, event.offset)


def _one(event: Any) -> str:
    return str(event.partition)


def _many(event: Any) -> str:
    return _partitions(event.partitions)


def _broker(event: Any) -> str:
    return BROKER


def _world(event: Any) -> str:
    return WORLD


_H = history

KINDS: Mapping[type, Kind] = {
    _H.PhaseBegan: Kind(
        "═", "phase", "phase", "the world's faults begin, all heals, or it ends", _world, rest=lambda e: str(e.phase)
    ),
    _H.Violated: Kind(
        "✗",
        "VIOLATED",
        "violation",
        "an oracle found a promise broken",
        _world,
        rest=lambda e: f"{e.oracle}{f' ({e.anomaly})' if e.anomaly else ''}: {e.text}",
    ),
    _H.FaultFired: Kind(
        "!",
        "fault",
        "fault",
        "a fault fired, with its number",
        _world,
        lambda e: str(e.kind),
        lambda e: f"{e.number}  {e.target}",
    ),
    _H.ProcessStarted: Kind("+", "started", "process", "a process began"),
    _H.ProcessEnded: Kind(
        "-", "ended", "process", "it ended by itself, with this exception if any", rest=lambda e: str(e.error)
    ),
    _H.ProcessKilled: Kind("x", "killed", "process", "it died: nothing of it counts from here on"),
    _H.ProcessFrozen: Kind(
        "*",
        "frozen",
        "process",
        "it stands still: as a whole, or its event loop only",
        rest=lambda e: "as a whole" if e.whole else "its event loop",
    ),
    _H.ProcessThawed: Kind("~", "thawed", "process", "it goes on"),
    _H.AssignmentDelivered: Kind("A", "assigned", "client", "partitions assigned, from these offsets", rest=_assigned),
    _H.RevokeDelivered: Kind("R", "revoked", "client", "partitions to give back, orderly", where=_many),
    _H.Released: Kind("r", "released", "client", "given back", where=_many),
    _H.LossDelivered: Kind("L", "lost", "client", "partitions that are already gone", where=_many),
    _H.ErrorDelivered: Kind(
        "E",
        "error",
        "client",
        "the client reports an error",
        rest=lambda e: f"{e.code}{' (fatal)' if e.fatal else ''}",
    ),
    _H.RecordsDelivered: Kind(
        ".",
        "records",
        "client",
        "records fetched",
        where=lambda e: f"{e.partition}@{ranges(e.offsets)}",
        rest=_delivered,
    ),
    _H.PositionReset: Kind(
        "^",
        "reset",
        "client",
        "no offset, or out of range: begins elsewhere",
        where=_one,
        rest=lambda e: f"{offset_of(e.before)} → {offset_of(e.after)}",
    ),
    _H.Sought: Kind(
        "k",
        "sought",
        "client",
        "the consumer has it fetch again from there",
        where=_one,
        rest=lambda e: f"→ {e.offset}",
    ),
    _H.FetchPaused: Kind("p", "paused", "client", "fetching paused", where=_many),
    _H.FetchResumed: Kind("u", "resumed", "client", "fetching resumed", where=_many),
    _H.CommitAsked: Kind(
        ">",
        "commit",
        "commit",
        "the consumer commits",
        rest=lambda e: f"commit {e.number}{' in revoke' if e.in_revoke else ''}  {_offsets(e.offsets)}",
    ),
    _H.CommitMadeAnew: Kind(
        "&", "anew", "commit", "a commit was put off, and is made anew", rest=lambda e: f"commit {e.number}"
    ),
    _H.CommitAnswered: Kind("<", "answered", "commit", "and learns what became of it", rest=_numbered),
    _H.CommitApplied: Kind("=", "applied", "commit", "the broker took a commit", _broker, _at, _applied),
    _H.CommitRefused: Kind(
        "#",
        "refused",
        "commit",
        "the broker refused a commit",
        _broker,
        _one,
        lambda e: f"{e.error}  (commit {e.number} of {e.process})",
    ),
    _H.OffsetsForgotten: Kind(
        "o",
        "forgotten",
        "commit",
        "a committed offset expired, was deleted or set by hand",
        _broker,
        _one,
        lambda e: f"{offset_of(e.before)} → {offset_of(e.after)}  {e.reason}",
    ),
    _H.HandlerStarted: Kind("(", "handler", "handler", "a handler began", where=_at, rest=_started),
    _H.HandlerEnded: Kind(
        ")",
        "handler",
        "handler",
        "it ended, and how",
        where=_at,
        rest=lambda e: f"call {e.call}  {e.outcome}" + (f"  {e.detail}" if e.detail else ""),
    ),
    _H.DeadLettered: Kind("d", "dead letter", "handler", "the dead-letter topic took the record", where=_at),
    _H.EffectApplied: Kind(
        "$", "effect", "handler", "something outside of Kafka changed", where=_at, rest=lambda e: str(e.name)
    ),
    _H.TopicCreated: Kind(
        "T",
        "topic",
        "log",
        "created, or got more partitions",
        _broker,
        lambda e: str(e.topic),
        lambda e: f"{e.partitions} partitions, id {e.topic_id}",
    ),
    _H.TopicDeleted: Kind("D", "deleted", "log", "a topic is gone", _broker, lambda e: str(e.topic)),
    _H.Appended: Kind(
        "a",
        "appended",
        "log",
        "a record, or an entry that no consumer sees",
        _broker,
        _at,
        lambda e: f"key {key_of(e.key)}" if e.visible else "not visible",
    ),
    _H.LogStartMoved: Kind(
        "s", "log start", "log", "what is below is gone", _broker, lambda e: place(e.partition, e.start)
    ),
    _H.Compacted: Kind(
        "c", "compacted", "log", "these are gone", _broker, _one, lambda e: ranges(e.removed) or "nothing"
    ),
    _H.Truncated: Kind(
        "t", "truncated", "log", "the tail from here is gone", _broker, lambda e: place(e.partition, e.end)
    ),
    _H.Decided: Kind(
        "§",
        "transaction",
        "log",
        "it ended",
        _broker,
        _one,
        lambda e: f"{'committed' if e.committed else 'aborted'}  {ranges(e.offsets)}",
    ),
    _H.Transition: Kind(
        "|",
        "table",
        "table",
        "the coordinator took a row of a table",
        _broker,
        lambda e: f"{e.group}/{e.table}",
        lambda e: f"{e.state} —{e.event}→ {e.after}",
    ),
    _H.Sampled: Kind("%", "sampled", "table", "what a consumer says about its bounds", rest=_sampled),
}
"""How each type of event is shown. A test says that none is missing, and that no two look alike."""
