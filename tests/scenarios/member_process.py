"""A member in a process of its own, so that it can be killed and stopped: both ends of a pipe that carries the port.

``python -m tests.scenarios.member_process`` is the far end; `RemoteClient` is the near one, and looks like any other
client. What travels is pickled, with its length before it: it comes from our own process and goes to it.
"""

from __future__ import annotations

import pickle
import signal
import struct
import subprocess
import sys
from collections import deque
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from trio_consumer import ClientError, Partition, UnknownTopic, errors
from trio_consumer.client.confluent import connect
from trio_consumer.client.port import Client, Commit, Event, Failed, Revoked

ROOT = Path(__file__).parents[2]
LENGTH = struct.Struct(">i")


def _packed(error: Exception) -> tuple[Any, ...]:
    if isinstance(error, ClientError):
        return type(error).__name__, error.code, str(error), error.fatal
    return "InternalError", "", repr(error), True


def _unpacked(kind: str, code: str, text: str, fatal: bool) -> Exception:
    found: type[Exception] = getattr(errors, kind)
    return found(code, text, fatal=fatal) if issubclass(found, ClientError) else errors.InternalError(text)


async def _send(stream: trio.abc.SendStream, thing: object) -> None:
    data = pickle.dumps(thing)
    await stream.send_all(LENGTH.pack(len(data)) + data)


class _Frames:
    """What arrives, thing by thing; ``EOFError`` at the end."""

    def __init__(self, stream: trio.abc.ReceiveStream) -> None:
        self._stream = stream
        self._data = bytearray()

    async def next(self) -> Any:
        size = LENGTH.unpack(await self._take(LENGTH.size))[0]
        return pickle.loads(await self._take(size))

    async def _take(self, count: int) -> bytes:
        while len(self._data) < count:
            more = await self._stream.receive_some(65_536)
            if not more:
                raise EOFError
            self._data += more
        taken = bytes(self._data[:count])
        del self._data[:count]
        return taken


class RemoteClient:
    """The near end; implements `trio_consumer.client.port.Client`."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._numbers = 0
        self._waiting: dict[int, trio.Event] = {}
        self._answers: dict[int, Exception | None] = {}
        self._events: deque[tuple[Event, int]] = deque()
        self._arrival = trio.lowlevel.ParkingLot()
        self._revoked: list[tuple[Event, int]] = []
        self._asked = False
        self._ended = False
        self._sending = trio.Lock()

    async def listen(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Take in what the other process says, until it is no more."""
        stdout = self._process.stdout
        if stdout is None:
            raise RuntimeError("the process has no pipe")
        frames = _Frames(stdout)
        try:
            while True:
                what, number, thing = await frames.next()
                if what == "opened":
                    if thing is not None:
                        raise _unpacked(*thing)
                    task_status.started()
                elif what == "event":
                    self._asked = False
                    self._arrived(Failed(_unpacked(*thing)) if isinstance(thing, tuple) else thing, number)
                else:
                    self._answers[number] = None if thing is None else _unpacked(*thing)
                    self._waiting.pop(number).set()
        except EOFError:
            self._ended = True
            self._arrival.unpark_all()
            for number, event in self._waiting.items():
                self._answers[number] = ClientError("_DESTROY", "the process is no more")
                event.set()

    def _arrived(self, event: Event, number: int) -> None:
        if isinstance(event, Revoked):
            self._revoked.append((event, number))
        self._events.append((event, number))
        self._arrival.unpark_all()

    async def next(self, records_max: int) -> Event:
        if not self._asked and not self._events:
            self._asked = True
            await self._tell("next", records_max)
        while not self._events:
            if self._ended:
                raise ClientError("_DESTROY", "the process is no more")
            await self._arrival.park()
        return self._events.popleft()[0]

    async def commit(self, offsets: Mapping[Partition, Commit]) -> None:
        await self._ask("commit", offsets)

    def release(self, revoked: Revoked) -> None:
        number = next(number for event, number in self._revoked if event is revoked)
        stdin = self._process.stdin
        data = pickle.dumps(("release", 0, number))
        if stdin is not None:
            # No await here; a pipe takes so little at once.
            trio.lowlevel.spawn_system_task(stdin.send_all, LENGTH.pack(len(data)) + data)

    async def pause(self, partitions: Collection[Partition]) -> None:
        await self._ask("pause", list(partitions))

    async def resume(self, partitions: Collection[Partition]) -> None:
        await self._ask("resume", list(partitions))

    async def seek(self, offsets: Mapping[Partition, int]) -> None:
        await self._ask("seek", offsets)

    async def _ask(self, what: str, thing: object) -> None:
        self._numbers += 1
        number, event = self._numbers, trio.Event()
        self._waiting[number] = event
        await self._tell(what, thing, number)
        await event.wait()
        error = self._answers.pop(number)
        if error is not None:
            raise error

    async def _tell(self, what: str, thing: object, number: int = 0) -> None:
        stdin = self._process.stdin
        async with self._sending:
            try:
                if stdin is not None:
                    with trio.CancelScope(shield=True):
                        await _send(stdin, (what, number, thing))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass


@asynccontextmanager
async def remote(
    settings: Mapping[str, Any], topics: Sequence[str]
) -> AsyncGenerator[tuple[RemoteClient, trio.Process], None]:
    """A client in a process of its own, and that process. Leaving closes the client, if it still lives."""
    command = [sys.executable, "-m", "tests.scenarios.member_process"]
    process = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=str(ROOT))
    try:
        if process.stdin is None:
            raise RuntimeError("the process has no pipe")
        await _send(process.stdin, (dict(settings), list(topics)))
        client = RemoteClient(process)
        async with trio.open_nursery() as nursery:
            await nursery.start(client.listen)
            yield client, process
            await process.stdin.aclose()
            with trio.move_on_after(15):
                await process.wait()
            nursery.cancel_scope.cancel()
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        with trio.CancelScope(shield=True):
            await process.wait()


class _FarEnd:
    """Carries out what the near end asks for."""

    def __init__(self, client: Client, output: trio.abc.SendStream) -> None:
        self._client = client
        self._output = output
        self._lock = trio.Lock()
        self._revoked: dict[int, Revoked] = {}
        self._numbers = 0

    async def say(self, what: str, number: int, thing: object) -> None:
        async with self._lock:
            await _send(self._output, (what, number, thing))

    async def carry_out(self, what: str, number: int, thing: Any) -> None:
        if what == "next":
            event = await self._client.next(thing)
            self._numbers += 1
            if isinstance(event, Revoked):
                self._revoked[self._numbers] = event
            await self.say("event", self._numbers, _packed(event.error) if isinstance(event, Failed) else event)
        elif what == "release":
            self._client.release(self._revoked.pop(thing))
        else:
            try:
                await getattr(self._client, what)(thing)
            except ClientError as error:
                await self.say("answer", number, _packed(error))
            else:
                await self.say("answer", number, None)


async def _far_end() -> None:
    output = trio.lowlevel.FdStream(sys.stdout.fileno())
    frames = _Frames(trio.lowlevel.FdStream(sys.stdin.fileno()))
    settings, topics = await frames.next()
    try:
        async with connect(settings, topics) as client, trio.open_nursery() as nursery:
            end = _FarEnd(client, output)
            await end.say("opened", 0, None)
            try:
                while True:
                    nursery.start_soon(end.carry_out, *await frames.next())
            except EOFError:
                nursery.cancel_scope.cancel()
    except UnknownTopic as error:
        await _send(output, ("opened", 0, _packed(error)))


if __name__ == "__main__":
    trio.run(_far_end)
