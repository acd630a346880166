"""The task that commits in the steady state: asynchronous for the client, one request in flight.

What and when is `core.commits`' decision; this sends it and reports the answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import trio

from .client.port import Client
from .core.commits import Commits, Plan, Rule
from .core.tenures import Tenure
from .errors import ClientError
from .signals import Signal

log = logging.getLogger("trio_consumer")

FINAL_ATTEMPTS_MAX = 3
"""Tries of the commit inside a revoke: what fails so often in a row won't succeed before the partitions are gone."""
FINAL_RETRY_SECONDS = 0.1


class Committer:
    """Commits what is due, until told to finish."""

    def __init__(
        self, commits: Commits, client: Client, *, due: Signal, abort: Callable[[BaseException], None]
    ) -> None:
        self._commits = commits
        self._client = client
        self._due = due
        commits.on_pending = due.send
        self._abort = abort
        self._finishing = False
        self._done = trio.Event()
        self._logged: set[str] = set()

    async def run(self) -> None:
        try:
            while not (self._finishing and not self._commits.pending):
                if await self._wait_due():
                    plan = self._commits.plan(trio.current_time())
                    if plan is not None:
                        await self._send(plan)
        finally:
            self._done.set()

    async def _wait_due(self) -> bool:
        """Wait for the next time to look; true if a commit is due."""
        due_at, now = self._commits.due_at(), trio.current_time()
        if due_at is None:
            await self._due.wait()
            self._commits.collect(trio.current_time())
            return False
        if due_at <= now or (self._finishing and not self._commits.failing):
            return True
        with trio.move_on_at(due_at):
            await self._due.wait()
        return False

    async def _send(self, plan: Plan) -> Rule | None:
        try:
            await self._client.commit(plan.offsets)
        except ClientError as error:
            rule = self._commits.failed(plan, error.code, trio.current_time(), fatal=error.fatal)
            self._report(plan, error, rule)
            return rule
        self._commits.succeeded(plan)
        self._logged.clear()
        return None

    def _report(self, plan: Plan, error: ClientError, rule: Rule) -> None:
        if rule is Rule.FATAL:
            self._abort(error)
        elif rule is Rule.SMALLER:
            log.warning(
                "the broker refused an offset map as too large; from now on at most %d characters. Raise the broker's "
                "offset.metadata.max.bytes or lower offset_map_characters_max",
                self._commits.map_characters_max,
            )
        # Once until a commit succeeds: an outage must not fill the log. Every failure is counted in statistics().
        elif error.code not in self._logged:
            self._logged.add(error.code)
            log.info("a commit of %d partitions failed and is sent again: %s", len(plan.offsets), error)

    async def finish(self) -> None:
        """Commit all that there is, without waiting for the interval. Cancel it to give up."""
        self._finishing = True
        self._due.send()
        await self._done.wait()

    async def commit_final(self, tenures: list[Tenure]) -> None:
        """The last commit of tenures that are being revoked. It supersedes one that is unanswered."""
        for attempt in range(FINAL_ATTEMPTS_MAX):
            plan = self._commits.snapshot(tenures)
            if plan is None:
                return
            rule = await self._send(plan)
            if rule is None or rule is Rule.FATAL:
                return
            if attempt < FINAL_ATTEMPTS_MAX - 1:
                await trio.sleep(FINAL_RETRY_SECONDS)
        log.warning(
            "the commit of %s failed %d times before they were given back; their latest records are handled again",
            ", ".join(str(tenure.partition) for tenure in tenures),
            FINAL_ATTEMPTS_MAX,
        )
