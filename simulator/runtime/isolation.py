"""What code in a world must not call, since a seed does not decide it: threads, sockets, the real clock, the system's
randomness.

Names are replaced while a world runs and put back after it, which takes some microseconds; code that is no task of a
world (tests, logging, other threads, Hypothesis) does not notice. What a module took by ``from time import monotonic``
is replaced there, too. The functions of the module `random` work, from a seed of the world's.

Not seen: what C code calls by itself, names that were hidden in closures or default arguments, files.
"""

from __future__ import annotations

import datetime
import gc
import os
import random
import secrets
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, ModuleType
from typing import Any

import trio

from .errors import NotDeterministic

Report = Callable[[NotDeterministic], object]

CLOCK = "use trio.current_time(), or a clock that you pass in"
SLEEP = "use trio.sleep()"
THREAD = "a world is one thread; do it in the task, or await trio.sleep() in its place"
NETWORK = "a world has no network; give the handler a stand-in, for instance simulator.Database"
CHANCE = "use random.Random with a seed of your own"
PROGRAM = "a world starts no programs; give the handler a stand-in"

# Holder, name, as people call it, remedy. The holders are modules and classes.
FORBIDDEN: tuple[tuple[Any, str, str, str], ...] = (
    *((time, name, f"time.{name}", CLOCK) for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter",
                                                       "perf_counter_ns", "process_time", "thread_time")),
    (time, "sleep", "time.sleep", SLEEP),
    (threading.Thread, "start", "threading.Thread.start", THREAD),
    (trio.to_thread, "run_sync", "trio.to_thread.run_sync", THREAD),
    (socket.socket, "__init__", "socket.socket", NETWORK),
    (socket, "getaddrinfo", "socket.getaddrinfo", NETWORK),
    (subprocess.Popen, "__init__", "subprocess.Popen", PROGRAM),
    (os, "urandom", "os.urandom", CHANCE),
    (uuid, "uuid1", "uuid.uuid1", CHANCE),
    (uuid, "uuid4", "uuid.uuid4", CHANCE),
    (random.SystemRandom, "random", "random.SystemRandom.random", CHANCE),
    (random.SystemRandom, "getrandbits", "random.SystemRandom.getrandbits", CHANCE),
    *((secrets, name, f"secrets.{name}", CHANCE) for name in ("token_bytes", "token_hex", "token_urlsafe", "choice",
                                                              "randbelow", "randbits")),
)  # fmt: skip

TRUSTED = frozenset({
    "_pytest", "_thread", "attr", "asyncio", "confluent_kafka", "coverage", "faulthandler", "gc", "hypothesis",
    "importlib", "logging", "pluggy", "pytest", "pytest_trio", "rich", "simulator", "sortedcontainers", "threading",
    "traceback", "trio", "warnings",
})  # fmt: skip
"""Packages that may call these in a world: what they do with it does not reach what the world decides."""

TOOLS = frozenset({"_pytest", "coverage", "hypothesis", "importlib", "logging", "traceback", "warnings"})
"""Packages that may also have others call these."""
TRIO_LOOP = "trio._core._run"

UNTOUCHED = TRUSTED | {
    "builtins", "datetime", "os", "posix", "random", "secrets", "socket", "subprocess", "sys", "time", "uuid",
}  # fmt: skip
"""Packages in which nothing is replaced that they took from others by name."""

COLLECT_FULLY_EVERY = 50
"""Worlds between two full collections; the young generations are collected after each."""


class _Guard:
    """The replacements, made once, and where they go."""

    def __init__(self) -> None:
        self.report: Report | None = None
        self._targets: list[tuple[Any, str, Any, Any]] = []
        self._substitutes: dict[int, Any] = {}
        self._modules = 0
        for holder, name, call, remedy in FORBIDDEN:
            original = getattr(holder, name)
            self._target(holder, name, original, self._forbid(original, call, remedy))
        self._target(random.Random, "seed", random.Random.seed, self._seeding(random.Random.seed))
        self._target(datetime, "datetime", datetime.datetime, _moments(datetime.datetime, self._forbid))
        self._target(datetime, "date", datetime.date, _days(datetime.date, self._forbid))
        self._fixed = len(self._targets)

    def install(self) -> None:
        if len(sys.modules) != self._modules:
            self._scan()
        for holder, name, _, substitute in self._targets:
            setattr(holder, name, substitute)

    def remove(self) -> None:
        for holder, name, original, _ in self._targets:
            setattr(holder, name, original)

    def _target(self, holder: Any, name: str, original: Any, substitute: Any) -> None:
        self._targets.append((holder, name, original, substitute))
        if isinstance(holder, ModuleType):
            self._substitutes[id(original)] = substitute

    def _scan(self) -> None:
        """Find what modules took from others by ``from ... import``."""
        self._modules = len(sys.modules)
        del self._targets[self._fixed :]
        substitutes = self._substitutes
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] in UNTOUCHED or type(module) is not ModuleType:
                continue
            for key, value in list(vars(module).items()):
                substitute = substitutes.get(id(value))
                if substitute is not None:
                    self._targets.append((module, key, value, substitute))

    def _forbid(self, original: Callable[..., Any], call: str, remedy: str, depth: int = 1) -> Callable[..., Any]:
        """The replacement. ``depth`` frames above it is who calls."""
        in_task, frame = trio.lowlevel.in_trio_task, sys._getframe

        def forbidden(*arguments: Any, **named: Any) -> Any:
            if self.report is None or not in_task():
                return original(*arguments, **named)
            if _trusted(frame(depth)):
                return original(*arguments, **named)
            error = NotDeterministic(call, remedy)
            self.report(error)
            raise error

        return forbidden

    def _seeding(self, original: Callable[..., Any]) -> Callable[..., Any]:
        from_system = self._forbid(original, "random.Random", "give it a seed", depth=2)

        def seed(generator: random.Random, a: Any = None, version: int = 2) -> None:
            if a is None:
                from_system(generator)
            else:
                original(generator, a, version)

        return seed


def _trusted(frame: FrameType | None) -> bool:
    """Whether a trusted package calls, or a tool that was called in the task has it called."""
    if frame is not None and _package(frame) in TRUSTED:
        return True
    while frame is not None and frame.f_globals.get("__name__") != TRIO_LOOP:
        if _package(frame) in TOOLS:
            return True
        frame = frame.f_back
    return False


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__")).partition(".")[0]


def _moments(real: Any, forbid: Callable[..., Any]) -> Any:
    """`datetime.datetime` whose class methods that ask the clock are forbidden; it makes real ones."""
    return _lookalike(real, forbid, ("now", "utcnow", "today"))


def _days(real: Any, forbid: Callable[..., Any]) -> Any:
    return _lookalike(real, forbid, ("today",))


def _lookalike(real: Any, forbid: Callable[..., Any], names: tuple[str, ...]) -> Any:
    class Meta(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, real)

        def __subclasscheck__(cls, other: type) -> bool:
            return issubclass(other, real)

        def __getattr__(cls, name: str) -> Any:
            return getattr(real, name)

        def __call__(cls, *arguments: Any, **named: Any) -> Any:
            return real(*arguments, **named)

    body = {name: staticmethod(forbid(getattr(real, name), f"{real.__name__}.{name}", CLOCK)) for name in names}
    return Meta(real.__name__, (), body)


_guard: _Guard | None = None
_worlds = 0
_collecting_later = False


@contextmanager
def collected() -> Iterator[None]:
    """Garbage is collected when this ends, and not before: a world is one heap of cycles, and no older than itself.

    Whoever holds a world opens this around all that does, so that what is collected is not looked at a second time.
    """
    global _worlds, _collecting_later
    if _collecting_later:
        yield
        return
    if not _worlds:
        gc.collect()
        # What exists by now is not looked at again, so that a collection costs what a world has left over.
        gc.freeze()
    _worlds += 1
    collecting = gc.isenabled()
    gc.disable()
    _collecting_later = True
    try:
        yield
    finally:
        _collecting_later = False
        gc.collect(1 if _worlds % COLLECT_FULLY_EVERY else 2)
        if collecting:
            gc.enable()


@contextmanager
def isolated(report: Report, *, seed: int = 0) -> Iterator[None]:
    """Forbid it all in the tasks of the world that runs within this context.

    Args:
        report: Is told of each call, since a consumer takes the exception for a failure of the handler.
        seed: For the functions of the module `random`.
    """
    global _guard
    if _guard is None:
        _guard = _Guard()
    guard = _guard
    state = random.getstate()
    random.seed(seed)
    guard.report = report
    guard.install()
    try:
        with collected():
            yield
    finally:
        guard.remove()
        guard.report = None
        random.setstate(state)
