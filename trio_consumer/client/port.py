"""The port: all that the consumer knows of Kafka. Events out, commands in, no callback.

One ordered stream of events with one reader, and a few commands. Three implementations pass one contract suite
(``tests/contract``): confluent-kafka on a real broker, the same on the embedded cluster, and the simulator.

Rules that every implementation keeps:

- A cancelled `Client.next` loses nothing: the event stays queued for the next call.
- The commands work while `next` waits, and between `Revoked` and `release`; nothing is fetched in that time.
- No record of a partition comes between its `Revoked` or `Lost` and its next `Assigned`.
- A commit for a partition that is no longer the consumer's, as far as the consumer could know when it asked, is
  refused on this side with the code ``_NOT_ASSIGNED``: brokers fence members and generations, never partitions.
- Leaving the context gives up what is pending and leaves the group. It does not commit.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeAlias

import attrs

from ..errors import ClientError
from ..record import Partition, Record


@attrs.frozen
class Committed:
    """What the broker holds for one partition of this group.

    Args:
        offset: Where a restart begins; ``None`` if nothing was committed, or it could not be read.
        metadata: The text committed with it.
        error: Why it, or only the metadata, could not be read, else ``None``. Without an offset the client chooses the
            start by itself.
    """

    offset: int | None = None
    metadata: str = ""
    error: str | None = None


@attrs.frozen
class Commit:
    """What to commit for one partition: the offset where a restart begins, and the offset map as text."""

    offset: int
    metadata: str = ""


@attrs.frozen
class Assigned:
    """These partitions are ours now, in addition to those we hold."""

    partitions: Mapping[Partition, Committed]


@attrs.frozen
class Records:
    """Fetched records, in offset order within each partition, and how far the client has read.

    Args:
        records: May be empty when only positions moved.
        positions: Next offset to fetch, past trailing holes such as transaction markers; for each partition that moved,
            so at least for each that has records here.
        ends: Log end offset (the last stable one for ``read_committed``) as far as the client knows it. With the first
            record of a tenure comes an end as of this tenure: it tells whether an offset map can be of this log.
        bytes_max: An upper bound of one record's key and value, or 0 if the client can't tell it for less than the
            consumer.
    """

    records: Sequence[Record]
    positions: Mapping[Partition, int]
    ends: Mapping[Partition, int]
    bytes_max: int = 0


@attrs.frozen
class Revoked:
    """These partitions are to be given back: finish, commit, then call `Client.release` with this event."""

    partitions: Collection[Partition]


@attrs.frozen
class Lost:
    """These partitions are already gone, or so we must assume. Commit nothing for them."""

    partitions: Collection[Partition]


@attrs.frozen
class Failed:
    """The client or a callback of the user's reports an error; the stream goes on unless it is fatal.

    Args:
        error: What happened. Everything that is not a `ClientError` ends the consumer too.
    """

    error: Exception

    @property
    def fatal(self) -> bool:
        return not isinstance(self.error, ClientError) or self.error.fatal


Event: TypeAlias = Assigned | Records | Revoked | Lost | Failed


class Client(Protocol):
    """One member of a consumer group."""

    async def next(self, records_max: int) -> Event:
        """The next event, in order.

        The client may fetch one batch ahead of the call, so up to twice ``records_max`` records can be on
        their way. It joins the group at the first call.

        Args:
            records_max: At most that many records in one `Records`; at least 1.
        """
        ...

    async def commit(self, offsets: Mapping[Partition, Commit]) -> None:
        """Commit, and return when the broker has acknowledged all of it. One call at a time, except inside a revoke,
        where a further one supersedes what is unanswered; that one may be answered only after the release.

        Raises:
            ClientError: Nothing is known of any of the partitions: some may have been committed.
        """
        ...

    def release(self, revoked: Revoked) -> None:
        """Give back what this event named."""
        ...

    async def pause(self, partitions: Collection[Partition]) -> None:
        """Stop fetching these; those that are not ours are ignored. At most one fetched batch still arrives.

        A pause ends with its tenure: what is assigned anew is fetched.
        """
        ...

    async def resume(self, partitions: Collection[Partition]) -> None:
        """Fetch these again; those that are not ours are ignored."""
        ...

    async def seek(self, offsets: Mapping[Partition, int]) -> None:
        """Fetch next from these offsets. No record from before the seek comes after it returned.

        Raises:
            ClientError: A partition is not ours, or the client refused.
        """
        ...


class Connect(Protocol):
    """Opens a `Client`; ``open_consumer(..., connect=)`` takes one."""

    def __call__(
        self, settings: Mapping[str, Any], topics: Sequence[str], /
    ) -> AbstractAsyncContextManager[Client]: ...
