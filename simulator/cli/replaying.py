"""A recorded world against the same world run now: are they one and the same?"""

from __future__ import annotations

from ..runtime.digest import Divergence, first_divergence, trail
from ..tools.recording import Recording

__all__ = ["Divergence", "divergence"]


def divergence(recorded: Recording, now: Recording) -> Divergence | None:
    """Where the world of now first differs from the recorded one."""
    return first_divergence([*trail(recorded.moments), recorded.error], [*trail(now.moments), now.error])
