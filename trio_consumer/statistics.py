"""What `Consumer.statistics` returns: an immutable picture of one instant."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import attrs

from .record import Partition


@attrs.frozen(kw_only=True)
class Blocking:
    """The record that holds a partition's committable offset back.

    Args:
        offset: The lowest incomplete offset.
        age: Seconds since it was fetched.
        lane: Its lane: with `Order.KEY` the key's bytes; ``None`` for unordered records.
        state: ``"queued"``, ``"in-flight"``, ``"parked"`` (waits for its next attempt) or ``"stuck"`` (its handler
            ignores its cancellation).
        attempt: The attempt that runs or comes next.
    """

    offset: int
    age: float
    lane: Hashable
    state: str
    attempt: int


@attrs.frozen(kw_only=True)
class PartitionStatistics:
    """One assigned partition.

    Args:
        tenure: Number of the tenure; it grows with each assignment of any partition.
        position: Next offset to fetch; ``None`` before the first fetch.
        committed: Committed offset that the broker has acknowledged; ``None`` if there is none.
        committable: Lowest incomplete offset, else the position.
        end: Log end offset as far as the client knows it, else ``None``.
        lag: Records between the committed offset and the log end, else ``None``.
        incomplete: Fetched and not resolved.
        completed_ahead: Completed above the committable offset.
        gaps: How many incomplete stretches lie below the highest completed offset.
        blocking: What holds the committable offset back, else ``None``.
        queued: Records that wait for a handler.
        parked: Records that wait for their next attempt.
        in_flight: Records whose handler runs.
        paused: True while nothing is fetched.
        offset_map_characters: Size of the offset map in the last commit.
    """

    tenure: int
    position: int | None
    committed: int | None
    committable: int | None
    end: int | None
    lag: int | None
    incomplete: int
    completed_ahead: int
    gaps: int
    blocking: Blocking | None
    queued: int
    parked: int
    in_flight: int
    paused: bool
    offset_map_characters: int


@attrs.frozen(kw_only=True)
class Statistics:
    """The consumer at one instant. Counters start at zero when the consumer is opened.

    Args:
        partitions: Each assigned partition.
        queued: Records that wait for a handler.
        queued_bytes: Bytes of their keys and values.
        parked: Records that wait for their next attempt.
        in_flight: Records whose handler runs, also of tenures that have ended.
        handled: Records that a handler resolved.
        skipped: Records that were given up after their last attempt.
        restored: Records that an offset map said were complete already, and that were not handled again.
        failed_attempts: Attempts that raised.
        cancelled_attempts: Attempts that were cancelled by a revoke, a loss or a stop.
        tenures: Tenures begun.
        tenures_lost: Tenures that ended by a loss.
        commits: Commits that the broker acknowledged.
        commit_errors: Failed commits by error code.
        client_errors: Errors that the client reported, by code.
        offset_maps_refused: Commit metadata that was foreign, corrupt, moved or from a newer version: replayed.
        offset_maps_cut: Commits whose offset map was cut to the longest prefix that fits.
        revokes_overrun: Revokes that ended at their deadline instead of with their last handler.
    """

    partitions: Mapping[Partition, PartitionStatistics]
    queued: int
    queued_bytes: int
    parked: int
    in_flight: int
    handled: int
    skipped: int
    restored: int
    failed_attempts: int
    cancelled_attempts: int
    tenures: int
    tenures_lost: int
    commits: int
    commit_errors: Mapping[str, int]
    client_errors: Mapping[str, int]
    offset_maps_refused: int
    offset_maps_cut: int
    revokes_overrun: int
