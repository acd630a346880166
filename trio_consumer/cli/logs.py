"""Where the logs of ``trio-consumer run`` go: to the standard error, for people on a terminal and plain elsewhere.

The client says the same thing several times a second while a broker is away. Such a line passes once in a while, with
the number of those that were left out.
"""

from __future__ import annotations

import logging
import re
import sys

from rich.console import Console
from rich.logging import RichHandler

REPEAT_SECONDS = 10.0
REPEATS_REMEMBERED_MAX = 1000

_CLIENT = "trio_consumer.client"
_DURATION = re.compile(r"\d+ms")


class Repeats(logging.Filter):
    """Holds back what the client said a moment ago. It goes by the records' own time."""

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(_CLIENT):
            return True
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


def to_stderr(level: str) -> None:
    """Send the logs of this process, from that level on, to the standard error."""
    console = Console(stderr=True)
    handler: logging.Handler
    if console.is_terminal:
        handler = RichHandler(console=console, show_path=False)
        form = "%(message)s"
    else:
        handler = logging.StreamHandler(sys.stderr)
        form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    handler.addFilter(Repeats())
    logging.basicConfig(level=level.upper(), handlers=[handler], format=form)
