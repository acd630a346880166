"""Bugs of lanes and workers: which record runs next, and who is woken for it."""

from __future__ import annotations

from .bug import Bug
from .edits import Edit

INTAKE = "trio_consumer.core.intake"
SCHEDULER = "trio_consumer.core.lanes:Scheduler"
CORE = "trio_consumer.core.engine:Core"
WORKERS = "trio_consumer.workers:Workers"
KEYED = {"options": {"order": "key"}}

BUGS = (
    Bug(
        name="two-lanes-for-one-key",
        says="gives every other record of a key a lane of its own",
        oracle="order",
        edits=(
            Edit(
                f"{INTAKE}:_add",
                "key = record.key if keyed else None",
                "key = (record.key, record.offset % 2) if keyed and record.key is not None else None",
            ),
        ),
        given=KEYED,
    ),
    Bug(
        name="lane-offered-while-running",
        says="gives a lane to a second worker when a record arrives while the first one runs it",
        oracle="order",
        edits=(
            Edit(f"{INTAKE}:_add", "if not lane.serial:\n    core.scheduler.offer(lane)", "core.scheduler.offer(lane)"),
            Edit(f"{SCHEDULER}.take", "lane.running = True", "lane.running = len(lane.records) > 1"),
        ),
        given=KEYED,
    ),
    Bug(
        name="batch-in-any-order",
        says="puts the records of a fetched batch into their lanes as they come out of a set",
        oracle="order",
        edits=(
            Edit(
                f"{INTAKE}:_add",
                "for record in batch:",
                "for record in sorted(batch, key=lambda one: one.offset * 7 % 11):",
            ),
        ),
    ),
    Bug(
        name="retry-at-the-back",
        says="puts a record that failed behind the others of its lane",
        oracle="order",
        edits=(
            Edit(
                f"{CORE}._park",
                "lane.records[0] = retry",
                "lane.records = [*lane.records[1:], retry]",
            ),
        ),
        given={"options": {"order": "key", "attempts": 5}},
    ),
    Bug(
        name="lane-forgotten",
        says="forgets a lane whose run has ended although more records wait in it",
        oracle="progress",
        edits=(
            Edit(
                f"{CORE}.leave",
                "if len(records) > resolved:\n"
                "    del records[:resolved]  # type: ignore[arg-type]\n"
                "    self.scheduler.offer(lane)\n"
                "elif",
                "if len(records) > resolved:\n    del records[:resolved]\nelif",
            ),
        ),
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
        edits=(
            Edit(
                f"{WORKERS}._serve",
                "self._wake(1 if suspended < 2 else min(suspended, core.scheduler.runs_ready()))",
                "pass",
            ),
        ),
        given={"handler_seconds": 0.3},
    ),
)
