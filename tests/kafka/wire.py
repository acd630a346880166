"""One request by hand: a commit as other clients write it, without the trailing NUL that librdkafka appends, and with
any member and generation."""

from __future__ import annotations

import socket
import struct

OFFSET_COMMIT, VERSION = 8, 9
SECONDS_MAX = 10.0


def commit(
    bootstrap_servers: str,
    group: str,
    topic: str,
    number: int,
    offset: int,
    metadata: bytes | None,
    *,
    generation: int = -1,
    member: str = "",
    instance: str | None = None,
) -> int:
    """Commit one partition, by default as an outsider does.

    Args:
        bootstrap_servers: The cluster.
        group: The group.
        topic: Where to commit.
        number: Where to commit.
        offset: What to commit.
        metadata: What to commit with it.
        generation: That of the member, or its epoch under KIP-848; -1 for an outsider.
        member: The member's id.
        instance: Its ``group.instance.id``.

    Returns:
        Kafka's error code; 0 for success.
    """
    no_epoch = -1
    body = _compact(group.encode()) + struct.pack(">i", generation) + _compact(member.encode())
    body += _compact(None if instance is None else instance.encode())
    body += _array_of_one() + _compact(topic.encode())
    body += _array_of_one() + struct.pack(">iqi", number, offset, no_epoch) + _compact(metadata)
    body += b"\0\0\0"  # tagged fields of the partition, the topic and the request: none
    answer = _call(bootstrap_servers, body)
    # It ends with the error code and three empty lists of tagged fields.
    found: int = struct.unpack(">h", answer[-5:-3])[0]
    return found


def _call(bootstrap_servers: str, body: bytes) -> bytes:
    host, port = bootstrap_servers.rsplit(":", 1)
    client = b"test"
    header = struct.pack(">hhih", OFFSET_COMMIT, VERSION, 1, len(client)) + client + b"\0"
    with socket.create_connection((host, int(port)), SECONDS_MAX) as connection, connection.makefile("rb") as stream:
        connection.sendall(struct.pack(">i", len(header) + len(body)) + header + body)
        return stream.read(struct.unpack(">i", stream.read(4))[0])


def _array_of_one() -> bytes:
    return _varint(2)


def _compact(data: bytes | None) -> bytes:
    return b"\0" if data is None else _varint(len(data) + 1) + data


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])
