"""Bugs of the fence: what of a tenure may still happen once it closes, and after it has ended."""

from __future__ import annotations

from .bug import Bug
from .edits import Edit

CORE = "trio_consumer.core.engine:Core"
POLLER = "trio_consumer.poller:Poller"
RUNS = "trio_consumer.core.runs"
RETURNS = {
    "protocol": "range",
    "faults": frozenset({"handler-ignores-cancellation", "rebalance-storm", "leave", "join"}),
    "scale": {"handler-ignores-cancellation": 60.0},
    "keys": 3,
    "fault_seconds": 10.0,
    "options": {"grace": 0.0, "revoke_deadline": 0.3},
}
"""Partitions come back to a member whose handlers have not left."""

BUGS = (
    Bug(
        name="no-fence-after-revoke",
        says="goes on starting handlers of partitions that are being revoked",
        oracle="fence",
        edits=(Edit(f"{CORE}.close", "tenure.open = False", "tenure.open = not self.stopping"),),
    ),
    Bug(
        name="run-goes-on-after-revoke",
        says="lets a worker finish all records of its run after the revoke has begun",
        oracle="fence",
        edits=(
            Edit(f"{RUNS}:_through_fresh", "if not tenure.open:", "if tenure.state is TenureState.ENDED:"),
            Edit(f"{RUNS}:_through_lane", "if not tenure.open:", "if tenure.state is TenureState.ENDED:"),
        ),
    ),
    Bug(
        name="reopened-while-closing",
        says="opens a tenure for handlers when its start hook returns, though it is being revoked",
        oracle="fence",
        edits=(Edit(f"{CORE}.reopen", "tenure.state is not TenureState.ACTIVE\nor tenure.held", "tenure.held"),),
        given={
            "protocol": "range",
            "hooks": True,
            "faults": frozenset({"hook-slow", "rebalance-storm", "join", "leave"}),
            "scale": {"hook-slow": 5.0},
            "handler_seconds": 0.3,
            "options": {"grace": 1.0, "revoke_deadline": 2.5},
            "settings": {"heartbeat.interval.ms": 50},
        },
    ),
    Bug(
        name="loss-overlooked",
        says="goes on as if lost partitions were still its own",
        oracle="fence",
        edits=(Edit(f"{POLLER}._lose", "self._core.end(tenure, lost=True)", "pass"),),
        given={"faults": frozenset({"loop-blocked-past-poll-interval", "stall-past-session", "member-expelled"})},
    ),
    Bug(
        name="loss-cancels-nothing",
        says="lets handlers of lost partitions run on to their end",
        oracle="cancelled",
        edits=(
            Edit(
                f"{CORE}.end",
                "self.overdue[run] = tenure\nrun.cancel()",
                "self.overdue[run] = tenure",
            ),
        ),
    ),
    Bug(
        name="revoke-cancels-nothing",
        says="waits for handlers during a revoke and never cancels them before the partitions are given back",
        oracle="cancelled",
        edits=(Edit(f"{POLLER}._empty", "run.cancel()", "pass"),),
        given={"options": {"grace": 0.0}},
    ),
    Bug(
        name="released-before-handlers-left",
        says="gives partitions back at once, and cancels their handlers after that",
        oracle="cancelled",
        edits=(Edit(f"{POLLER}._revoke", "stuck = await self._empty(tenures)", "pass"),),
        source="parallel-consumer #777; Pyrallel-Consumer finding 15",
    ),
    Bug(
        name="lane-freed-at-the-end",
        says="frees a lane when its tenure ends, while the handler runs on, so that one key runs twice at once",
        oracle="order",
        edits=(Edit(f"{CORE}.blocked", "return any(", "return False and any("),),
        source="parallel-consumer #843; Pyrallel-Consumer finding 14",
        given=RETURNS,
    ),
    Bug(
        name="stale-outcome-completes-fresh-record",
        says="enters the outcome of a handler of an ended tenure into the ledger of the partition's present one",
        oracle="fence",
        edits=(
            Edit(
                f"{RUNS}:_resolve",
                "core.unblock(tenure.partition, run.key)",
                "core.unblock(tenure.partition, run.key)\n"
                "present = core.tenures.get(tenure.partition)\n"
                "if present is not None and record.offset in present.ledger._incomplete:\n"
                "    present.ledger.complete(record.offset)\n"
                "    core.commits.touch(present)",
            ),
        ),
        source="parallel-consumer #909; Pyrallel-Consumer finding 14",
        given=RETURNS,
    ),
    Bug(
        name="stale-run-hides-fresh-record",
        says="drops a fetched record as known already while a handler of an ended tenure has its offset",
        oracle="order",
        also=("progress", "stuck"),
        edits=(
            Edit(
                "trio_consumer.core.intake:_deliver",
                "tenure.fresh.extend(batch)",
                "busy = {run.record.offset for run, old in core.overdue.items()\n"
                "        if old.partition == tenure.partition and run.record is not None}\n"
                "tenure.fresh.extend(record for record in batch if record.offset not in busy)",
            ),
        ),
        source="parallel-consumer #909, #875",
        given=RETURNS,
    ),
    Bug(
        name="blocked-lane-forgotten",
        says="never frees a lane that waited for a handler of the partition's previous tenure",
        oracle="progress",
        also=("stuck",),
        edits=(
            Edit(f"{CORE}.unblock", "if isinstance(waiting, Lane) and", "if False and isinstance(waiting, Lane) and"),
        ),
        source="parallel-consumer #857",
        given=RETURNS,
    ),
    Bug(
        name="revoke-of-all",
        says="takes a revoke of some partitions for one of all",
        oracle="progress",
        edits=(Edit(f"{CORE}.close", "for partition in partitions if", "for partition in tuple(self.tenures) if"),),
        source="Pyrallel-Consumer (one flag for all partitions)",
        given={"protocol": "cooperative-sticky"},
    ),
    Bug(
        name="overdue-handler-never-forgotten",
        says="keeps the lane of a handler of an ended tenure blocked after the handler has left",
        oracle="progress",
        also=("shutdown", "stuck"),
        edits=(
            Edit(f"{RUNS}:_leave", "core.overdue.pop(run, None)", "pass"),
            Edit(f"{RUNS}:_resolve", "core.overdue.pop(run, None)", "pass"),
        ),
        source="parallel-consumer #547",
        given=RETURNS,
    ),
)
