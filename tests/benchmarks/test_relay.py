"""The relay, between a client and a server of ours: what it carries, and that it is never early."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from benchmarks.clusters import relayed

SECONDS = 0.06
SECONDS_MAX = 30.0


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS_MAX)
        yield listener


def connected(address: str, server: socket.socket) -> tuple[socket.socket, socket.socket]:
    host, _, port = address.partition(":")
    client = socket.create_connection((host, int(port)), timeout=SECONDS_MAX)
    far = server.accept()[0]
    far.settimeout(SECONDS_MAX)
    return client, far


def received(connection: socket.socket, size: int) -> bytes:
    with connection.makefile("rb") as file:
        return file.read(size)


def test_each_way_takes_half_of_the_round_trip(server: socket.socket) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with relayed(listener, server.getsockname()[1], SECONDS) as address:
            client, far = connected(address, server)
            with client, far:
                for source, sink in ((client, far), (far, client)):
                    began = time.monotonic()
                    source.sendall(b"request")
                    assert received(sink, 7) == b"request"
                    assert time.monotonic() - began >= SECONDS / 2


def test_much_at_a_time_arrives_whole(server: socket.socket) -> None:
    data = bytes(range(256)) * 200_000  # more than the buffers take
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with relayed(listener, server.getsockname()[1], SECONDS) as address:
            client, far = connected(address, server)
            with client, far:
                writer = threading.Thread(target=client.sendall, args=(data,))
                writer.start()
                assert received(far, len(data)) == data
                writer.join()


def test_an_end_passes_the_end_on(server: socket.socket) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with relayed(listener, server.getsockname()[1], SECONDS) as address:
            client, far = connected(address, server)
            with far:
                client.sendall(b"last")
                client.close()
                assert received(far, 5) == b"last"
            # It goes on with the next connection, and when its context ends, so does this one.
            client, far = connected(address, server)
        with client, far:
            assert client.recv(1) == b""


def test_connections_that_both_ends_abort_at_once_do_no_harm_to_others(server: socket.socket) -> None:
    at_once = struct.pack("ii", 1, 0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with relayed(listener, server.getsockname()[1], SECONDS) as address:
            pairs = [connected(address, server) for _ in range(50)]
            for pair in pairs:
                for end in pair:
                    end.sendall(b"lost")
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            for pair in pairs:
                for end in pair:
                    end.close()
            client, far = connected(address, server)
            with client, far:
                client.sendall(b"kept")
                assert received(far, 4) == b"kept"
