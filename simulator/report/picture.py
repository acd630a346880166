"""From a history to what is drawn: plain values, in the shape in which the page's script reads them.

Three views of one time axis. *Members*: each life of a member is a group of lanes, one for each partition that it ever
held; handlers are bars in their lane, stacked where they overlap. *Offsets*: each partition with its log and what is
committed of it. *World*: phases and faults. What is still open at the end of the history ends there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from trio_consumer import Partition

from ..faults.catalogue import KINDS
from ..tools.recording import Recording
from ..tools.reproduce import command
from ..tools.trace import Line, key_of, legend, lines, offset_of
from ..world import history
from ..world.scenario import Scenario

TRACE_LINES_MAX = 20_000
TEXT_CHARACTERS_MAX = 2_000
TRACKS_MAX = 12
"""Bars that overlap are stacked up to so many; more share the last track."""

_PLACE = re.compile(r"([\w.-]+\[\d+\])(?:@(\d+))?")


class _Lane:
    """One partition in one life of a member."""

    def __init__(self) -> None:
        self.tenures: list[dict[str, Any]] = []
        self.bars: list[dict[str, Any]] = []
        self.fetches: list[list[Any]] = []
        self.pauses: list[list[Any]] = []

    def as_plain(self, partition: Partition) -> dict[str, Any]:
        tracks = stack(self.bars)
        return {"partition": str(partition), "tracks": tracks, **vars(self)}


class _Life:
    """One process."""

    def __init__(self, name: str, began: float) -> None:
        self.name = name
        self.began = began
        self.ended: float | None = None
        self.how = ""
        self.error = ""
        self.frozen: list[list[Any]] = []
        self.errors: list[list[Any]] = []
        self.commits: dict[int, dict[str, Any]] = {}
        self.lanes: dict[Partition, _Lane] = {}

    def lane(self, partition: Partition) -> _Lane:
        return self.lanes.setdefault(partition, _Lane())

    def end(self, time: float, how: str, error: str = "") -> None:
        """What is open ends with it."""
        if self.ended is not None:
            return
        self.ended, self.how, self.error = time, how, error
        for spell in self.frozen:
            spell[1] = time if spell[1] is None else spell[1]
        for lane in self.lanes.values():
            for tenure in lane.tenures:
                if tenure["to"] is None:
                    tenure.update(to=time, how=how)
            for bar in lane.bars:
                if bar["to"] is None:
                    bar.update(to=time, outcome="unfinished")
            for pause in lane.pauses:
                pause[1] = time if pause[1] is None else pause[1]

    def as_plain(self) -> dict[str, Any]:
        lanes = [self.lanes[partition].as_plain(partition) for partition in sorted(self.lanes)]
        return {**vars(self), "lanes": lanes, "commits": list(self.commits.values())}


class _Log:
    """One partition at the broker: how its end, its start and what is committed of it moved."""

    def __init__(self) -> None:
        self.ends: list[list[float]] = []
        self.starts: list[list[float]] = []
        self.committed: list[list[Any]] = []


class Picture:
    """Reads a history event by event; `as_plain` is what came out."""

    def __init__(self) -> None:
        self._lives: dict[str, _Life] = {}
        self._logs: dict[Partition, _Log] = {}
        self._bars: dict[int, dict[str, Any]] = {}
        self._phases: list[dict[str, Any]] = []
        self._faults: list[dict[str, Any]] = []
        self._violations: list[dict[str, Any]] = []
        self._now = 0.0

    def read(self, moments: Iterable[history.Moment]) -> None:
        for time, event in moments:
            self._now = time
            reader = READERS.get(type(event))
            if reader is not None:
                reader(self, event)

    def as_plain(self, until: float) -> dict[str, Any]:
        """All of it, as JSON takes it."""
        for life in self._lives.values():
            life.end(until, "unfinished")
        return {
            "end": until,
            "phases": self._phases,
            "faults": self._faults,
            "violations": self._violations,
            "lives": [self._lives[name].as_plain() for name in sorted(self._lives, key=_by_member)],
            "logs": [{"partition": str(one), **vars(self._logs[one])} for one in sorted(self._logs)],
        }

    def _life(self, name: str) -> _Life:
        return self._lives.setdefault(name, _Life(name, self._now))

    def _log(self, partition: Partition) -> _Log:
        return self._logs.setdefault(partition, _Log())

    # Processes

    def _process_started(self, event: history.ProcessStarted) -> None:
        self._life(event.process)

    def _process_killed(self, event: history.ProcessKilled) -> None:
        self._life(event.process).end(self._now, "killed")

    def _process_ended(self, event: history.ProcessEnded) -> None:
        self._life(event.process).end(self._now, "ended", _short(event.error))

    def _process_frozen(self, event: history.ProcessFrozen) -> None:
        self._life(event.process).frozen.append([self._now, None, event.whole])

    def _process_thawed(self, event: history.ProcessThawed) -> None:
        for spell in self._life(event.process).frozen:
            spell[1] = self._now if spell[1] is None else spell[1]

    # What the client delivers

    def _assignment_delivered(self, event: history.AssignmentDelivered) -> None:
        for partition, number in event.tenures.items():
            offset, metadata = event.committed.get(partition, (-1, ""))
            self._life(event.process).lane(partition).tenures.append(
                {
                    "number": number,
                    "from": self._now,
                    "revoked": None,
                    "to": None,
                    "how": "",
                    "committed": offset_of(offset),
                    "map": len(metadata),
                }
            )

    def _tenure(self, process: str, partition: Partition) -> dict[str, Any]:
        tenures = self._life(process).lane(partition).tenures
        return tenures[-1] if tenures and tenures[-1]["to"] is None else {}

    def _revoke_delivered(self, event: history.RevokeDelivered) -> None:
        for partition in event.partitions:
            self._tenure(event.process, partition)["revoked"] = self._now

    def _released(self, event: history.Released) -> None:
        for partition in event.partitions:
            self._tenure(event.process, partition).update(to=self._now, how="released")

    def _loss_delivered(self, event: history.LossDelivered) -> None:
        for partition in event.partitions:
            self._tenure(event.process, partition).update(to=self._now, how="lost")

    def _error_delivered(self, event: history.ErrorDelivered) -> None:
        self._life(event.process).errors.append([self._now, event.code, event.fatal])

    def _records_delivered(self, event: history.RecordsDelivered) -> None:
        if event.offsets:
            lane = self._life(event.process).lane(event.partition)
            lane.fetches.append([self._now, len(event.offsets), event.offsets[0], event.offsets[-1]])

    def _fetch_paused(self, event: history.FetchPaused) -> None:
        for partition in event.partitions:
            self._life(event.process).lane(partition).pauses.append([self._now, None])

    def _fetch_resumed(self, event: history.FetchResumed) -> None:
        for partition in event.partitions:
            for pause in self._life(event.process).lane(partition).pauses:
                pause[1] = self._now if pause[1] is None else pause[1]

    # Commits

    def _commit_asked(self, event: history.CommitAsked) -> None:
        self._life(event.process).commits[event.number] = {
            "number": event.number,
            "from": self._now,
            "to": None,
            "error": "",
            "revoke": event.in_revoke,
            "offsets": [[str(one), offset_of(at), len(metadata)] for one, (at, metadata) in event.offsets.items()],
        }

    def _commit_answered(self, event: history.CommitAnswered) -> None:
        if commit := self._life(event.process).commits.get(event.number):
            commit.update(to=self._now, error=event.error)

    def _commit_applied(self, event: history.CommitApplied) -> None:
        self._log(event.partition).committed.append(
            [self._now, event.offset, event.process, event.number, len(event.metadata)]
        )

    def _offsets_forgotten(self, event: history.OffsetsForgotten) -> None:
        self._log(event.partition).committed.append([self._now, event.after, event.reason, 0, 0])

    # Handlers

    def _handler_started(self, event: history.HandlerStarted) -> None:
        bar = {
            "call": event.call,
            "offset": event.offset,
            "attempt": event.attempt,
            "key": key_of(event.key),
            "from": self._now,
            "to": None,
            "outcome": "",
            "detail": "",
            "track": 0,
        }
        self._bars[event.call] = bar
        self._life(event.process).lane(event.partition).bars.append(bar)

    def _handler_ended(self, event: history.HandlerEnded) -> None:
        if (bar := self._bars.get(event.call)) and bar["to"] is None:
            bar.update(to=self._now, outcome=event.outcome, detail=_short(event.detail))

    # Logs and the world

    def _appended(self, event: history.Appended) -> None:
        self._log(event.partition).ends.append([self._now, event.offset + 1])

    def _log_start_moved(self, event: history.LogStartMoved) -> None:
        self._log(event.partition).starts.append([self._now, event.start])

    def _truncated(self, event: history.Truncated) -> None:
        self._log(event.partition).ends.append([self._now, event.end])

    def _phase_began(self, event: history.PhaseBegan) -> None:
        self._phases.append({"name": event.phase, "from": self._now})

    def _fault_fired(self, event: history.FaultFired) -> None:
        known = KINDS.get(event.kind)
        self._faults.append(
            {
                "at": self._now,
                "kind": event.kind,
                "group": known.group if known else "",
                "says": known.says if known else "",
                "number": event.number,
                "target": event.target,
            }
        )

    def _violated(self, event: history.Violated) -> None:
        self._violations.append(
            {
                "at": self._now,
                "oracle": event.oracle,
                "anomaly": event.anomaly,
                "text": _short(event.text),
                "places": _places(event.text),
                "processes": [
                    name for name in self._lives if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", event.text)
                ],
            }
        )


READERS: Mapping[type, Callable[[Picture, Any], None]] = {
    history.ProcessStarted: Picture._process_started,
    history.ProcessKilled: Picture._process_killed,
    history.ProcessEnded: Picture._process_ended,
    history.ProcessFrozen: Picture._process_frozen,
    history.ProcessThawed: Picture._process_thawed,
    history.AssignmentDelivered: Picture._assignment_delivered,
    history.RevokeDelivered: Picture._revoke_delivered,
    history.Released: Picture._released,
    history.LossDelivered: Picture._loss_delivered,
    history.ErrorDelivered: Picture._error_delivered,
    history.RecordsDelivered: Picture._records_delivered,
    history.FetchPaused: Picture._fetch_paused,
    history.FetchResumed: Picture._fetch_resumed,
    history.CommitAsked: Picture._commit_asked,
    history.CommitAnswered: Picture._commit_answered,
    history.CommitApplied: Picture._commit_applied,
    history.OffsetsForgotten: Picture._offsets_forgotten,
    history.HandlerStarted: Picture._handler_started,
    history.HandlerEnded: Picture._handler_ended,
    history.Appended: Picture._appended,
    history.LogStartMoved: Picture._log_start_moved,
    history.Truncated: Picture._truncated,
    history.PhaseBegan: Picture._phase_began,
    history.FaultFired: Picture._fault_fired,
    history.Violated: Picture._violated,
}
"""What each type of event changes in the picture; the others change nothing."""


def picture(recording: Recording) -> dict[str, Any]:
    """Everything that the page shows."""
    seen = Picture()
    seen.read(recording.moments)
    last = recording.moments[-1].time if recording.moments else 0.0
    until = max(recording.seconds, last)
    trace = list(lines(recording.moments))
    shown = trace if len(trace) <= TRACE_LINES_MAX else _around(trace, recording)
    return {
        "scenario": [*facts(recording.scenario), *([["planted bug", recording.bug]] if recording.bug else [])],
        "seed": recording.scenario.seed,
        "command": command(recording.scenario.seed, recording.given),
        "pasted": recording.scenario.pasted(),
        "error": _short(recording.error),
        "steps": recording.steps,
        **seen.as_plain(until),
        "trace": [[round(line.time, 6), line.who, line.body, line.tone] for line in shown],
        "trace_cut": len(trace) - len(shown),
        "legend": legend(shown),
    }


def facts(scenario: Scenario) -> list[list[str]]:
    """What distinguishes a scenario, as names and values."""
    options = {**scenario.options, **scenario.settings}
    return [
        ["protocol", scenario.protocol + (", static members" if scenario.static else "")],
        ["scheduler", f"pct, depth {scenario.depth}" if scenario.scheduler == "pct" else scenario.scheduler],
        ["members", str(scenario.members)],
        ["partitions", str(scenario.partitions)],
        ["records", f"{scenario.records}, {scenario.keys} key{'s' if scenario.keys != 1 else ''}"],
        ["faults", f"{len(scenario.faults)} kinds for {scenario.fault_seconds:g} s" if scenario.faults else "none"],
        ["Kafka", scenario.version],
        ["options", ", ".join(f"{name}={value}" for name, value in options.items()) or "defaults"],
    ]


def stack(bars: list[dict[str, Any]]) -> int:
    """Give each bar the lowest track that is free when it begins; how many there are."""
    free: list[float] = []
    for bar in bars:
        until = bar["from"] if bar["to"] is None else bar["to"]
        track = next((number for number, end in enumerate(free) if end <= bar["from"]), len(free))
        if track == len(free) and track < TRACKS_MAX:
            free.append(until)
        else:
            track = min(track, TRACKS_MAX - 1)
            free[track] = max(free[track], until)
        bar["track"] = track
    return max(len(free), 1)


def _places(text: str) -> list[list[Any]]:
    """Partitions and offsets that a text names."""
    return [[one[1], None if one[2] is None else int(one[2])] for one in _PLACE.finditer(text)]


def _around(trace: list[Line], recording: Recording) -> list[Line]:
    """The part of a long trace that leads to the first violation, or its end."""
    first = next((index for index, line in enumerate(trace) if line.tone == "violation"), len(trace) - 1)
    begin = max(0, min(first - TRACE_LINES_MAX * 3 // 4, len(trace) - TRACE_LINES_MAX))
    return trace[begin : begin + TRACE_LINES_MAX]


def _short(text: str) -> str:
    return text if len(text) <= TEXT_CHARACTERS_MAX else text[: TEXT_CHARACTERS_MAX - 1] + "…"


def _by_member(process: str) -> tuple[int, str, int]:
    """``m10.2`` after ``m9.1``."""
    member, _, life = process.partition(".")
    return (len(member), member, int(life) if life.isdecimal() else 0)
