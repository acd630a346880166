"""librdkafka says the same thing ten times a second while a broker is away: such a line passes once in a while.

With it goes the number of those that were left out. Nothing else of the library's logging repeats itself so.
"""

from __future__ import annotations

import logging
import re

REPEAT_SECONDS = 10.0
REPEATS_REMEMBERED_MAX = 1000

_DURATION = re.compile(r"\d+ms")


class Repeats(logging.Filter):
    """Holds back what was said a moment ago. It goes by the log records' own time."""

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        alike = _DURATION.sub("", text)
        if record.created < self._passed.get(alike, float("-inf")) + REPEAT_SECONDS:
            self._left_out[alike] = self._left_out.get(alike, 0) + 1
            return False
        if len(self._passed) >= REPEATS_REMEMBERED_MAX:
            self._passed.clear()
            self._left_out.clear()
        self._passed[alike] = record.created
        if left_out := self._left_out.pop(alike, 0):
            record.msg, record.args = "%s (and %d times before)", (text, left_out)
        return True
