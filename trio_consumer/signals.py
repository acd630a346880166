"""Wake-ups between our own tasks. No data travels: the core holds all state."""

from __future__ import annotations

import trio


class Signal:
    """Wakes those who wait now. Remembers nothing: look at the state first, then wait, with no await in between."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = trio.Event()

    def send(self) -> None:
        event, self._event = self._event, trio.Event()
        event.set()

    async def wait(self) -> None:
        await self._event.wait()
