"""Bugs of the ledger: which offset may be committed, and which ones above it count as completed."""

from __future__ import annotations

from .bug import Bug
from .edits import Edit

LEDGER = "trio_consumer.core.ledger:Ledger"
DECODE = "trio_consumer.core.offset_map:decode"

BUGS = (
    Bug(
        name="commit-one-too-far",
        says="commits one past the lowest incomplete offset",
        oracle="commit",
        edits=(Edit(f"{LEDGER}.committable", "return self.head", "return (self.head or 0) + 1"),),
        source="parallel-consumer #62",
    ),
    Bug(
        name="highest-seen-committed",
        says="commits the position while records below it are incomplete",
        oracle="commit",
        edits=(
            Edit(f"{LEDGER}.committable", "if self._incomplete:", "if self._incomplete and self._position is None:"),
        ),
        source="parallel-consumer #826",
    ),
    Bug(
        name="highest-completed-committed",
        says="commits up to the highest completed offset, past incomplete ones below it",
        oracle="commit",
        edits=(Edit(f"{LEDGER}.committable", "return self.head", "return max(self.head or 0, self._highest + 1)"),),
    ),
    Bug(
        name="only-two-heads-looked-at",
        says="takes the commit past a record that is incomplete while the next delivered one is complete",
        oracle="commit",
        edits=(
            Edit(
                f"{LEDGER}.committable",
                "return self.head",
                "if len(self._incomplete) == 1 and self._highest > (self.head or 0):\n"
                "    return self._position\n"
                "return self.head",
            ),
        ),
    ),
    Bug(
        name="position-plus-one",
        says="expects every offset, so that a transaction marker or a compacted record holds the commits back for ever",
        oracle="progress",
        edits=(
            Edit(
                f"{LEDGER}.deliver",
                "self._begin(first)",
                "self._begin(first)\n"
                "offsets = range(first if position is None else position, last + 1)\n"
                "count = len(offsets)",
            ),
        ),
        source="Pyrallel-Consumer finding 5",
        given={"records": 120},
    ),
    Bug(
        name="first-offset-not-zero",
        says="expects a log to begin at offset 0 where nothing was committed, so that commits never start on others",
        oracle="progress",
        edits=(
            Edit(
                f"{LEDGER}.deliver",
                "self._begin(first)",
                "self._begin(first)\n"
                "if position is None and self._start is None:\n"
                "    offsets = range(last + 1)\n"
                "    count = len(offsets)",
            ),
        ),
        source="Pyrallel-Consumer finding 1",
    ),
    Bug(
        name="trailing-holes-forgotten",
        says="commits one past the last record, never past the transaction markers behind it",
        oracle="progress",
        edits=(
            Edit(f"{LEDGER}.advance", "self._position is None or position > self._position", "self._position is None"),
        ),
    ),
    Bug(
        name="map-one-too-early",
        says="begins each completed range of the offset map one offset too early, at an incomplete record",
        oracle="offset-map",
        edits=(Edit(f"{LEDGER}._completed", "ranges.append((before + 1, offset))", "ranges.append((before, offset))"),),
    ),
    Bug(
        name="map-closes-gaps",
        says="writes one completed range up to the highest completed offset, over the incomplete ones inside of it",
        oracle="offset-map",
        edits=(
            Edit(
                f"{LEDGER}._completed",
                "restored = self._restored",
                "restored = self._restored\nranges = [(ranges[0][0], ranges[-1][1])] if ranges else []",
            ),
        ),
    ),
    Bug(
        name="map-from-a-stale-snapshot",
        says="keeps the offset map of an earlier instant while nothing new was fetched, with today's offset beside it",
        oracle="repeats",
        edits=(
            Edit(
                f"{LEDGER}.snapshot",
                "if self._snapshot is None or self._snapshot[0] != version:",
                "if self._snapshot is None or self._snapshot[0][0] != version[0]:",
            ),
        ),
    ),
    Bug(
        name="map-of-another-log-believed",
        says="believes an offset map although the log was truncated since, below it",
        oracle="offset-map",
        also=("commit", "order", "progress"),
        edits=(
            Edit(f"{LEDGER}._begin", "if self._position is None and", "if False and"),
            Edit("trio_consumer.core.intake:_check_map", "if top is not None and", "if False and"),
        ),
        given={
            "members": 1,
            "partitions": 1,
            "records": 200,
            "keys": 40,
            "handler_seconds": 0.3,
            "fault_seconds": 20.0,
            "faults": frozenset({"unclean-truncation", "crash-slow-restart", "handler-slow"}),
            "scale": {"handler-slow": 3.0},
            "options": {
                "order": "unordered",
                "commit_interval": 0.02,
                "concurrency": 256,
                "queued_records_max": 100_000,
                "queued_records_max_per_partition": 10_000,
                "offset_map_characters_max": 4095,
            },
        },
    ),
    Bug(
        name="rewind-taken-for-progress",
        says="takes in offsets that it had before, after a truncation, without starting over",
        oracle="errors",
        also=("commit", "order", "progress"),
        edits=(Edit(f"{LEDGER}.deliver", "if position is not None and first < position:", "if False:"),),
        given={"faults": frozenset({"unclean-truncation"}), "handler_seconds": 0.3, "partitions": 1},
    ),
    Bug(
        name="rewind-skips-what-was-queued",
        says="starts over where the log went back to, and forgets what it had fetched below and not handled",
        oracle="commit",
        also=("order", "progress"),
        edits=(
            Edit(
                "trio_consumer.core.engine:Core.rewound",
                "if committable is None or committable >= offset:",
                "if True:",
            ),
        ),
        given={"faults": frozenset({"unclean-truncation"}), "handler_seconds": 0.3, "partitions": 1, "records": 200},
    ),
    Bug(
        name="map-applied-one-off",
        says="reads the offset map as if it were written for the next offset",
        oracle="commit",
        edits=(Edit(DECODE, "_read_runs(plain, base)", "_read_runs(plain, base + 1)"),),
    ),
    Bug(
        name="map-ignored",
        says="writes offset maps and never asks them: what completed ahead is handled again by the next owner",
        oracle="repeats",
        edits=(
            Edit(
                "trio_consumer.core.engine:Core.begin",
                "restored = decode(committed.metadata, committed.offset)",
                "decode(committed.metadata, committed.offset)",
            ),
        ),
        source="Pyrallel-Consumer finding 17",
    ),
    Bug(
        name="foreign-map-kills",
        says="lets commit metadata that it did not write end the consumer",
        oracle="errors",
        edits=(
            Edit(
                "trio_consumer.core.engine:Core.begin",
                "self._refuse_map(partition, str(error))",
                "from trio_consumer.errors import InternalError\nraise InternalError(str(error)) from None",
            ),
        ),
        source="parallel-consumer #326",
        given={"faults": frozenset({"foreign-metadata", "crash", "leave"}), "scale": {"foreign-metadata": 10.0}},
    ),
    Bug(
        name="map-dropped-on-overflow",
        says="drops an offset map that does not fit into its limit, instead of keeping the longest prefix",
        oracle="repeats",
        edits=(
            Edit(
                "trio_consumer.core.offset_map:encode",
                "return forms.whole(len(completed)) or max(\n"
                "    forms.whole_ranges(), forms.clipped_runs(), forms.clipped_bitmap(), key=_reach\n"
                ")",
                'return forms.whole(len(completed)) or Encoded("", ())',
            ),
        ),
        source="parallel-consumer #47, #647",
        given={"options": {"offset_map_characters_max": 28}},
    ),
    Bug(
        name="cut-map-says-all",
        says="makes an offset map fit by closing its gaps, as if it were complete up to its end",
        oracle="offset-map",
        edits=(
            Edit(
                "trio_consumer.core.offset_map:encode",
                "return forms.whole(len(completed)) or max(\n"
                "    forms.whole_ranges(), forms.clipped_runs(), forms.clipped_bitmap(), key=_reach\n"
                ")",
                "whole = forms.whole(len(completed))\n"
                "if whole is None:\n"
                "    completed = ((completed[0][0], completed[-1][1]),)\n"
                "    return _Forms.build(base, completed, capacity).whole(1) or Encoded('', ())\n"
                "return whole",
            ),
        ),
        given={"options": {"offset_map_characters_max": 24}},
    ),
    Bug(
        name="first-of-each-range-again",
        says="handles the first record of each completed range of an offset map again",
        oracle="repeats",
        edits=(
            Edit(
                f"{LEDGER}._use_restored", "bisect_left(offsets, start, high)", "bisect_left(offsets, start + 1, high)"
            ),
        ),
    ),
    Bug(
        name="later-runs-one-low",
        says="reads each run of an offset map after the first one offset too low",
        oracle="offset-map",
        also=("commit", "repeats"),
        edits=(
            Edit(
                "trio_consumer.core.offset_map:_read_runs", "expected = start + more + 2", "expected = start + more + 1"
            ),
        ),
    ),
)
