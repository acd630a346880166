"""What the Trio side asks of the client's thread: as in the real adapter, but a commit carries its number."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

import attrs

from trio_consumer import Partition
from trio_consumer.client.bridge import Answer
from trio_consumer.client.port import Commit, Revoked


@attrs.frozen
class Fetch:
    """Fetch one batch of at most that many records."""

    records_max: int


@attrs.frozen
class CommitOffsets:
    """Commit, provided that each partition is still in the tenure in which it was asked for."""

    offsets: Mapping[Partition, Commit]
    tenures: Mapping[Partition, int]
    answer: Answer
    number: int


@attrs.frozen
class Pause:
    partitions: Collection[Partition]
    answer: Answer


@attrs.frozen
class Resume:
    partitions: Collection[Partition]
    answer: Answer


@attrs.frozen
class Seek:
    offsets: Mapping[Partition, int]
    tenures: Mapping[Partition, int]
    answer: Answer


@attrs.frozen(eq=False)
class Release:
    """Give back what this very event named."""

    revoked: Revoked


@attrs.frozen
class Close:
    """Leave the group and end."""


Request: TypeAlias = Fetch | CommitOffsets | Pause | Resume | Seek | Release | Close
