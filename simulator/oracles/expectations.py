"""What a scenario promises, as far as an oracle has to know it: options, limits, bounds of time."""

from __future__ import annotations

import attrs

from trio_consumer.config import OFFSET_MAP_CHARACTERS_MAX


@attrs.frozen(kw_only=True)
class Expectations:
    """See the module. The defaults are the consumer's own, and the world's.

    Args:
        group: The group that is watched; what others commit is nobody's concern here.
        order: ``"key"``, ``"partition"`` or ``"unordered"``; the last one too where a function names lanes.
        null_key: What ``"key"`` does with records without one: ``"unordered"`` or ``"partition"``.
        concurrency: Handlers in flight at once, at most.
        attempts: How often a record may be tried; ``None`` for no limit.
        exhausted: ``"halt"`` or ``"skip"``.
        queued_records_max: Records that wait for a handler, in one consumer.
        queued_records_max_per_partition: The same in one partition, plus what is on its way.
        queued_bytes_max: Bytes of their keys and values, plus what is on its way.
        record_bytes_max: No record is larger.
        offset_map_characters_max: Limit of the metadata of one commit.
        grace_seconds: How long running handlers may go on in a revoke before they are cancelled.
        revoke_seconds: Within how long a revoke has ended.
        stop_seconds: How long the last commit may take when a consumer stops.
        hooks: True if the consumer has tenure hooks.
        read_committed: The isolation level.
        offset_reset: ``"earliest"`` or ``"latest"``.
        faults: True if any kind of fault was enabled.
        effects: True if each handler that succeeds tells of an effect, or of a dead letter.
        cancellable: True if handlers give way to a cancellation at once, unless a fault says otherwise.
        heal_seconds: Within how long everything is resolved and committed once the faults have stopped.
        settle_seconds: How long after that a member may still notice what the faults did to it.
    """

    group: str = "group"
    order: str = "key"
    null_key: str = "unordered"
    concurrency: int = 256
    attempts: int | None = 5
    exhausted: str = "halt"
    queued_records_max: int = 100_000
    queued_records_max_per_partition: int = 10_000
    queued_bytes_max: int = 256 * 2**20
    record_bytes_max: int = 2**20
    offset_map_characters_max: int = OFFSET_MAP_CHARACTERS_MAX
    grace_seconds: float = 5.0
    revoke_seconds: float = 20.0
    stop_seconds: float = 10.0
    hooks: bool = False
    read_committed: bool = True
    offset_reset: str = "earliest"
    faults: bool = True
    effects: bool = False
    cancellable: bool = False
    heal_seconds: float = 90.0
    settle_seconds: float = 20.0

    @property
    def batch(self) -> int:
        """Records of one fetched batch, at most."""
        return max(1, min(4_000, self.queued_records_max // 8, self.queued_records_max_per_partition))

    @property
    def roomy_map(self) -> bool:
        """True if an offset map of a world's size always fits, so that nothing may be missing from it."""
        return self.offset_map_characters_max >= 1_000
