"""All planted bugs, by name."""

from __future__ import annotations

from collections.abc import Mapping

from . import bounds, commits, fence, group_lies, lanes, ledger, lies, retries, shell
from .bug import Bug

BUGS: Mapping[str, Bug] = {
    bug.name: bug
    for module in (ledger, commits, fence, lanes, retries, bounds, shell, lies, group_lies)
    for bug in module.BUGS
}
"""Of the consumer first, then of the broker."""
