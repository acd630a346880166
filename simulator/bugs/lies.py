"""Lies of the broker about records: wrong answers to fetches. An oracle that believes the broker would not see them."""

from __future__ import annotations

from .bug import Bug
from .edits import Edit

LOOK = "simulator.kafka.fetching:Fetching.collect"
COLLECT = "simulator.kafka.fetching:Fetching._collect"
READ = "entries = log.read(wanted.offset, below, limit)"
BELOW = "below = log.last_stable if read_committed else log.high_watermark"

BUGS = (
    Bug(
        name="serves-aborted",
        says="serves records of aborted transactions as if they had been committed",
        oracle="delivery",
        lie=True,
        edits=(
            Edit(
                COLLECT,
                READ,
                f"{READ}\n"
                "from attrs import evolve\n"
                "entries = tuple(evolve(entry, aborted=False) if entry.aborted else entry for entry in entries)",
            ),
        ),
        given={"settings": {"isolation.level": "read_committed"}},
    ),
    Bug(
        name="serves-markers",
        says="serves the marker of a transaction as a record",
        oracle="delivery",
        lie=True,
        edits=(
            Edit(
                COLLECT,
                READ,
                f"{READ}\n"
                "from attrs import evolve\n"
                "entries = tuple(evolve(entry, control=False) if entry.control else entry for entry in entries)",
            ),
        ),
    ),
    Bug(
        name="serves-undecided",
        says="serves records of transactions that have not ended to those who read committed ones only",
        oracle="delivery",
        lie=True,
        edits=(
            Edit(
                COLLECT,
                BELOW,
                "below = log.high_watermark",
            ),
        ),
        given={"settings": {"isolation.level": "read_committed"}},
    ),
    Bug(
        name="skips-a-record",
        says="leaves a record out of an answer, silently",
        oracle="delivery",
        lie=True,
        edits=(
            Edit(
                COLLECT,
                READ,
                f"{READ}\nif len(entries) > 2:\n    entries = (*entries[:1], *entries[2:])",
            ),
        ),
    ),
    Bug(
        name="serves-out-of-order",
        says="serves two records in the wrong order",
        oracle="delivery",
        lie=True,
        edits=(
            Edit(
                COLLECT,
                READ,
                f"{READ}\nif len(entries) > 3:\n    entries = (entries[0], entries[2], entries[1], *entries[3:])",
            ),
        ),
    ),
    Bug(
        name="serves-twice",
        says="serves a record twice in one answer",
        oracle="delivery",
        lie=True,
        edits=(Edit(COLLECT, READ, f"{READ}\nentries = (*entries[:1], *entries)"),),
    ),
    Bug(
        name="says-the-end-too-low",
        says="says that the log ends before records that it serves",
        oracle="delivery",
        lie=True,
        edits=(
            Edit(
                COLLECT,
                'FetchedPartition("", entries, following, log.high_watermark, log.last_stable, log.start)',
                'FetchedPartition("", entries, following, wanted.offset, wanted.offset, log.start)',
            ),
        ),
    ),
    Bug(
        name="never-says-that-more-came",
        says="leaves a fetch waiting although records have come, and answers it with nothing",
        oracle="progress",
        lie=True,
        edits=(Edit(LOOK, "if wanted.offset < below and", "if wanted.offset + 3 < below and"),),
    ),
)
