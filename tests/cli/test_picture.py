"""The picture of a partition: what each cell says is true of the records that it stands for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_consumer.cli.picture import Cell, Picture, cells, first_incomplete, legend, strip

GLYPHS = {cell.glyph: cell for cell in Cell}


def draw(committed: int | None, complete: list[range], start: int, end: int, width: int = 10) -> str:
    return strip(cells(committed, complete, start, end, width).cells).plain


@pytest.mark.parametrize(
    ("committed", "complete", "start", "end", "picture"),
    [
        (None, [], 0, 0, ""),
        (None, [], 5, 5, ""),
        (None, [], 0, 100, "··········"),
        (0, [], 0, 100, "··········"),
        (50, [], 0, 100, "█████·····"),
        (100, [], 0, 100, "██████████"),
        (1, [], 0, 100, "█·········"),
        (99, [], 0, 100, "█████████·"),
        (3, [], 0, 5, "███··"),
        (1, [], 0, 1, "█"),
        (0, [range(2, 4)], 0, 4, "▌░██"),
        (10, [range(12, 14)], 0, 14, "█▌░██"),
        (10, [range(12, 14)], 0, 99, "█▌░██·"),
        (10, [range(10, 12), range(13, 14)], 10, 14, "██▌█"),
        (10, [range(10, 14)], 10, 20, "████·"),
        (0, [range(10, 20), range(25, 100)], 0, 100, "▌█▓███████"),
        (7, [], 20, 30, "··········"),  # retention has overtaken the group
        (40, [], 0, 30, "██████████"),  # the topic was made anew
    ],
)
def test_pictures(committed: int | None, complete: list[range], start: int, end: int, picture: str) -> None:
    assert draw(committed, complete, start, end) == picture


def test_the_scale_says_how_many_records_a_cell_stands_for() -> None:
    assert cells(None, [], 0, 95, 10).scale == 10
    assert cells(0, [range(95, 100)], 0, 100, 10).scale == 10
    assert cells(0, [range(2, 4)], 0, 4, 10).scale == 1


def test_a_map_that_reaches_far_is_drawn_at_once() -> None:
    assert len(cells(0, [range(2**61, 2**62)], 0, 2**62, 32).cells) == 32


@given(
    committed=st.integers(0, 200),
    done=st.sets(st.integers(0, 200)),
    width=st.integers(8, 60),
    end=st.integers(0, 500),
)
def test_each_cell_of_a_map_is_true(committed: int, done: set[int], width: int, end: int) -> None:
    complete = [range(n, n + 1) for n in sorted(done) if n >= committed]
    picture: Picture = cells(committed, complete, 0, end, width)
    assert len(picture.cells) <= width
    if not complete:
        return
    inside = list(picture.cells)[committed > 0 :]
    if inside[-1] is Cell.AHEAD:
        assert end > complete[-1].stop
        inside.pop()
    held = {n for stretch in complete for n in stretch}
    for index, cell in enumerate(inside):
        low = committed + index * picture.scale
        stands_for = range(low, min(low + picture.scale, complete[-1].stop))
        parts = {n in held for n in stands_for}
        match cell:
            case Cell.BLOCKING:
                assert min(n for n in range(committed, complete[-1].stop) if n not in held) in stands_for
            case Cell.DONE:
                assert parts == {True}
            case Cell.BETWEEN:
                assert parts == {False}
            case _:
                assert (cell, parts) == (Cell.PARTLY, {True, False})


def test_the_first_incomplete_offset_blocks() -> None:
    assert first_incomplete(5, []) == 5
    assert first_incomplete(5, [range(7, 9)]) == 5
    assert first_incomplete(5, [range(5, 9), range(11, 12)]) == 9
    assert first_incomplete(5, [range(5, 9), range(9, 12)]) == 12


def test_the_legend_names_each_kind() -> None:
    for cell in Cell:
        assert f"{cell.glyph} {cell.meaning}" in legend().plain
    assert len(GLYPHS) == len(Cell)
