"""Run an asynchronous function in a world: virtual time, a scheduler, limits, and nothing from outside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeVar

from .clock import VirtualClock
from .isolation import isolated
from .schedulers import Scheduler
from .steps import Steps
from .trio_internals import Loop

T = TypeVar("T")

STEPS_MAX = 200_000
SECONDS_MAX = 3600.0


def run(
    main: Callable[[], Awaitable[T]],
    *,
    clock: VirtualClock,
    scheduler: Scheduler,
    steps_max: int = STEPS_MAX,
    seconds_max: float = SECONDS_MAX,
    steps: Steps | None = None,
    seed: int = 0,
    isolate: bool = True,
) -> T:
    """As `trio.run`, in virtual time; what it returns or raises is that of ``main``.

    Args:
        main: Is awaited.
        clock: Its timers are part of the world.
        scheduler: Which task runs next.
        steps_max: Steps of tasks that the world may take.
        seconds_max: Virtual seconds that it may last.
        steps: Counts the steps, and records them if it says so.
        seed: For the functions of the module `random`.
        isolate: False leaves threads, clocks and so on alone.

    Raises:
        HotLoop: More steps than that; tasks that never wait are named.
        TimeLimitReached: More seconds than that.
        Stuck: Nothing can happen any more.
        NotDeterministic: Something was called that a seed does not decide.
    """
    steps = Steps() if steps is None else steps
    loop = Loop(clock, scheduler, steps=steps, steps_max=steps_max, seconds_max=seconds_max)
    with isolated(loop.end, seed=seed) if isolate else nullcontext():
        return loop.run(main)


class Stepped:
    """A world that goes on only when told to, for tests that decide from outside what happens next.

    Args:
        loop: Is not running yet.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    @property
    def ended(self) -> bool:
        return self._loop.ended

    def advance(self, seconds: float) -> None:
        """Let so many virtual seconds pass, and all that happens in them."""
        clock = self._loop.clock
        for wait in (seconds, 0):
            # The second time round: until everything has happened that this instant brought.
            reached: list[bool] = []
            timer = clock.after(wait, reached.append, True)
            self._loop.go_on(reached.__len__)
            timer.cancel()

    def finish(self) -> object:
        """Let the world go on to its end. Returns or raises what ``main`` does."""
        self._loop.go_on()
        return self._loop.result()


@contextmanager
def stepped(
    main: Callable[[], Awaitable[object]],
    *,
    clock: VirtualClock,
    scheduler: Scheduler,
    steps_max: int = STEPS_MAX,
    seconds_max: float = SECONDS_MAX,
    seed: int = 0,
) -> Iterator[Stepped]:
    """As `run`, but step by step. A world that has not ended when the context does is ended."""
    loop = Loop(clock, scheduler, steps=Steps(), steps_max=steps_max, seconds_max=seconds_max)
    with isolated(loop.end, seed=seed), loop.running(main):
        yield Stepped(loop)
