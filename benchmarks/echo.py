"""A process that sends back whatever it gets. It prints its port on one line, and ends when its standard input does."""

from __future__ import annotations

import selectors
import socket
import sys

CHUNK = 65_536


def main() -> None:
    """Serve until the standard input ends."""
    with selectors.DefaultSelector() as selector, socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        selector.register(sys.stdin, selectors.EVENT_READ)
        selector.register(listener, selectors.EVENT_READ)
        print(listener.getsockname()[1], flush=True)
        while True:
            for key, _ in selector.select():
                if key.fileobj is sys.stdin:
                    return
                if key.fileobj is listener:
                    selector.register(listener.accept()[0], selectors.EVENT_READ)
                elif isinstance(key.fileobj, socket.socket):
                    _echo(selector, key.fileobj)


def _echo(selector: selectors.BaseSelector, connection: socket.socket) -> None:
    data = connection.recv(CHUNK)
    if data:
        # Callers wait for their answers, so what they send fits in the buffers.
        connection.sendall(data)
    else:
        selector.unregister(connection)
        connection.close()


if __name__ == "__main__":
    main()
