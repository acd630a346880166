"""Bugs of the tasks around the core: who is asked to stop, and whose death is noticed."""

from __future__ import annotations

from .bug import Bug
from .edits import Edit

POLLER = "trio_consumer.poller:Poller"
CONSUMER = "trio_consumer.consumer:Consumer"

BUGS = (
    Bug(
        name="fatal-error-only-logged",
        says="logs an error after which the client is dead, and waits on for ever",
        oracle="progress",
        edits=(Edit(f"{POLLER}._note", "if event.fatal:", "if False:"),),
        source="Pyrallel-Consumer (by reading)",
        given={"static": True, "faults": frozenset({"instance-id-twice"})},
    ),
    Bug(
        name="every-error-is-fatal",
        says="ends the consumer at any error of the client",
        oracle="errors",
        edits=(Edit(f"{POLLER}._note", "if event.fatal:", "if True:"),),
    ),
    Bug(
        name="full-queue-stops-polling",
        says="does not poll while its queues are full",
        oracle="progress",
        also=("session",),
        edits=(
            Edit(
                f"{POLLER}._let_workers_catch_up",
                "if self._core.queued() >= self._enough and not self._workers.idle:",
                "while self._core.queued() > self._core.limits.records // 2:\n"
                "    await self._workers.relieved.wait()\n"
                "if self._core.queued() >= self._enough and not self._workers.idle:",
            ),
        ),
        source="parallel-consumer #459, #552",
        given={
            "faults": frozenset({"handler-slow"}),
            "scale": {"handler-slow": 10.0},
            "handler_seconds": 0.3,
            "options": {"queued_records_max": 10, "concurrency": 2},
        },
    ),
    Bug(
        name="drain-waits-for-all-queued",
        says="waits in a drain for what is queued too, which it does not start",
        oracle="shutdown",
        edits=(
            Edit(
                f"{CONSUMER}._stop",
                "while core.running and not self._failed:",
                "while (core.running or core.queued()) and not self._failed:",
            ),
        ),
        source="parallel-consumer #642, #685",
    ),
    Bug(
        name="grace-without-end",
        says="waits for running handlers in a revoke for as long as they take",
        oracle="shutdown",
        edits=(
            Edit(
                f"{POLLER}._empty",
                "with trio.move_on_at(begun + self._config.grace):",
                'with trio.move_on_at(float("inf")):',
            ),
            Edit(
                f"{POLLER}._revoke",
                "with trio.move_on_at(deadline) as scope:",
                'with trio.move_on_at(float("inf")) as scope:',
            ),
        ),
        source="parallel-consumer #541, #803",
        given={
            "faults": frozenset({"handler-hangs", "leave", "join", "rebalance-storm"}),
            "scale": {"handler-hangs": 3.0},
        },
    ),
    Bug(
        name="poll-waits-for-workers",
        says="does not poll until a worker is free, however long the handlers take",
        oracle="session",
        also=("shutdown",),
        edits=(
            Edit(
                f"{POLLER}._let_workers_catch_up",
                "with trio.move_on_after(PATIENCE_SECONDS):",
                'with trio.move_on_after(float("inf")):',
            ),
        ),
        source="Pyrallel-Consumer findings 12, 21",
        given={
            "faults": frozenset({"handler-slow", "handler-hangs"}),
            "scale": {"handler-hangs": 3.0},
            "options": {"concurrency": 2},
        },
    ),
    Bug(
        name="handlers-outlive-run",
        says="starts its workers outside of the nursery of run, so that they outlive it",
        oracle="orphans",
        edits=(
            Edit(
                "trio_consumer.workers:Workers._wake",
                "self._nursery.start_soon(self._work)",
                "trio.lowlevel.spawn_system_task(self._work)",
            ),
        ),
        given={"faults": frozenset({"cancel", "leave"}), "handler_seconds": 0.3},
    ),
)
