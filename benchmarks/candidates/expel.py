"""Take the members of a group out of it, as an operator can: a killed process would keep its partitions for as long as
its session lasts, which is different for each consumer and has nothing to do with what it repeats.

By one request of Kafka's protocol (LeaveGroup, version 3), which no Python client sends on behalf of others.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

from confluent_kafka.admin import AdminClient

SECONDS_MAX = 10.0

_LEAVE_GROUP, _VERSION = 13, 3
_CLIENT = b"benchmark"


class NotExpelled(Exception):
    """The coordinator refused."""


def expel(bootstrap_servers: str, group: str) -> int:
    """Remove all members of a classic group: how many there were.

    Raises:
        NotExpelled: The coordinator's answer is an error.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 2})
    found = admin.describe_consumer_groups([group])[group].result(SECONDS_MAX)
    members = [member.member_id for member in found.members]
    if members:
        error = error_of(_ask(found.coordinator.host, found.coordinator.port, request(group, members)))
        if error:
            raise NotExpelled(f"the coordinator of {group} answers a LeaveGroup request with error {error}")
    return len(members)


def request(group: str, members: Sequence[str]) -> bytes:
    """With its length in front."""
    body = struct.pack(">hhi", _LEAVE_GROUP, _VERSION, 1) + _string(_CLIENT) + _string(group.encode())
    body += struct.pack(">i", len(members))
    for member in members:
        body += _string(member.encode()) + struct.pack(">h", -1)  # not a static member
    return struct.pack(">i", len(body)) + body


def error_of(answer: bytes) -> int:
    """Kafka's code; 0 for success."""
    # Behind the number of the request and the time for which it was throttled. Those of the members follow.
    code: int = struct.unpack_from(">h", answer, 8)[0]
    return code


def _ask(host: str, port: int, asked: bytes) -> bytes:
    with socket.create_connection((host, port), SECONDS_MAX) as connection, connection.makefile("rb") as stream:
        connection.sendall(asked)
        return stream.read(struct.unpack(">i", stream.read(4))[0])


def _string(data: bytes) -> bytes:
    return struct.pack(">h", len(data)) + data
