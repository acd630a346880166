"""Lies of the coordinator: wrong verdicts on commits, other offsets than were committed, partitions given twice."""

from __future__ import annotations

from .bug import Bug
from .edits import Edit

APPLY = "simulator.kafka.coordinator.offsets:Offsets.apply"
FETCH = "simulator.kafka.coordinator.offsets:Offsets.fetch"
JUDGE = "simulator.kafka.coordinator.validation:judge"
COORDINATOR = "simulator.kafka.coordinator:Coordinator"
HELD = "held[partition] = commit"

BUGS = (
    Bug(
        name="accepts-stale-generation",
        says="applies commits of an older generation or member epoch",
        oracle="commit-owner",
        lie=True,
        edits=(
            Edit(
                JUDGE,
                "return rule.verdict",
                'late = rule.verdict in ("ILLEGAL_GENERATION", "STALE_MEMBER_EPOCH")\n'
                'return OK if late and table.endswith("commit") else rule.verdict',
            ),
        ),
        given={
            "faults": frozenset({"commit-delayed", "rebalance-storm", "leave", "join"}),
            "scale": {"commit-delayed": 8.0},
        },
    ),
    Bug(
        name="accepts-expelled-members",
        says="applies commits of members that are not in the group any more",
        oracle="commit-owner",
        lie=True,
        edits=(
            Edit(
                JUDGE,
                "return rule.verdict",
                'gone = rule.verdict == "UNKNOWN_MEMBER_ID" and table.endswith("commit")\n'
                "return OK if gone else rule.verdict",
            ),
        ),
        given={
            "members": 4,
            "faults": frozenset({"cut-past-session"}),
            "fault_seconds": 6.0,
            "options": {"commit_interval": 0.02},
        },
    ),
    Bug(
        name="loses-acknowledged-commit",
        says="acknowledges some commits and does not apply them",
        oracle="acknowledged",
        lie=True,
        edits=(
            Edit(
                APPLY,
                "before = held.get(partition)",
                "if number % 5 == 4:\n    continue\nbefore = held.get(partition)",
            ),
        ),
    ),
    Bug(
        name="acknowledges-before-applying",
        says="acknowledges a commit and applies it later",
        oracle="acknowledged",
        lie=True,
        edits=(
            Edit(
                f"{COORDINATOR}._commit",
                "reply(OffsetCommitted(place.offsets.apply(process, request.number, request.offsets, refuse)))",
                "reply(OffsetCommitted({one: refuse(one, commit) for one, commit in request.offsets.items()}))\n"
                "self._clock.after(0.4, place.offsets.apply, process, request.number, request.offsets, refuse)",
            ),
        ),
    ),
    Bug(
        name="applies-refused-commits",
        says="applies a commit that it refuses",
        oracle="acknowledged",
        lie=True,
        edits=(
            Edit(
                f"{COORDINATOR}._refuse_commit",
                "topics = self._topics()",
                "self._place(request.group).offsets._held.update(request.offsets)\ntopics = self._topics()",
            ),
        ),
        given={
            "faults": frozenset({"commit-not-coordinator", "commit-timed-out", "commit-delayed", "rebalance-storm"})
        },
    ),
    Bug(
        name="forgets-metadata",
        says="keeps the offset of a commit and drops its metadata",
        oracle="acknowledged",
        lie=True,
        edits=(Edit(APPLY, HELD, "held[partition] = Commit(commit.offset)"),),
    ),
    Bug(
        name="swaps-metadata",
        says="returns the metadata of another partition beside a partition's offset",
        oracle="acknowledged",
        lie=True,
        edits=(
            Edit(
                FETCH,
                "return self.committed(partition)",
                "own = self.committed(partition)\n"
                "others = [held.metadata for other, held in self._held.items() if other != partition]\n"
                "return Committed(own.offset, others[0] if others and own.offset is not None else own.metadata)",
            ),
        ),
        given={"partitions": 3},
    ),
    Bug(
        name="offset-read-too-high",
        says="returns an offset one above the committed one",
        oracle="acknowledged",
        lie=True,
        edits=(
            Edit(
                FETCH,
                "return self.committed(partition)",
                "own = self.committed(partition)\n"
                "return own if own.offset is None else Committed(own.offset + 1, own.metadata)",
            ),
        ),
    ),
    Bug(
        name="forgets-offsets-when-it-moves",
        says="loses the committed offsets when the group moves to another broker",
        oracle="acknowledged",
        lie=True,
        edits=(
            Edit(
                f"{COORDINATOR}._loaded",
                'place.machine.take("has loaded")',
                'place.machine.take("has loaded")\nplace.offsets._held.clear()',
            ),
        ),
        given={"faults": frozenset({"coordinator-moves", "rebalance-storm", "crash", "leave"})},
    ),
    Bug(
        name="reads-the-commit-before",
        says="returns the offset that was committed before the last one",
        oracle="acknowledged",
        lie=True,
        edits=(
            Edit(APPLY, HELD, 'self.__dict__.setdefault("_before", {})[partition] = before\nheld[partition] = commit'),
            Edit(
                FETCH,
                "return self.committed(partition)",
                'before = self.__dict__.get("_before", {}).get(partition)\n'
                "return Committed(before.offset, before.metadata) if before else self.committed(partition)",
            ),
        ),
    ),
    Bug(
        name="partition-given-to-two",
        says="gives a partition to a member before its owner has given it back",
        oracle="owner",
        lie=True,
        edits=(
            Edit(
                "simulator.kafka.coordinator.consumer_protocol:ConsumerGroup._held_by_others",
                "partition in other.assigned or partition in other.revoking",
                "False",
            ),
        ),
        given={"protocol": "consumer", "members": 3},
    ),
    Bug(
        name="plan-with-a-partition-twice",
        says="gives the first partition of the leader's plan to all members",
        oracle="owner",
        lie=True,
        edits=(
            Edit(
                "simulator.kafka.coordinator.classic:ClassicGroup._take_plan",
                "member.assignment = tuple(assignments.get(member.id, ()))",
                "member.assignment = tuple(\n"
                "    dict.fromkeys((*assignments.get(member.id, ()), *next(iter(assignments.values()), ())[:1]))\n"
                ")",
            ),
        ),
        given={"protocol": "range", "members": 2},
    ),
    Bug(
        name="partition-given-to-nobody",
        says="leaves the last partition out of what it assigns",
        oracle="progress",
        lie=True,
        edits=(
            Edit(
                "simulator.kafka.coordinator.classic:ClassicGroup._take_plan",
                "member.assignment = tuple(assignments.get(member.id, ()))",
                "member.assignment = tuple(assignments.get(member.id, ()))[:2]",
            ),
        ),
        given={"protocol": "range", "partitions": 6},
    ),
    Bug(
        name="sessions-without-end",
        says="keeps members in the group that have not been heard of for longer than a session",
        oracle="progress",
        lie=True,
        edits=(
            Edit(
                "simulator.kafka.coordinator.consumer_protocol:ConsumerGroup._new",
                'lambda: self._remove(member, "session ends")',
                "lambda: None",
            ),
        ),
        given={"protocol": "consumer", "static": False, "faults": frozenset({"crash"})},
    ),
)
