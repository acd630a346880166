"""What a candidate must have kept, read from the files that it shared with the harness."""

from __future__ import annotations

from .marks import Spans
from .model import Workload


def order_problems(spans: Spans, workload: Workload) -> list[str]:
    """What contradicts that the records of each key were handled in their order, one at a time."""
    latest: dict[bytes, tuple[int, int]] = {}
    offsets = [0] * workload.partitions
    unseen = overlaps = reorders = 0
    for partition, key, _ in workload:
        begin, end = spans.of(partition, offsets[partition])
        offsets[partition] += 1
        unseen += not begin or not end
        begin_before, end_before = latest.get(key, (0, 0))
        if begin < begin_before:
            reorders += 1
        elif begin < end_before:
            overlaps += 1
        latest[key] = begin, end
    if unseen:
        return [f"of {unseen:,} records it is not known when their handlers ran, so nothing is known of the order"]
    found = [(overlaps, "records of a key overlapped"), (reorders, "records of a key came out of order")]
    return [f"{count:,} {what}" for count, what in found if count]
