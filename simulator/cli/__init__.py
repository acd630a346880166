"""The command line: ``python -m simulator run``, ``fuzz``, ``shrink``, ``replay``, ``check-determinism``, and so on.

What it is made with comes with an extra, so the way in imports nothing of it before it knows that it is there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

_EXTRA = {"cyclopts", "rich"}
_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: Instead of those of the process.
    """
    try:
        from . import app
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRA:
            raise
        print(f"simulator needs {missing}: pip install 'trio-consumer[cli]'", file=sys.stderr)
        return _USAGE
    return app.main(arguments)
