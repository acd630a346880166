"""What the tests of the core share: records, a core, and a worker without Trio."""

from __future__ import annotations

import random
from collections.abc import Generator, Hashable, Iterable, Mapping
from typing import Any

from trio_consumer.client.port import Assigned, Committed, Records
from trio_consumer.config import ConsumerConfig
from trio_consumer.core.engine import Core
from trio_consumer.core.ledger import Ledger
from trio_consumer.core.offset_map import Ranges
from trio_consumer.core.retries import Backoff, Decision
from trio_consumer.core.tenures import Tenure, TenureState
from trio_consumer.record import Partition, Record

P0, P1, P2 = (Partition("orders", number) for number in range(3))
BOOM = ValueError("boom")


def record(
    offset: int, key: bytes | None = b"k", value: bytes | None = b"v", *, partition: Partition = P0, attempt: int = 1
) -> Record:
    return Record(*partition, offset, key, value, attempt=attempt)


def records(
    partition: Partition, keys: Mapping[int, bytes | None], *, position: int | None = None, end: int | None = None
) -> Records:
    """One batch of one partition: a key for each offset, and the position after it unless it is told."""
    batch = [record(offset, key, partition=partition) for offset, key in keys.items()]
    at = batch[-1].offset + 1 if position is None else position
    return Records(batch, {partition: at}, {} if end is None else {partition: end})


def new_core(seed: int = 0, **options: Any) -> Core:
    """A core with a fixed pause of one second between attempts, unless it is told."""
    return Core(ConsumerConfig(**{"backoff": Backoff(first=1, factor=1, jitter=0), **options}), random.Random(seed))


def assign(core: Core, partition: Partition = P0, committed: Committed | None = None) -> Tenure:
    core.assigned(Assigned({partition: Committed() if committed is None else committed}))
    return core.tenures[partition]


def core_with(keys: Iterable[bytes | None], **options: Any) -> tuple[Core, Tenure]:
    """A core whose one partition got these keys at offsets 0, 1, ..."""
    core = new_core(**options)
    tenure = assign(core)
    core.records(records(P0, dict(enumerate(keys))), 0.0)
    return core, tenure


class FakeRun:
    """A worker's run, one record after the other, as a worker does it: the caller says how each handler ends."""

    tenure: Tenure

    def __init__(self, core: Core) -> None:
        self.core = core
        self.key: Hashable = None
        self.record: Record | None = None
        self.resolved = 0
        self.cancels = 0
        self._records: Generator[Record] = _nothing()

    def cancel(self) -> None:
        self.cancels += 1

    @property
    def offset(self) -> int | None:
        """Offset of the record whose handler runs."""
        return None if self.record is None else self.record.offset

    def start(self) -> Record | None:
        """Start the handler of the oldest record whose turn it is; ``None`` if none is ready."""
        while (records := self.core.take(self)) is not None:
            self._records = records
            if (record := next(records, None)) is not None:
                return record
        return None

    def succeed(self) -> Record | None:
        """The handler returned. The record that the run starts next, if it does."""
        self._running()
        return next(self._records, None)

    def succeed_all(self) -> None:
        while self.succeed() is not None:
            pass

    def fail(self, error: BaseException = BOOM, now: float = 0.0) -> Decision | None:
        record = self._running()
        self._records.close()
        return self.core.failed(self, record, error, now)

    def be_cancelled(self) -> None:
        record = self._running()
        self._records.close()
        self.core.cancelled(self, record)

    def _running(self) -> Record:
        if self.record is None:
            raise AssertionError("this run has no record")
        return self.record


def _nothing() -> Generator[Record]:
    yield from ()


def started(core: Core) -> FakeRun:
    """A run that has taken the lane whose turn it is."""
    run = FakeRun(core)
    if run.start() is None:
        raise AssertionError("no lane is ready")
    return run


def handle_all(core: Core) -> list[int]:
    """One run after the other, each succeeding, until no lane is ready; the offsets in the order they were handled."""
    handled: list[int] = []
    while True:
        run = FakeRun(core)
        current = run.start()
        if current is None:
            return handled
        while current is not None:
            handled.append(current.offset)
            current = run.succeed()


def commit_all(core: Core, now: float = 0.0) -> dict[Partition, tuple[int, str]]:
    """Plan and acknowledge once; what the broker holds then of what was sent."""
    plan = core.commits.plan(now)
    if plan is None:
        return {}
    core.commits.succeeded(plan)
    return {partition: (commit.offset, commit.metadata) for partition, commit in plan.offsets.items()}


def delivered(
    offsets: list[int], completed: Iterable[int] = (), *, restored: Ranges = (), start: int | None = None
) -> Ledger:
    """A ledger to which these were delivered in one batch, and of which these were completed in this order."""
    ledger = Ledger(restored, start)
    ledger.deliver(offsets)
    for offset in completed:
        ledger.complete(offset)
    return ledger


def ended(tenure: Tenure) -> bool:
    return tenure.state is TenureState.ENDED
