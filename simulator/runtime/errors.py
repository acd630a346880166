"""What ends a world before its time. Each says what to look at, since a world that merely stops tells nothing."""

from __future__ import annotations

from trio_consumer import TrioConsumerError


class WorldError(TrioConsumerError):
    """Base: this world could not be lived to its end."""


class NotDeterministic(WorldError):
    """Code in a world used what a seed does not decide: a thread, a socket, the real clock, the system's randomness.

    Attributes:
        call: What was called, for instance ``time.monotonic``.
    """

    def __init__(self, call: str, remedy: str) -> None:
        super().__init__(f"{call}() was called in a world, and would differ from run to run: {remedy}")
        self.call = call


class HotLoop(WorldError):
    """Tasks ran more steps than a world may take; usually some of them never wait.

    Attributes:
        tasks: Names of the tasks that took the last steps, the busiest first.
    """

    def __init__(self, steps: int, busiest: list[tuple[str, int]], last: int, waits: str) -> None:
        shares = "\n".join(f"  {count:6} {name}" for name, count in busiest)
        super().__init__(
            f"the world took {steps} steps, which is its limit (steps_max). "
            f"The last {last} were taken by\n{shares}\n{waits}"
        )
        self.tasks = tuple(name for name, _ in busiest)


class Stuck(WorldError):
    """No task can run, and nothing is due that could change it."""

    def __init__(self, now: float, waits: str) -> None:
        super().__init__(f"the world is stuck at {now:.3f} s: no task can run and no timer is set.\n{waits}")


class TimeLimitReached(WorldError):
    """More virtual seconds passed than a world may last."""

    def __init__(self, seconds_max: float, waits: str) -> None:
        super().__init__(f"the world lasted more than {seconds_max:g} virtual seconds (seconds_max).\n{waits}")


class Undying(WorldError):
    """Tasks of a killed process go on for ever."""

    def __init__(self, process: str, waits: str) -> None:
        super().__init__(
            f"process {process} was killed, and tasks of it go on: "
            f"they catch trio.Cancelled and do not raise it again.\n{waits}"
        )


class Broken(WorldError):
    """The simulator itself failed, or what it calls outside of tasks: an oracle, a timer. The cause says where."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(f"the world broke outside of its tasks: {type(cause).__name__}: {cause}")
        self.__cause__ = cause
