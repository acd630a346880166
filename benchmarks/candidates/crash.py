"""Repeats after a crash: a consumer is killed near the middle of its records, and another one of its group goes on.

This supervises a candidate, which may be any consumer that takes a `Job`. The handler of one record never returns in
the first process, so that its lane is stuck from the start; in the second process it does. What matters then is what
the first one had told the broker of the records that it had handled past the stuck one.

Both processes note when each handler began and ended, which tells exactly what ran again, and what was in flight when
the first one was killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs
from confluent_kafka import KafkaException

from .. import marks, runtimes
from ..marks import Marks, Spans
from ..model import Job, Measurement
from ..process import ROOT, run_child
from .expel import expel

KILL_AT = 0.5
"""Part of the records that is handled when the first process is killed."""
FIRST_SECONDS_MAX = 120.0
"""For the first process to come so far."""
LOOK_SECONDS = 0.005
COMMIT_SECONDS = 0.5
"""Our interval between commits, by default; what is handled in so much time may not have been committed."""


@attrs.frozen(kw_only=True)
class Crash:
    """What a crash left, and what ran afterwards.

    Args:
        repeated: Records whose handler began in both processes.
        handled_twice: Those of them whose handler ended in both.
        in_flight: Handlers that had begun and not ended at the kill.
        in_interval: Handlers that had ended in the last `COMMIT_SECONDS` before it.
        handled: Records that were handled by then.
    """

    repeated: int
    handled_twice: int
    in_flight: int
    in_interval: int
    handled: int

    @property
    def measurement(self) -> Measurement:
        return Measurement(
            value=self.repeated,
            detail={
                "handled_twice": self.handled_twice,
                "in_flight": self.in_flight,
                "in_commit_interval": self.in_interval,
                "handled_before": self.handled,
                "beyond_bound": self.repeated - self.in_flight - self.in_interval,
            },
        )


def repeats(job: Job) -> Measurement:
    """Records that ran again."""
    if job.spans:
        return Measurement(value=0.0)  # a warm-up: nothing here depends on the machine
    try:
        command = runtimes.command(job.options["runtime"])
    except runtimes.RuntimeMissing as error:
        return Measurement(value=None, skipped=str(error))
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
        first, second = (_job(job, str(Path(directory, name))) for name in ("first", "second"))
        stuck = attrs.evolve(first, options={**first.options, "stuck": list(job.options["stuck"])})
        seen = Marks(job.marks, job.counts)
        killed_ns = kill_when(command, stuck, lambda: seen.handled >= KILL_AT * job.records)
        if killed_ns is None:
            return Measurement(
                value=None, problems=[f"it handled {seen.handled:,} of {job.records:,} records and no more"]
            )
        try:
            expel(job.bootstrap_servers, job.group)
        except KafkaException as error:
            return Measurement(value=None, skipped=f"this cluster does not tell who is in a group: {error}")
        found = run_child(second, command)
        crash = compare(job.counts, Spans(first.spans, job.counts), Spans(second.spans, job.counts), killed_ns)
    problems = [problem for problem in seen.problems() if "not handled" in problem]
    return attrs.evolve(crash.measurement, problems=[*found.problems, *problems])


def _job(job: Job, spans: str) -> Job:
    """That of one process: the consumer's own, with a file of its own for what it did."""
    marks.create(spans, 16 * job.records)
    return attrs.evolve(job, entry=job.options["entry"], options=job.options["consumer"], spans=spans)


def kill_when(command: Sequence[str], job: Job, due: Callable[[], bool]) -> int | None:
    """Run a job until it is time, and kill it: the monotonic clock then, or ``None`` if that time does not come."""
    until = time.monotonic() + FIRST_SECONDS_MAX
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True
    )
    try:
        if process.stdin is not None:
            process.stdin.write(json.dumps(attrs.asdict(job)))
            process.stdin.close()
        while not due():
            if process.poll() is not None or time.monotonic() > until:
                return None
            time.sleep(LOOK_SECONDS)
        return time.monotonic_ns()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what it has started, too
        process.wait()


def compare(counts: Sequence[int], first: Spans, second: Spans, killed_ns: int) -> Crash:
    """Count what the two processes did."""
    repeated = twice = in_flight = in_interval = handled = 0
    recent_ns = killed_ns - int(COMMIT_SECONDS * 1e9)
    for partition, count in enumerate(counts):
        for offset in range(count):
            began, ended = first.of(partition, offset)
            if not began:
                continue
            began_again, ended_again = second.of(partition, offset)
            repeated += began_again > 0
            twice += ended > 0 and ended_again > 0
            in_flight += not ended
            handled += ended > 0
            in_interval += ended >= recent_ns
    return Crash(repeated=repeated, handled_twice=twice, in_flight=in_flight, in_interval=in_interval, handled=handled)
