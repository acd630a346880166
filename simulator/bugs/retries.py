"""Bugs of attempts and outcomes: what a handler's end means for its record."""

from __future__ import annotations

from .bug import Bug
from .edits import Edit

RUNS = "trio_consumer.core.runs"
SERVE = "trio_consumer.workers:Workers._serve"
CLASSIFY = "trio_consumer.exits:classify"
DECIDE = "trio_consumer.core.retries:decide"
FAILING = frozenset({"handler-fails", "handler-fails-always", "dead-letter-down"})

BUGS = (
    Bug(
        name="attempts-forgotten",
        says="forgets at each retry how often the record was tried",
        oracle="attempts",
        edits=(Edit(f"{RUNS}:_again", "record.attempt + 1", "record.attempt"),),
    ),
    Bug(
        name="one-attempt-more",
        says="tries a record once more than it may",
        oracle="attempts",
        edits=(Edit(DECIDE, "attempt < attempts", "attempt <= attempts"),),
        given={"faults": FAILING, "options": {"attempts": 1}},
    ),
    Bug(
        name="skipped-too-early",
        says="skips a record whose attempts are not exhausted",
        oracle="commit",
        edits=(Edit(DECIDE, "attempt < attempts", "attempt < attempts - 1"),),
        given={"options": {"attempts": 3, "exhausted": "skip"}},
    ),
    Bug(
        name="halt-skips",
        says="counts the record that halts the consumer as done",
        oracle="outcomes",
        also=("commit", "offset-map"),
        edits=(
            Edit(
                f"{RUNS}:failed",
                "core.failures.append(failure)",
                "core.failures.append(failure)\ntenure.ledger.complete(record.offset)\ncore.commits.touch(tenure)",
            ),
        ),
        given={"faults": FAILING, "options": {"attempts": 2, "exhausted": "halt"}},
    ),
    Bug(
        name="no-retries-no-attempt",
        says="does not call the handler at all where no retries are allowed, and commits",
        oracle="commit",
        edits=(
            Edit(
                SERVE,
                "try:\n    await handler(record)",
                "try:\n    if core.config.attempts != 1:\n        await handler(record)",
            ),
        ),
        source="Pyrallel-Consumer finding 2",
        given={"options": {"attempts": 1}},
    ),
    Bug(
        name="group-swallowed",
        says="takes a handler that raised an exception group for one that succeeded",
        oracle="outcomes",
        also=("commit", "offset-map"),
        edits=(
            Edit(
                SERVE,
                "except BaseException as error:",
                "except ExceptionGroup:\n    pass\nexcept BaseException as error:",
            ),
        ),
        source="parallel-consumer #830",
        given={"faults": frozenset({"handler-raises-group"}), "scale": {"handler-raises-group": 3.0}},
    ),
    Bug(
        name="cancelled-counts-as-success",
        says="completes the record of a handler that was cancelled",
        oracle="outcomes",
        also=("commit", "offset-map"),
        edits=(
            Edit(
                f"{RUNS}:cancelled",
                "_held_lane(tenure, run.key).records.appendleft(record)",
                "tenure.ledger.complete(record.offset)\ncore.commits.touch(tenure)",
            ),
        ),
    ),
    Bug(
        name="cancelled-counts-as-failure",
        says="takes a cancelled attempt for a failed one, which may exhaust the record",
        oracle="commit",
        edits=(
            Edit(
                CLASSIFY,
                "Exit.CANCELLED if cancelled else Exit.FAILED",
                "Exit.FAILED",
            ),
        ),
        given={"options": {"attempts": 1, "exhausted": "skip"}},
    ),
    Bug(
        name="error-while-cancelled-counts-as-failure",
        says="takes an error that a handler raised because it was cancelled for a failure of the record",
        oracle="commit",
        edits=(
            Edit(
                CLASSIFY,
                "Exit.CANCELLED if cancelled else Exit.FAILED",
                "Exit.CANCELLED if cancelled and isinstance(error, trio.Cancelled) else Exit.FAILED",
            ),
        ),
        given={
            "faults": frozenset({"handler-fails-while-cancelled", "rebalance-storm", "leave", "join"}),
            "scale": {"handler-fails-while-cancelled": 30.0},
            "handler_seconds": 0.3,
            "options": {"attempts": 1, "exhausted": "skip", "grace": 0.0},
        },
    ),
    Bug(
        name="run-resolved-as-a-whole",
        says="counts the records of a run before the one that failed, and that one, as resolved",
        oracle="commit",
        edits=(
            Edit(f"{RUNS}:take", "run.tenure = tenure", "run.tenure, run.resolved = tenure, 0"),
            Edit(f"{RUNS}:_leave", "run.record, run.resolved = None, 0", "run.record = None"),
            Edit(f"{RUNS}:failed", "if decision is Decision.SKIP:", "if decision is Decision.SKIP or run.resolved:"),
        ),
    ),
)
