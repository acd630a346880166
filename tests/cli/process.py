"""``trio-consumer`` as a process of its own, driven by what it prints: no test waits for time to pass."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

import trio_consumer

ROOT = Path(trio_consumer.__file__).parents[1]
SECONDS_MAX = 30.0
"""Deadline of every wait; it only fails a test."""


class Lines:
    """One of the process's outputs, line by line; all of it is kept."""

    def __init__(self, stream: trio.abc.ReceiveStream) -> None:
        self._stream = stream
        self._partial = b""
        self.seen: list[str] = []

    async def wait_for(self, text: str) -> str:
        """The next line that contains this."""
        with trio.fail_after(SECONDS_MAX):
            while (line := await self._next()) is not None:
                if text in line:
                    return line
        raise EOFError(f"{text!r} never came; the output was:\n{self.text}")

    async def to_end(self) -> None:
        with trio.fail_after(SECONDS_MAX):
            while await self._next() is not None:
                pass

    @property
    def text(self) -> str:
        return "\n".join(self.seen)

    async def _next(self) -> str | None:
        while b"\n" not in self._partial:
            chunk = await self._stream.receive_some()
            if not chunk:
                return None
            self._partial += chunk
        line, _, self._partial = self._partial.partition(b"\n")
        self.seen.append(line.decode())
        return self.seen[-1]


class Command:
    """A running ``trio-consumer``."""

    def __init__(self, process: trio.Process) -> None:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise RuntimeError("the process has no pipes")
        self._process = process
        self._input = process.stdin
        self.out, self.err = Lines(process.stdout), Lines(process.stderr)

    def send_signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def say(self, line: str) -> None:
        """Write a line to its standard input."""
        await self._input.send_all(line.encode() + b"\n")

    async def wait(self) -> int:
        """Its exit code."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.out.to_end)
            nursery.start_soon(self.err.to_end)
        with trio.fail_after(SECONDS_MAX):
            return await self._process.wait()


@asynccontextmanager
async def started(*arguments: str, directory: Path) -> AsyncIterator[Command]:
    """Start it in a directory; it is killed at the end of the block if it still runs."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "COLUMNS": "120"}
    run = functools.partial(
        trio.run_process,
        [sys.executable, "-m", "trio_consumer", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=directory,
        env=environment,
        check=False,
        deliver_cancel=_kill,
    )
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(run)
        try:
            yield Command(process)
        finally:
            nursery.cancel_scope.cancel()


async def _kill(process: trio.Process) -> None:
    process.kill()
    await process.wait()
