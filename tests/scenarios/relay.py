"""A relay on loopback between members and a broker, which can cut, hold and deafen single members.

Which member a connection belongs to is read from its first request: Kafka puts ``client.id`` into each header.
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable

import attrs
import trio

CHUNK = 65_536
HEADER = struct.Struct(">ihhih")
"""Size, key, version, number, length of the client's id."""


@attrs.define(eq=False)
class _Link:
    """One connection."""

    client: str
    scope: trio.CancelScope
    torn: bool = False
    """Answers were thrown away: what follows would make no sense to the client."""


class Relay:
    """See the module. Lives in the Trio run that calls `serve`.

    Attributes:
        port: Where it listens.
        target: The broker's port; to be set before a client connects.
    """

    def __init__(self) -> None:
        self.port = 0
        self.target = 0
        self._links: list[_Link] = []
        self._cut: set[str] = set()
        self._deaf: set[str] = set()
        self._held: dict[str, trio.Event] = {}

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled."""
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        task_status.started()
        await trio.serve_listeners(self._accept, listeners)

    def cut(self, client: str) -> None:
        self._cut.add(client)
        self._break(client, lambda link: True)
        self._release(client)

    def hold(self, client: str) -> None:
        self._held.setdefault(client, trio.Event())

    def deafen(self, client: str) -> None:
        self._deaf.add(client)

    def heal(self, client: str) -> None:
        self._cut.discard(client)
        self._deaf.discard(client)
        self._break(client, lambda link: link.torn)
        self._release(client)

    def _release(self, client: str) -> None:
        if client in self._held:
            self._held.pop(client).set()

    def _break(self, client: str, which: Callable[[_Link], bool]) -> None:
        for link in self._links:
            if link.client == client and which(link):
                link.scope.cancel()

    async def _accept(self, near: trio.SocketStream) -> None:
        with trio.CancelScope() as scope:  # noqa: ASYNC912  the first request may have come whole
            try:
                first = await near.receive_some(CHUNK)
                while len(first) < HEADER.size or len(first) < HEADER.size + HEADER.unpack_from(first)[4]:
                    more = await near.receive_some(CHUNK)
                    if not more:
                        return
                    first += more
                length = HEADER.unpack_from(first)[4]
                client = bytes(first[HEADER.size : HEADER.size + length]).decode()
                await self._link(_Link(client, scope), near, bytes(first))
            except (trio.BrokenResourceError, OSError):
                pass
        await trio.aclose_forcefully(near)

    async def _link(self, link: _Link, near: trio.SocketStream, first: bytes) -> None:
        if link.client in self._cut:
            return
        self._links.append(link)
        try:
            async with await trio.open_tcp_stream("127.0.0.1", self.target) as far, trio.open_nursery() as nursery:
                nursery.start_soon(self._pump, link, near, far.send_all, first)
                nursery.start_soon(self._pump, link, far, near.send_all, b"")
        except* (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            pass
        finally:
            self._links.remove(link)

    async def _pump(
        self, link: _Link, source: trio.SocketStream, send: Callable[[bytes], Awaitable[None]], data: bytes
    ) -> None:
        asks = bool(data)
        while True:
            while link.client in self._held:
                await self._held[link.client].wait()
            if data:
                if not asks and link.client in self._deaf:
                    link.torn = True
                else:
                    await send(data)
            data = bytes(await source.receive_some(CHUNK))
            if not data:
                link.scope.cancel()
                return
