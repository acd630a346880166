"""Bugs of lanes and workers: which record runs next, and who is woken for it."""

from __future__ import annotations

from .bug import Bug
from .edits import Edit

FRESH = "trio_consumer.core.runs:_through_fresh"
CORE = "trio_consumer.core.engine:Core"
WORKERS = "trio_consumer.workers:Workers"
KEYED = {"options": {"order": "key"}}

BUGS = (
    Bug(
        name="two-lanes-for-one-key",
        says="gives every other record of a key a lane of its own",
        oracle="order",
        edits=(Edit(FRESH, "key = record.key", "key = record.key and (record.key, record.offset % 2)"),),
        given=KEYED,
    ),
    Bug(
        name="lane-offered-while-running",
        says="gives a lane to a second worker when it comes to another record of it while the first one runs it",
        oracle="order",
        edits=(
            Edit(
                FRESH,
                "_wait_behind(tenure, key, record)",
                "runs = lanes.get(key) in tenure.runs\n"
                "_wait_behind(tenure, key, record)\n"
                "if runs:\n"
                "    core.free(tenure, key)",
            ),
        ),
        given=KEYED,
    ),
    Bug(
        name="batch-in-any-order",
        says="queues the records of a fetched batch as they come out of a set",
        oracle="order",
        edits=(
            Edit(
                "trio_consumer.core.intake:_deliver",
                "tenure.fresh.extend(batch)",
                "tenure.fresh.extend(sorted(batch, key=lambda one: one.offset * 7 % 11))",
            ),
        ),
    ),
    Bug(
        name="retry-at-the-back",
        says="puts a record that failed behind the others of its lane",
        oracle="order",
        edits=(
            Edit(
                "trio_consumer.core.runs:failed",
                "lane.records.appendleft(_again(record))",
                "lane.records.append(_again(record))",
            ),
        ),
        given={"options": {"order": "key", "attempts": 5}},
    ),
    Bug(
        name="lane-forgotten",
        says="forgets a lane whose run has ended although more records wait in it",
        oracle="progress",
        edits=(Edit(f"{CORE}.free", "self.scheduler.offer(lane)", "pass"),),
    ),
    Bug(
        name="retry-never-ready",
        says="parks a failed record and never makes it ready again",
        oracle="progress",
        edits=(
            Edit(
                f"{CORE}.unpark",
                "lane.running = False\nself.scheduler.offer(lane)",
                "lane.running = False",
            ),
        ),
    ),
    Bug(
        name="nobody-woken-for-a-retry",
        says="makes a failed record ready again and wakes no worker for it",
        oracle="progress",
        edits=(Edit(f"{WORKERS}.revive", "self.wake()", "pass"),),
    ),
    Bug(
        name="earlier-retry-unheard",
        says="sleeps until the retry that it knew of, and does not hear of a new one",
        oracle="progress",
        edits=(Edit(f"{WORKERS}._broke_off", "self.retry_added.send()", "pass"),),
    ),
    Bug(
        name="opened-tenure-wakes-nobody",
        says="opens a tenure after its start hook and wakes no worker for what had come by then",
        oracle="progress",
        also=("stuck",),
        edits=(Edit("trio_consumer.hooks:Hooks._run_start", "self._opened()", "pass"),),
        given={"hooks": True, "faults": frozenset({"hook-slow", "rebalance-storm"}), "scale": {"hook-slow": 6.0}},
    ),
    Bug(
        name="one-worker-too-many",
        says="starts one worker more than it may",
        oracle="bounds",
        edits=(Edit(f"{WORKERS}._wake", "self._started < self._concurrency", "self._started <= self._concurrency"),),
        given={"options": {"concurrency": 2}},
    ),
    Bug(
        name="one-worker-at-a-time",
        says="wakes no second worker while the first one waits in its handler",
        oracle="stuck",
        edits=(Edit(f"{WORKERS}._serve", "self._wake_others()", "pass"),),
        given={"handler_seconds": 0.3},
    ),
)
