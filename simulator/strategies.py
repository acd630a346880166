"""Hypothesis draws whole worlds: data, faults and the schedule shrink together.

    @settings(simulator.strategies.RELAXED, max_examples=200)
    @given(simulator.strategies.worlds(members=2))
    def test_my_handler(world):
        world.check(handle)

What is drawn while a world runs is drawn from the test case of the example, one choice after the other, so that leaving
out a choice is a step of shrinking. There is a limit; after it all is plain, and the world goes on.

Hypothesis ends an example by an exception out of a draw. It must not unwind through Trio's loop: it is kept, the world
goes on with plain draws to its end, and then it is raised.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from .tape import DrawnDice, Play
from .world.draw import draw as draw_scenario

DRAWS_MAX = 2000
"""Draws of one world; Hypothesis gives up an example after about 8,000 bytes."""
RECORDS_MAX = 30
FAULT_SECONDS = 4.0

RELAXED = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
"""For ``@settings(RELAXED, ...)``: a world takes longer, and draws more, than Hypothesis expects of an example."""


class HypothesisSource:
    """Draws from the test case of an example."""

    def __init__(self, data: Any) -> None:
        # `st.data` is public, what it holds is not; drawing by strategies would print each of a thousand draws.
        self._case = data.conjecture_data
        self._left = DRAWS_MAX
        self._stopped: BaseException | None = None

    def whole(self, purpose: str, high: int) -> int:
        return int(self._draw("draw_integer", 0, high))

    def truth(self, purpose: str, probability: float) -> bool:
        return probability > 0 and (probability >= 1 or bool(self._draw("draw_boolean", probability)))

    def finish(self) -> None:
        """The world has ended: raise what a draw raised."""
        if self._stopped is not None:
            raise self._stopped

    def _draw(self, how: str, *arguments: Any) -> Any:
        if self._stopped is not None or self._left == 0:
            return 0
        self._left -= 1
        try:
            return getattr(self._case, how)(*arguments)
        except BaseException as stop:  # noqa: ASYNC103  StopTest is none of our business, and must not be lost
            self._stopped = stop
            return 0  # noqa: ASYNC104


@st.composite
def _worlds(draw: DrawFn, given: dict[str, Any]) -> Play:
    fixed = {name: draw(value) if isinstance(value, SearchStrategy) else value for name, value in given.items()}
    source = HypothesisSource(draw(st.data()))
    scenario = draw_scenario(0, dice=DrawnDice(source), **fixed)
    source.finish()
    play = Play(scenario, source=source)

    def after() -> None:
        source.finish()
        note(f"The world:\n{play.pasted()}")

    play.after = after
    return play


def worlds(**given: Any) -> SearchStrategy[Play]:
    """Worlds to `Play.check` or `Play.run`.

    Args:
        given: Fields of `Scenario`, each a value or a strategy; the rest is drawn.
    """
    defaults = {"records": st.integers(1, RECORDS_MAX), "fault_seconds": FAULT_SECONDS}
    return _worlds({**defaults, **given})
