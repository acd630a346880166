"""Members in processes of their own, seen from the test that started them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trio

from tests.kafka.journal import DIED, Entry, Journal

ROOT = Path(__file__).resolve().parents[2]


class SharedJournal:
    """The journal that processes write, in a directory of the test's."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "journal"
        self.gate = directory / "gate"
        self.path.touch()
        self._file = self.path.open()
        self._begun = ""
        self._journal = Journal()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def now(self) -> Journal:
        """What has been written; the same object each time."""
        *lines, self._begun = (self._begun + self._file.read()).split("\n")
        for line in lines:
            self._journal.add(Entry.parse(line))
        return self._journal

    def died(self, member: str) -> None:
        with self.path.open("a") as file:
            file.write(f"{DIED} {member} - 0 0\n")


class MemberProcess:
    """One member. Leaving the block kills it if it still runs."""

    def __init__(
        self,
        member: str,
        journal: SharedJournal,
        settings: Mapping[str, Any],
        topic: str,
        *,
        stuck: str = "",
        handler_seconds_max: float = 0.02,
        **options: Any,
    ) -> None:
        self.member = member
        self._journal = journal
        self._log = journal.path.with_name(f"log-{member}")
        self._orders = {
            "member": member,
            "journal": str(journal.path),
            "gate": str(journal.gate),
            "stuck": stuck,
            "handler_seconds_max": handler_seconds_max,
            "seed": member,
            "settings": dict(settings),
            "topic": topic,
            "options": options,
        }
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.kafka.member_process", json.dumps(self._orders)],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        process = self._running()
        process.kill()
        process.communicate()

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise RuntimeError("enter it first")
        return self._process

    def send(self, number: signal.Signals) -> None:
        self._running().send_signal(number)

    async def kill(self) -> None:
        """By SIGKILL; from then on its handlers count as dead."""
        self.send(signal.SIGKILL)
        await trio.to_thread.run_sync(self._running().wait)
        self._journal.died(self.member)

    async def drain(self) -> dict[str, Any]:
        """Let it end in order; what it says of itself."""
        output, _ = await trio.to_thread.run_sync(self._running().communicate)
        if self._running().returncode:
            raise RuntimeError(f"member {self.member} ended with {self._running().returncode}: {self._log.read_text()}")
        told: dict[str, Any] = json.loads(output)
        return told
