"""Which faults fire, in one world: the enabled kinds, their rates, and the count of what fired."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping

from ..runtime.dice import Dice
from ..world.history import FaultFired, History
from .catalogue import KINDS


def _always(kind: str) -> bool:
    return True


class Faults:
    """See the module. After `heal` nothing fires any more.

    Args:
        enabled: Names of kinds.
        dice: Decides each time whether a point fault fires.
        history: Is told of each.
        scale: Factor on the rate of a kind; 1 where it says nothing.
        muted: Numbers of firings to leave out, so that shrinking can drop single ones.

    Attributes:
        fired: How often each kind fired.
        permits: Asked for each fault; where it says no, the fault does not happen.
    """

    def __init__(
        self,
        enabled: Collection[str],
        dice: Dice,
        history: History,
        *,
        scale: Mapping[str, float] | None = None,
        muted: Collection[int] = (),
    ) -> None:
        scale = scale or {}
        self.enabled = frozenset(enabled)
        self._rates = {name: KINDS[name].rate * scale.get(name, 1.0) for name in sorted(enabled) if KINDS[name].rate}
        self._dice = dice
        self._history = history
        self._muted = frozenset(muted)
        self._numbers = 0
        self.fired: Counter[str] = Counter()
        self.permits: Callable[[str], bool] = _always

    @property
    def active(self) -> bool:
        """False once the world heals."""
        return bool(self.enabled)

    def possible(self, kinds: Collection[str]) -> bool:
        """Whether one of these point faults may still happen."""
        return not self._rates.keys().isdisjoint(kinds)

    def fires(self, kind: str, target: str = "") -> bool:
        """True if this point fault happens here and now; then the caller must make it happen."""
        rate = self._rates.get(kind)
        return rate is not None and self._dice.chance(rate) and self.note(kind, target)

    def note(self, kind: str, target: str = "") -> bool:
        """A fault of this kind is about to happen; false if it is muted, and so must not."""
        number = self._numbers
        self._numbers += 1
        if number in self._muted or not self.permits(kind):
            return False
        self.fired[kind] += 1
        self._history.add(FaultFired(kind, number, target))
        return True

    def heal(self) -> None:
        """From now on nothing fires."""
        self.enabled = frozenset()
        self._rates = {}
