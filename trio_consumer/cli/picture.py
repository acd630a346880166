"""A partition as a strip of characters: what is done, what is in between, what blocks, what was not reached.

`cells` decides, on plain numbers; `strip` and `legend` give each kind of cell its glyph and colour. The glyphs differ,
so that the picture can be read without colour.

With an offset map the strip is a magnifying glass over it: it reaches from the committed offset to the highest
completed one, with a cell on either side for the rest of the log. Without one it is the whole log. A cell stands for
`Picture.scale` records; one that holds both complete and incomplete ones is partly done.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence

import attrs
from rich.text import Text


class Cell(enum.Enum):
    """A kind of cell: glyph, style and meaning."""

    DONE = "█", "green", "done"
    PARTLY = "▓", "yellow", "partly done"
    BETWEEN = "░", "yellow", "in between, not done"
    BLOCKING = "▌", "bold red", "blocking"
    AHEAD = "·", "bright_black", "not reached"

    def __init__(self, glyph: str, style: str, meaning: str) -> None:
        self.glyph, self.style, self.meaning = glyph, style, meaning


@attrs.frozen
class Picture:
    """The cells from left to right, and how many records one of them stands for."""

    cells: Sequence[Cell]
    scale: int


def cells(committed: int | None, complete: Sequence[range], start: int, end: int, width: int) -> Picture:
    """Draw one partition.

    Args:
        committed: The committed offset; ``None`` if there is none.
        complete: The offset map: stretches of completed offsets above it, in order.
        start: The first offset of the log.
        end: The log end offset.
        width: How many cells, at most; at least 8.
    """
    if committed is not None and complete:
        return _map(committed, complete, start, end, width)
    done = max((start if committed is None else committed) - start, 0)
    length = max(end - start, done)
    scale = max(-(-length // width), 1)
    count = -(-length // scale)
    filled = count if done == length else min(done // scale, count - 1)  # nothing looks done that is not
    if done and not filled and count > 1:
        filled = 1  # and whoever has begun sees it
    return Picture([Cell.DONE] * filled + [Cell.AHEAD] * (count - filled), scale)


def _map(committed: int, complete: Sequence[range], start: int, end: int, width: int) -> Picture:
    before, after = committed > start, complete[-1].stop < end
    room, length = width - before - after, complete[-1].stop - committed
    blocking = first_incomplete(committed, complete)
    scale = max(-(-length // room), 1)
    inside = []
    for low in range(committed, complete[-1].stop, scale):
        high = min(low + scale, complete[-1].stop)
        count = sum(max(min(stretch.stop, high) - max(stretch.start, low), 0) for stretch in complete)
        inside.append(Cell.DONE if count == high - low else Cell.PARTLY if count else Cell.BETWEEN)
    if blocking < complete[-1].stop:
        inside[(blocking - committed) // scale] = Cell.BLOCKING
    return Picture([Cell.DONE] * before + inside + [Cell.AHEAD] * after, scale)


def first_incomplete(committed: int, complete: Sequence[range]) -> int:
    """The lowest offset from the committed one on that is not complete: what blocks."""
    for stretch in complete:
        if stretch.start > committed:
            break
        committed = stretch.stop
    return committed


def strip(drawn: Iterable[Cell]) -> Text:
    """The cells as text for a terminal."""
    text = Text(no_wrap=True)
    for cell in drawn:
        text.append(cell.glyph, cell.style)
    return text


def legend(kinds: Iterable[Cell] = Cell) -> Text:
    """What the glyphs mean."""
    text = Text()
    for kind in kinds:
        text.append("   " if text else "").append(kind.glyph, kind.style).append(f" {kind.meaning}", "dim")
    return text.append("   1:n a cell is n records", "dim")
