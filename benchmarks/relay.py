"""A process between clients and a broker that adds half of a delay to what it forwards, each way.

It prints one line when it listens, and ends when its standard input does. It carries some hundred megabytes a second
with little of a processor, as what comes in is read in large pieces, and each is only handed on. What is under way is
limited: where a reader is slow, its sender is held up as it would be without us.
"""

from __future__ import annotations

import argparse
import selectors
import socket
import sys
import time
from collections import deque

CHUNK_BYTES = 1 << 20
BUFFER_BYTES = 4 << 20
"""Of each socket: what arrives between two looks must fit."""
UNDER_WAY_BYTES_MAX = 64 << 20
"""Of each direction of a connection."""


class Direction:
    """One direction of a connection: from the source to the sink.

    Args:
        source: Read from.
        sink: Written to.
        seconds: What comes in leaves so much later.

    Attributes:
        ended: The source has.
    """

    def __init__(self, source: socket.socket, sink: socket.socket, seconds: float) -> None:
        self.source = source
        self.sink = sink
        self._seconds = seconds
        self._under_way: deque[tuple[float, memoryview]] = deque()
        self._bytes = 0
        self.ended = False

    @property
    def full(self) -> bool:
        """True while as much is under way as may be."""
        return self._bytes >= UNDER_WAY_BYTES_MAX

    @property
    def due(self) -> float | None:
        """When the next piece may leave."""
        return self._under_way[0][0] if self._under_way else None

    @property
    def done(self) -> bool:
        """True if the source has ended and all has left."""
        return self.ended and not self._under_way

    def take(self, now: float) -> None:
        """Read what has come."""
        data = self.source.recv(CHUNK_BYTES)
        if data:
            self._under_way.append((now + self._seconds, memoryview(data)))
            self._bytes += len(data)
        else:
            self.ended = True

    def give(self, now: float) -> bool:
        """Write what is due. True if the sink takes no more for now."""
        while self._under_way and self._under_way[0][0] <= now:
            due, data = self._under_way[0]
            try:
                sent = self.sink.send(data)
            except BlockingIOError:
                return True
            self._bytes -= sent
            if sent < len(data):
                self._under_way[0] = due, data[sent:]
                return True
            self._under_way.popleft()
        return False


class Relay:
    """Forwards connections.

    Args:
        listener: Where clients come to.
        port: Of the broker, on this machine.
        seconds: Added to a round trip.
    """

    def __init__(self, listener: socket.socket, port: int, seconds: float) -> None:
        self._listener = listener
        self._port = port
        self._seconds = seconds / 2
        self._directions: list[Direction] = []
        # Its time limits are finer than those of epoll, which counts milliseconds; the sockets are few.
        self._selector = selectors.SelectSelector()

    def serve_until(self, end: int) -> None:
        """Forward until a file descriptor can be read."""
        self._selector.register(end, selectors.EVENT_READ)
        self._selector.register(self._listener, selectors.EVENT_READ)
        while True:
            now = time.monotonic()
            blocked = {direction.sink for direction in list(self._directions) if self._give(direction, now)}
            self._ask(blocked)
            dues = [one.due for one in self._directions if one.due is not None and one.sink not in blocked]
            for key, events in self._selector.select(max(min(dues) - time.monotonic(), 0.0) if dues else None):
                if key.fd == end:
                    return
                if key.fileobj is self._listener:
                    self._accept()
                elif events & selectors.EVENT_READ:
                    self._take(key.data)

    def _accept(self) -> None:
        near = self._listener.accept()[0]
        try:
            far = socket.create_connection(("127.0.0.1", self._port))
        except OSError:
            near.close()
            return
        for one in (near, far):
            one.setblocking(False)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        for source, sink in ((near, far), (far, near)):
            self._directions.append(Direction(source, sink, self._seconds))
            self._selector.register(source, selectors.EVENT_READ, self._directions[-1])

    def _ask(self, blocked: set[socket.socket]) -> None:
        """Be told of what can be read, and of sinks that take more again."""
        registered = self._selector.get_map()
        for one in self._directions:
            events = (0 if one.full or one.ended else selectors.EVENT_READ) | (
                selectors.EVENT_WRITE if one.source in blocked else 0
            )
            now = registered[one.source].events if one.source in registered else 0
            if events and now and events != now:
                self._selector.modify(one.source, events, one)
            elif events and not now:
                self._selector.register(one.source, events, one)
            elif now and not events:
                self._selector.unregister(one.source)

    def _take(self, direction: Direction) -> None:
        if direction not in self._directions:  # its connection was closed in this very pass
            return
        try:
            direction.take(time.monotonic())
        except OSError:
            self._close(direction)

    def _give(self, direction: Direction, now: float) -> bool:
        if direction not in self._directions:
            return False
        try:
            blocked = direction.give(now)
        except OSError:
            self._close(direction)
            return False
        if direction.done:
            self._close(direction)
        return blocked

    def _close(self, direction: Direction) -> None:
        """A connection ends with either of its directions: clients and brokers of Kafka never half close theirs."""
        ends = {direction.source, direction.sink}
        self._directions = [one for one in self._directions if one.source not in ends]
        for one in ends:
            if one in self._selector.get_map():
                self._selector.unregister(one)
            one.close()


def main() -> None:
    """Serve until the standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.relay", description=__doc__)
    parser.add_argument("listener", type=int, help="file descriptor of a socket that listens")
    parser.add_argument("port", type=int, help="the broker's")
    parser.add_argument("seconds", type=float, help="added to each round trip")
    options = parser.parse_args()
    with socket.socket(fileno=options.listener) as listener:
        print("listening", flush=True)
        Relay(listener, options.port, options.seconds).serve_until(sys.stdin.fileno())


if __name__ == "__main__":
    main()
