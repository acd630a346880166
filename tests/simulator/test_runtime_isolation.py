"""What code in a world must not call: that it is told so at the place of the call, and that all is restored after."""

from __future__ import annotations

import datetime
import gc
import logging
import os
import random
import secrets
import socket
import subprocess
import sys
import threading
import time
import uuid
import weakref
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime as moment
from time import monotonic

import pytest
import trio

from simulator.runtime.clock import VirtualClock
from simulator.runtime.errors import NotDeterministic
from simulator.runtime.isolation import collected
from simulator.runtime.run import run
from simulator.runtime.schedulers import Fifo

FORBIDDEN: dict[str, tuple[Callable[[], object], str]] = {
    "time.time": (lambda: time.time(), "trio.current_time"),
    "time.monotonic": (lambda: time.monotonic(), "trio.current_time"),
    "time.perf_counter": (lambda: time.perf_counter(), "trio.current_time"),
    "imported by name": (lambda: monotonic(), "trio.current_time"),
    "time.sleep": (lambda: time.sleep(0), "trio.sleep"),
    "datetime.now": (lambda: datetime.datetime.now(tz=datetime.UTC), "trio.current_time"),
    "datetime imported by name": (lambda: moment.now(tz=datetime.UTC), "trio.current_time"),
    "date.today": (lambda: datetime.date.today(), "trio.current_time"),
    "thread": (lambda: threading.Thread(target=print).start(), "one thread"),
    "socket": (lambda: socket.socket(), "no network"),
    "getaddrinfo": (lambda: socket.getaddrinfo("localhost", 80), "no network"),
    "subprocess": (lambda: subprocess.run([sys.executable, "-V"], check=False), "starts no programs"),
    "os.urandom": (lambda: os.urandom(1), "seed"),
    "uuid4": (lambda: uuid.uuid4(), "seed"),
    "secrets": (lambda: secrets.token_hex(), "seed"),
    "random.Random without a seed": (lambda: random.Random(), "seed"),
    "random.SystemRandom": (lambda: random.SystemRandom().random(), "seed"),
}


def in_world(act: Callable[[], object]) -> object:
    async def main() -> object:
        return act()

    return run(main, clock=VirtualClock(), scheduler=Fifo())


@pytest.mark.parametrize("what", FORBIDDEN)
def test_it_is_forbidden_in_a_world(what: str) -> None:
    call, remedy = FORBIDDEN[what]
    with pytest.raises(NotDeterministic, match=remedy) as caught:
        in_world(call)
    assert caught.traceback[-1].name in ("forbidden", "run")
    assert any(str(entry.path) == __file__ for entry in caught.traceback[1:])


@pytest.mark.parametrize("what", [what for what in FORBIDDEN if what != "thread"])
def test_and_allowed_after_it(what: str) -> None:
    call, _ = FORBIDDEN[what]
    in_world(lambda: None)
    result = call()
    if isinstance(result, socket.socket):
        result.close()


def test_threads_of_trios_too() -> None:
    async def main() -> None:
        await trio.to_thread.run_sync(print)

    with pytest.raises(NotDeterministic, match=r"trio\.to_thread\.run_sync"):
        run(main, clock=VirtualClock(), scheduler=Fifo())


def test_a_handler_that_swallows_it_does_not_save_the_world() -> None:
    async def main() -> None:
        with suppress(Exception):  # as a consumer does with what a handler raises
            time.time()
        await trio.sleep(1)

    with pytest.raises(NotDeterministic, match=r"time\.time"):
        run(main, clock=VirtualClock(), scheduler=Fifo())


def test_logging_works(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    before = time.time()
    in_world(lambda: logging.getLogger("of.a.handler").info("handled %d", 7))
    (entry,) = caplog.records
    assert entry.getMessage() == "handled 7"
    assert entry.created >= before


def test_code_outside_of_tasks_and_other_threads_do_not_notice() -> None:
    clock = VirtualClock()
    read: list[float] = []
    go, gone = threading.Event(), threading.Event()

    def elsewhere() -> None:
        go.wait(10)
        read.append(time.monotonic())
        gone.set()

    thread = threading.Thread(target=elsewhere)
    thread.start()

    async def main() -> None:
        clock.after(1, lambda: read.append(time.monotonic()))
        await trio.sleep(2)
        go.set()
        gone.wait(10)

    run(main, clock=clock, scheduler=Fifo())
    thread.join()
    assert len(read) == 2


def test_real_dates_are_made_and_recognised() -> None:
    def made() -> object:
        value = moment(2026, 1, 2, 3, 4, tzinfo=datetime.UTC)
        assert isinstance(value, moment)
        assert isinstance(value, datetime.datetime)
        assert isinstance(value.date(), datetime.date)
        assert moment.fromtimestamp(0, datetime.UTC).year == 1970
        return value

    value = in_world(made)
    assert type(value) is datetime.datetime


def test_the_functions_of_random_are_seeded_by_the_world_and_restored_after_it() -> None:
    async def main() -> list[float]:
        return [random.random(), random.uniform(1, 2), float(random.randrange(1000))]

    random.seed(99)
    state = random.getstate()
    first = run(main, clock=VirtualClock(), scheduler=Fifo(), seed=1)
    assert random.getstate() == state
    assert run(main, clock=VirtualClock(), scheduler=Fifo(), seed=1) == first
    assert run(main, clock=VirtualClock(), scheduler=Fifo(), seed=2) != first


def test_seeded_generators_work() -> None:
    assert in_world(lambda: random.Random(3).random()) == random.Random(3).random()


def test_the_collector_is_off_in_a_world_and_as_before_after_it() -> None:
    assert in_world(gc.isenabled) is False
    assert gc.isenabled()
    gc.disable()
    try:
        in_world(lambda: None)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_garbage_is_collected_once_when_the_outermost_ends() -> None:
    class Cycle:
        def __init__(self) -> None:
            self.itself = self

    gone: list[str] = []
    with collected():
        weakref.finalize(Cycle(), gone.append, "cycle")
        in_world(lambda: None)
        assert gone == []
    assert gone == ["cycle"]
    assert gc.isenabled()


def test_it_can_be_left_alone() -> None:
    async def main() -> float:
        return time.monotonic()

    assert run(main, clock=VirtualClock(), scheduler=Fifo(), isolate=False) > 0


def test_it_costs_little() -> None:
    """Per world, by counting what is replaced: each replacement costs well under a microsecond."""
    before = time.monotonic
    seen: list[object] = []

    async def main() -> None:
        seen.append(time.monotonic)

    run(main, clock=VirtualClock(), scheduler=Fifo())
    assert seen != [before]
    assert time.monotonic is before
