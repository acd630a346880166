"""Tables of text, for a terminal (aligned) and for a page (Markdown)."""

from __future__ import annotations

from collections.abc import Sequence

import attrs


@attrs.frozen(kw_only=True)
class Table:
    """Cells of text. Columns that are empty but for their head are left out.

    Args:
        head: Of each column.
        rows: As many cells each.
        words: How many columns at the end hold words, like the first one; those between them are aligned to the right.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1

    def text(self) -> list[str]:
        """Aligned lines."""
        rows = self._kept()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        left = self._left(len(widths))
        return [
            "  ".join(
                cell.ljust(width) if is_left else cell.rjust(width)
                for cell, width, is_left in zip(row, widths, left, strict=True)
            ).rstrip()
            for row in rows
        ]

    def markdown(self) -> list[str]:
        """Lines of a Markdown table."""
        head, *rows = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in self._kept()]
        rule = "|" + "|".join("---" if is_left else "---:" for is_left in self._left(len(self._kept()[0]))) + "|"
        return [head, rule, *rows]

    def _kept(self) -> list[list[str]]:
        kept = [index for index in range(len(self.head)) if not index or any(row[index] for row in self.rows)]
        return [[row[index] for index in kept] for row in (self.head, *self.rows)]

    def _left(self, count: int) -> list[bool]:
        words = sum(
            any(row[index] for row in self.rows) for index in range(len(self.head) - self.words, len(self.head))
        )
        return [index == 0 or index >= count - words for index in range(count)]
