"""``trio-consumer offsets``: what the broker holds for a group, offset maps decoded.

Reads only, and does not join the group. Metadata that is not an offset map of ours is shown as what it is: its offset
counts, its text means nothing here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..client.group_offsets import CommittedState
from ..core import offset_map
from ..record import Partition
from . import picture

_STRIP_WIDTH_MIN, _STRIP_WIDTH_MAX = 16, 48
_INDISPENSABLE = ("partition", "committed", "lag")
"""The columns that also a narrow terminal shows beside the picture."""


@attrs.frozen(kw_only=True)
class Row:
    """One partition, decoded.

    Args:
        partition: Which.
        state: What the broker said.
        complete: Stretches of completed offsets above the committed one, in order.
        refused: Why the commit metadata is no offset map that counts, although there is some; else ``None``.
    """

    partition: Partition
    state: CommittedState
    complete: Sequence[range] = ()
    refused: offset_map.UnreadableMap | None = None

    @property
    def lag(self) -> int | None:
        """Records between the committed offset and the log end; all of them if nothing was committed."""
        if self.state.error is not None:
            return None
        committed = self.state.start if self.state.committed is None else self.state.committed
        return max(self.state.end - committed, 0)

    @property
    def completed_ahead(self) -> int:
        return sum(map(len, self.complete))

    @property
    def blocking(self) -> int | None:
        """The offset that holds the committed one back, as far as an offset map shows it."""
        if self.state.committed is None or not self.complete:
            return None
        return picture.first_incomplete(self.state.committed, self.complete)

    @property
    def gaps(self) -> int:
        """Stretches of incomplete offsets below the highest completed one."""
        return len(self.complete) - bool(self.complete and self.complete[0].start == self.state.committed)

    @property
    def note(self) -> str | None:
        """What a reader should know besides the numbers."""
        if self.state.error is not None:
            return self.state.error
        if self.refused is not None:
            return f"{self.refused}; everything from the committed offset on would be handled again"
        return None


def decode(partition: Partition, state: CommittedState) -> Row:
    """Read the offset map of one partition's commit."""
    if state.committed is None or state.metadata == "":
        return Row(partition=partition, state=state)
    if state.metadata is None:
        not_text = offset_map.UnreadableMap("foreign", "its bytes are no text")
        return Row(partition=partition, state=state, refused=not_text)
    try:
        complete = offset_map.decode(state.metadata, state.committed)
    except offset_map.UnreadableMap as error:
        return Row(partition=partition, state=state, refused=error)
    return Row(partition=partition, state=state, complete=[range(*stretch) for stretch in complete])


def decode_all(states: Mapping[Partition, CommittedState]) -> list[Row]:
    """One row for each partition, by topic and number."""
    return [decode(partition, states[partition]) for partition in sorted(states)]


def as_json(group: str, rows: Sequence[Row]) -> str:
    """The rows as one JSON object; unknown numbers are null."""
    return json.dumps({"group": group, "lag": _total(rows), "partitions": [_as_object(row) for row in rows]})


def _as_object(row: Row) -> dict[str, Any]:
    kind: str
    if row.state.error is not None:
        kind = "unreadable"
    elif row.refused is not None:
        kind = row.refused.kind
    else:
        kind = "ours" if row.complete else "none"
    return {
        "topic": row.partition.topic,
        "partition": row.partition.number,
        "log_start": row.state.start,
        "committed": row.state.committed,
        "log_end": row.state.end,
        "lag": row.lag,
        "offset_map": kind,
        "complete": [[stretch.start, stretch.stop] for stretch in row.complete],
        "completed_ahead": row.completed_ahead,
        "gaps": row.gaps,
        "blocking": row.blocking,
        "note": row.note,
    }


def as_table(group: str, rows: Sequence[Row], width: int) -> RenderableType:
    """The rows for a terminal of that width: numbers, a picture of each partition, a legend and notes."""
    if not rows:
        return Text(f"Group {group} has no committed offsets. (--topic shows the partitions of a topic nevertheless.)")
    columns = _columns(rows)
    room = width - _width(columns)
    while room < _STRIP_WIDTH_MIN and len(columns) > len(_INDISPENSABLE):
        columns.pop(next(heading for heading in reversed(columns) if heading not in _INDISPENSABLE))
        room = width - _width(columns)
    drawn = [
        picture.cells(row.state.committed, row.complete, row.state.start, row.state.end, _strip_width(room))
        for row in rows
    ]
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1))
    for heading in columns:
        table.add_column(heading, justify="left" if heading == "partition" else "right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for number, (row, one) in enumerate(zip(rows, drawn, strict=True)):
        shown = Text("?", "red") if row.state.error else picture.strip(one.cells)
        if one.scale > 1:
            shown.append(f"  1:{one.scale:,}", "dim")
        table.add_row(*(column[number] for column in columns.values()), shown)
    title = Text.assemble(("group ", "dim"), (group, "bold"), (f"   {_partitions(rows)}   lag ", "dim"))
    parts: list[RenderableType] = [title.append(_count(_total(rows)), "bold"), Text(), table]
    kinds = {cell for one in drawn for cell in one.cells}
    if kinds:
        parts += [Text(), picture.legend(kind for kind in picture.Cell if kind in kinds)]
    parts += [Text(f"{row.partition}: {note}", "yellow") for row in rows if (note := row.note)]
    return Group(*parts)


def _columns(rows: Sequence[Row]) -> dict[str, list[str]]:
    return {
        "partition": [str(row.partition) for row in rows],
        "committed": [_count(row.state.committed, "none") for row in rows],
        "lag": [_count(row.lag) for row in rows],
        "log end": [_count(row.state.end) for row in rows],
        "done ahead": [_count(row.completed_ahead) if row.complete else "" for row in rows],
        "gaps": [_count(row.gaps) if row.complete else "" for row in rows],
    }


def _width(columns: Mapping[str, Sequence[str]]) -> int:
    """What the columns take, the scale beside the picture included."""
    return sum(max(map(len, (heading, *values))) + 2 for heading, values in columns.items()) + 2 + len("  1:999,999")


def _strip_width(room: int) -> int:
    return min(max(room, _STRIP_WIDTH_MIN), _STRIP_WIDTH_MAX)


def _total(rows: Sequence[Row]) -> int:
    return sum(row.lag or 0 for row in rows)


def _partitions(rows: Sequence[Row]) -> str:
    return "1 partition" if len(rows) == 1 else f"{len(rows)} partitions"


def _count(number: int | None, unknown: str = "?") -> str:
    return unknown if number is None else f"{number:,}"
