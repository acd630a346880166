"""Bugs of the limits: what is fetched, what waits, and what is paused and resumed."""

from __future__ import annotations

from .bug import Bug
from .edits import Edit

CORE = "trio_consumer.core.engine:Core"
WORKERS = "trio_consumer.workers:Workers"
BACKPRESSURE = "trio_consumer.core.backpressure"
SMALL = {"options": {"queued_records_max": 10, "queued_records_max_per_partition": 5}}

BUGS = (
    Bug(
        name="never-paused",
        says="fetches on although its queues are full",
        oracle="bounds",
        edits=(Edit(f"{CORE}.flow", "wanted = tenure.throttled or self.stopping", "wanted = self.stopping"),),
        given=SMALL,
    ),
    Bug(
        name="never-resumed",
        says="pauses a partition whose queue is full and never resumes it",
        oracle="progress",
        edits=(Edit(f"{CORE}.flow", "elif not wanted and paused:", "elif False:"),),
        given=SMALL,
    ),
    Bug(
        name="relief-unnoticed",
        says="does not look again when the queue of a paused partition has become short",
        oracle="progress",
        edits=(
            Edit(f"{WORKERS}.__init__", "core.on_relief = self.relieved.send", "pass"),
            Edit(f"{WORKERS}._left_run", "if tenure.throttled:\n    self.relieved.send()", "pass"),
        ),
        given=SMALL,
    ),
    Bug(
        name="full-and-takes-more",
        says="takes in what partitions bring that it gets while it is full",
        oracle="bounds",
        edits=(Edit("trio_consumer.core.intake:receive", "if len(batch) > room:", "if False:"),),
        given={
            "protocol": "cooperative-sticky",
            "members": 1,
            "faults": frozenset({"rebalance-storm", "join", "handler-slow"}),
            "scale": {"handler-slow": 5.0},
            "handler_seconds": 0.3,
            "partitions": 6,
            "records": 200,
            "keys": 40,
            "fault_seconds": 10.0,
            "options": {"order": "partition", "queued_records_max": 6, "concurrency": 4, "grace": 0.1},
        },
    ),
    Bug(
        name="full-map-stops-the-idle",
        says="stops a partition whose offset map is nearly full, also where nothing is left to wait for",
        oracle="progress",
        edits=(
            Edit(
                f"{BACKPRESSURE}:fullness_of",
                "if map_characters_max and tenure.ledger.incomplete_count:",
                "if map_characters_max:",
            ),
        ),
        given={"options": {"offset_map_characters_max": 30, "queued_records_max": 16}, "handler_seconds": 0.2},
    ),
    Bug(
        name="pause-forgotten-at-the-end",
        says="forgets what it has paused when a tenure ends, while the client keeps it paused",
        oracle="progress",
        edits=(
            Edit(f"{CORE}.end", "self.ended.append(tenure)", "self.ended.append(tenure)\nself.fetch_paused.clear()"),
        ),
        given={
            "protocol": "cooperative-sticky",
            "faults": frozenset({"rebalance-storm", "leave", "join"}),
            "handler_seconds": 0.3,
            "partitions": 6,
            "records": 200,
            "options": {"queued_records_max_per_partition": 2, "concurrency": 4, "grace": 0.4},
        },
    ),
    Bug(
        name="counter-drifts",
        says="counts queued records up and down, and forgets those that were skipped, cancelled or revoked",
        oracle="progress",
        edits=(
            Edit(f"{CORE}.__init__", "self.handled = 0", "self.handled = 0\nself.admitted = 0"),
            Edit(
                "trio_consumer.core.intake:_deliver",
                "tenure.fresh.extend(batch)",
                "core.admitted += len(batch)\ntenure.fresh.extend(batch)",
            ),
            Edit(
                f"{CORE}.flow",
                "pause: list[Partition] = []",
                "for tenure in self.tenures.values():\n"
                "    tenure.throttled |= self.admitted - self.handled >= self.limits.records\n"
                "pause: list[Partition] = []",
            ),
        ),
        source="parallel-consumer #547, #606, #637",
        given={"options": {"queued_records_max": 10}},
    ),
    Bug(
        name="parked-stop-the-partition",
        says="stops a whole partition while one of its records waits for its retry",
        oracle="stuck",
        edits=(
            Edit(
                f"{CORE}.flow",
                "pause: list[Partition] = []",
                "for tenure in self.tenures.values():\n"
                "    tenure.throttled |= bool(tenure.retrying)\n"
                "pause: list[Partition] = []",
            ),
        ),
        source="parallel-consumer fork #487, #497",
        given={"faults": frozenset({"handler-fails-always"}), "options": {"attempts": None}},
    ),
    Bug(
        name="paused-again-and-again",
        says="pauses what is paused already, and looks again at once",
        oracle="hot-loop",
        also=("world",),
        edits=(
            Edit(f"{CORE}.flow", "if wanted and (not paused or partition in self._pause_doubtful):", "if wanted:"),
            Edit(
                "trio_consumer.poller:Poller._follow_flow",
                "await self._client.pause(pause)",
                "await self._client.pause(pause)\nself._poked = True",
            ),
        ),
        given={**SMALL, "handler_seconds": 0.3},
    ),
)
