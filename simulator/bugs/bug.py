"""A planted bug: one wrong decision, and the oracle that must notice it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import attrs

from .edits import Edit, applied


@attrs.frozen(kw_only=True)
class Bug:
    """See the module.

    Args:
        name: Of one bug only.
        says: What the wrong code does, in one sentence.
        oracle: The one that must catch it.
        also: Others that may come first, because the same mistake breaks their promise as well.
        edits: What plants it.
        source: Where it was published, if it is another project's; else ``""``.
        given: Fields of `simulator.world.scenario.Scenario` without which it can't show.
        lie: True if it is the broker's, not the consumer's.
    """

    name: str
    says: str
    oracle: str
    also: tuple[str, ...] = ()
    edits: tuple[Edit, ...]
    source: str = ""
    given: Mapping[str, Any] = attrs.field(factory=dict)
    lie: bool = False

    @property
    def accepted(self) -> frozenset[str]:
        """The names of all oracles that may catch it."""
        return frozenset((self.oracle, *self.also))

    def planted(self) -> AbstractContextManager[None]:
        """Inside of the block the code has the bug.

        Raises:
            EditDoesNotApply: The code is no longer what the bug was written for.
        """
        return applied(self.edits)
