"""Bugs of the commits: what is sent, when, and what an answer means."""

from __future__ import annotations

from .bug import Bug
from .edits import Edit

COMMITS = "trio_consumer.core.commits:Commits"
COMMITTER = "trio_consumer.committer:Committer"
TWO_READS = """\
from trio_consumer.core.commits import Plan
from trio_consumer.core.offset_map import encode
from trio_consumer.client.port import Commit
first = [(tenure, tenure.ledger.snapshot()) for tenure in plan.tenures]
await trio.lowlevel.checkpoint()
offsets = {}
for tenure, (before, completed) in first:
    base = tenure.ledger.committable
    shifted = tuple((start - before + base, stop - before + base) for start, stop in completed)
    offsets[tenure.partition] = Commit(base, encode(base, shifted, self._commits.map_characters_max).text)
plan = Plan(offsets, plan.tenures)
try:
    await self._client.commit(plan.offsets)"""

BUGS = (
    Bug(
        name="two-reads-for-one-snapshot",
        says="reads the offset map, lets other tasks run, then reads the offset that the map is written for",
        oracle="offset-map",
        edits=(Edit(f"{COMMITTER}._send", "try:\n    await self._client.commit(plan.offsets)", TWO_READS),),
        source="parallel-consumer #894",
    ),
    Bug(
        name="clean-at-send",
        says="takes a commit for held by the broker as soon as it is sent, so that a failed one is not sent again",
        oracle="progress",
        edits=(
            Edit(
                f"{COMMITS}.failed",
                "tenure.acknowledged = None\nself.touch(tenure)",
                "tenure.acknowledged = plan.offsets[tenure.partition]",
            ),
        ),
        source="parallel-consumer #203",
    ),
    Bug(
        name="failure-counts-as-success",
        says="treats a commit that failed as one that was acknowledged",
        oracle="progress",
        edits=(
            Edit(
                f"{COMMITTER}._send",
                "self._report(plan, error, rule)\nreturn rule",
                "self._report(plan, error, rule)\nself._commits.succeeded(plan)\nfor tenure in plan.tenures:\n"
                "    self._commits.forget(tenure)\nreturn None",
            ),
        ),
        source="parallel-consumer 0.5.3 (CommitFailedException recorded as success)",
    ),
    Bug(
        name="error-blames-the-first",
        says="believes that a failed commit failed for its first partition only",
        oracle="progress",
        edits=(Edit(f"{COMMITS}.failed", "for tenure in plan.tenures:", "for tenure in plan.tenures[:1]:"),),
        given={
            "members": 1,
            "partitions": 6,
            "faults": frozenset({"commit-fails-in-part"}),
            "scale": {"commit-fails-in-part": 10.0},
        },
    ),
    Bug(
        name="answer-cleans-what-came-later",
        says="takes for committed what was completed while the commit was on its way",
        oracle="progress",
        edits=(
            Edit(
                f"{COMMITS}.succeeded",
                "tenure.committed = commit.offset",
                "tenure.committed = commit.offset\nself.forget(tenure)",
            ),
        ),
    ),
    Bug(
        name="answer-acknowledges-today",
        says="notes an answer for the state of the moment, not for what the request said",
        oracle="progress",
        edits=(
            Edit(
                f"{COMMITS}.succeeded",
                "tenure.acknowledged = commit = plan.offsets[tenure.partition]",
                "tenure.acknowledged = commit = self._commit_of(tenure) or plan.offsets[tenure.partition]",
            ),
        ),
    ),
    Bug(
        name="failed-plan-sent-late",
        says="keeps a failed commit and sends it after a newer one",
        oracle="commits-monotone",
        edits=(
            Edit(
                f"{COMMITTER}.run",
                "await self._send(plan)",
                "stale = self.__dict__.pop('_stale', None)\n"
                "if await self._send(plan) is not None:\n"
                "    self._stale = plan\n"
                "elif stale is not None:\n"
                "    await self._send(stale)",
            ),
        ),
    ),
    Bug(
        name="commits-after-the-end",
        says="goes on committing tenures that have ended",
        oracle="commit-owner",
        edits=(
            Edit(
                f"{COMMITS}.forget", "tenure.dirty = False\nself._dirty.pop(tenure, None)", "self._dirty[tenure] = None"
            ),
        ),
    ),
    Bug(
        name="commit-in-lost",
        says="commits what it can when partitions are lost",
        oracle="commit-owner",
        edits=(
            Edit(
                "trio_consumer.poller:Poller._take_in",
                "self._lose(event)",
                "await self._committer.commit_final(\n"
                "    [core.tenures[partition] for partition in event.partitions if partition in core.tenures]\n"
                ")\n"
                "self._lose(event)",
            ),
        ),
    ),
    Bug(
        name="no-commit-in-revoke",
        says="gives partitions back without committing what the drain has finished",
        oracle="repeats",
        edits=(
            Edit(
                "trio_consumer.poller:Poller._revoke",
                "await self._committer.commit_final(tenures)",
                "await trio.lowlevel.checkpoint()",
            ),
        ),
        given={"options": {"commit_interval": 0.5}},
    ),
    Bug(
        name="commit-before-drain",
        says="commits before the running handlers have finished, not after",
        oracle="repeats",
        edits=(
            Edit(
                "trio_consumer.poller:Poller._revoke",
                "stuck = await self._empty(tenures)",
                "await self._committer.commit_final(tenures)\nstuck = await self._empty(tenures)",
            ),
            Edit(
                "trio_consumer.poller:Poller._revoke",
                "with trio.move_on_at(deadline - self._config.revoke_deadline * COMMIT_SHARE):\n"
                "    await self._hooks.finish(tenures)\n"
                "await self._committer.commit_final(tenures)",
                "with trio.move_on_at(deadline - self._config.revoke_deadline * COMMIT_SHARE):\n"
                "    await self._hooks.finish(tenures)",
            ),
        ),
    ),
    Bug(
        name="no-commit-at-the-end",
        says="ends without the last commit",
        oracle="repeats",
        edits=(
            Edit(
                "trio_consumer.consumer:Consumer._finish",
                "await committer.finish()",
                "await trio.lowlevel.checkpoint()",
            ),
        ),
        source="Pyrallel-Consumer finding 18",
    ),
    Bug(
        name="map-limit-ignored",
        says="writes offset maps of any length",
        oracle="bounds",
        edits=(
            Edit(
                f"{COMMITS}._commit_of",
                "snapshot.completed, self.map_characters_max)",
                "snapshot.completed, 32_767)",
            ),
        ),
        given={"options": {"offset_map_characters_max": 0}},
    ),
    Bug(
        name="routine-errors-are-fatal",
        says="ends the consumer when a commit meets a rebalance",
        oracle="errors",
        edits=(
            Edit(
                "trio_consumer.core.commits:rule_for",
                "if fatal:",
                'if fatal or code in ("ILLEGAL_GENERATION", "STALE_MEMBER_EPOCH", "REBALANCE_IN_PROGRESS"):',
            ),
        ),
    ),
)
