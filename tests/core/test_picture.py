"""`statistics()` is derived from the state, so it agrees with it."""

from __future__ import annotations

from collections.abc import Hashable

import attrs
import pytest

from tests.core.support import P0, P1, FakeRun, assign, commit_all, core_with, handle_all, new_core, records, started
from trio_consumer.client.port import Committed
from trio_consumer.config import Order
from trio_consumer.core.engine import Core
from trio_consumer.core.offset_map import encode
from trio_consumer.core.picture import picture
from trio_consumer.record import Record
from trio_consumer.statistics import Blocking, PartitionStatistics, Statistics


def seen(core: Core, now: float = 0.0) -> Statistics:
    return picture(core, now, client_errors={"_TRANSPORT": 2}, revokes_overrun=3)


def blocking(core: Core, now: float = 0.0) -> Blocking | None:
    return seen(core, now).partitions[P0].blocking


def test_an_idle_consumer() -> None:
    assert seen(new_core()) == Statistics(
        partitions={}, queued=0, queued_bytes=0, parked=0, in_flight=0, handled=0, skipped=0, restored=0,
        failed_attempts=0, cancelled_attempts=0, tenures=0, tenures_lost=0, commits=0, commit_errors={},
        client_errors={"_TRANSPORT": 2}, offset_maps_refused=0, offset_maps_cut=0, revokes_overrun=3,
    )  # fmt: skip


def test_a_partition_before_its_first_fetch() -> None:
    core = new_core()
    assign(core)
    assert seen(core).partitions[P0] == PartitionStatistics(
        tenure=1, position=None, committed=None, committable=None, end=None, lag=None, incomplete=0, completed_ahead=0,
        gaps=0, blocking=None, queued=0, parked=0, in_flight=0, paused=False, offset_map_characters=0,
    )  # fmt: skip


def test_a_partition_in_full_swing() -> None:
    core = new_core(attempts=2, exhausted="skip")
    assign(core, committed=Committed(10, encode(10, ((12, 13),), 4095).text))
    keys = {10: b"a", 11: b"b", 12: b"c", 13: b"c", 14: b"d", 15: b"e", 16: b"a", 20: b"f"}
    core.records(records(P0, keys, position=22, end=30), 5.0)
    runs = {run.offset: run for run in (started(core) for _ in range(6))}
    assert set(runs) == {10, 11, 13, 14, 15, 20}
    runs[13].succeed_all()
    runs[15].succeed_all()
    runs[14].fail(now=6.0)
    runs[11].be_cancelled()
    core.user_pause.pause([P0])
    core.flow()
    commit = commit_all(core)[P0]
    found = seen(core, 9.0)
    assert found.partitions[P0] == PartitionStatistics(
        tenure=1, position=22, committed=10, committable=10, end=30, lag=20, incomplete=5, completed_ahead=3, gaps=2,
        blocking=Blocking(offset=10, age=4.0, lane=b"a", state="in-flight", attempt=1), queued=2, parked=1, in_flight=2,
        paused=True, offset_map_characters=len(commit[1]),
    )  # fmt: skip
    assert attrs.evolve(found, partitions={}) == Statistics(
        partitions={}, queued=2, queued_bytes=4, parked=1, in_flight=2, handled=2, skipped=0, restored=1,
        failed_attempts=1, cancelled_attempts=1, tenures=1, tenures_lost=0, commits=1, commit_errors={},
        client_errors={"_TRANSPORT": 2}, offset_maps_refused=0, offset_maps_cut=0, revokes_overrun=3,
    )  # fmt: skip


def test_statistics_are_immutable() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        seen(new_core()).queued = 1  # type: ignore[misc]


def test_they_do_not_change_afterwards() -> None:
    core, _ = core_with([b"a"])
    core.commits.errors["X"] = 1
    found = seen(core)
    core.commits.errors["X"] = 2
    handle_all(core)
    assert (found.queued, found.commit_errors) == (1, {"X": 1})


@pytest.mark.parametrize(
    ("end", "committed", "lag"), [(10, 4, 6), (10, 10, 0), (9, 10, 0), (None, 4, None), (10, None, None)]
)
def test_lag(end: int | None, committed: int | None, lag: int | None) -> None:
    core = new_core()
    tenure = assign(core, committed=Committed(committed))
    tenure.end = end
    assert seen(core).partitions[P0].lag == lag


# What blocks


@pytest.mark.parametrize(
    ("order", "key", "lane"), [(Order.KEY, b"a", b"a"), (Order.KEY, None, None), (Order.PARTITION, b"a", None)]
)
def test_the_states_of_the_blocking_record(order: Order, key: bytes | None, lane: Hashable) -> None:
    core = new_core(order=order)
    assign(core)
    core.records(records(P0, {0: key, 1: b"z"}), 1.0)
    assert blocking(core, 3.0) == Blocking(offset=0, age=2.0, lane=lane, state="queued", attempt=1)
    run = started(core)
    assert blocking(core) == Blocking(offset=0, age=0.0, lane=lane, state="in-flight", attempt=1)
    run.fail()
    assert blocking(core) == Blocking(offset=0, age=0.0, lane=lane, state="parked", attempt=2)
    core.unpark(1.0)
    assert blocking(core) == Blocking(offset=0, age=0.0, lane=lane, state="parked", attempt=2)
    run = started(core)
    assert blocking(core) == Blocking(offset=0, age=0.0, lane=lane, state="in-flight", attempt=2)
    run.be_cancelled()
    assert blocking(core) == Blocking(offset=0, age=0.0, lane=lane, state="queued", attempt=2)
    handle_all(core)
    assert blocking(core) is None


def test_a_record_behind_the_head_of_its_lane_can_block_no_one() -> None:
    core, _ = core_with([b"a", b"b", b"a"])
    first, second = started(core), started(core)
    second.succeed_all()
    first.succeed()
    assert blocking(core) == Blocking(offset=2, age=0.0, lane=b"a", state="queued", attempt=1)
    started(core)
    assert blocking(core) == Blocking(offset=2, age=0.0, lane=b"a", state="in-flight", attempt=1)


def test_the_blocking_record_waits_behind_no_other_lane() -> None:
    core, _ = core_with([b"a", b"b", b"b", b"a"])
    first, second = started(core), started(core)
    assert FakeRun(core).start() is None
    first.succeed_all()
    second.be_cancelled()
    assert blocking(core) == Blocking(offset=1, age=0.0, lane=b"b", state="queued", attempt=1)


def test_a_lane_whose_handler_of_an_earlier_tenure_ignores_its_cancellation_is_stuck() -> None:
    core, tenure = core_with([b"a", b"b"])
    run = started(core)
    core.end(tenure, lost=True)
    assign(core)
    core.records(records(P0, {0: b"a", 1: b"b"}), 0.0)
    assert blocking(core) == Blocking(offset=0, age=0.0, lane=b"a", state="stuck", attempt=1)
    assert seen(core).in_flight == 1
    assert seen(core).partitions[P0].in_flight == 0
    assert seen(core).tenures_lost == 1
    run.succeed_all()
    found = blocking(core)
    assert found is not None
    assert found.state == "queued"


def test_a_picture_taken_by_a_lane_function() -> None:
    """The record has left the queue by then, and is not in a lane yet."""
    found: list[Blocking | None] = []

    def order(one: Record) -> object:
        found.append(blocking(core))
        return one.key

    core = new_core(order=order)
    assign(core)
    core.records(records(P0, {7: b"a"}), 0.0)
    started(core)
    assert found == [Blocking(offset=7, age=0.0, lane=None, state="queued", attempt=1)]


def test_the_age_is_that_of_the_batch() -> None:
    core = new_core()
    assign(core)
    core.records(records(P0, {0: b"a", 1: b"a"}), 1.0)
    core.records(records(P0, {5: b"b"}), 3.0)
    run = started(core)
    run.succeed()
    found = blocking(core, 10.0)
    assert found is not None
    assert (found.offset, found.age) == (1, 9.0)
    run.succeed()
    found = blocking(core, 10.0)
    assert found is not None
    assert (found.offset, found.age) == (5, 7.0)


def test_totals_are_sums_over_partitions() -> None:
    core, _ = core_with([b"a", b"b"])
    assign(core, P1)
    core.records(records(P1, {0: b"a", 1: b"b", 2: b"c"}), 0.0)
    runs = [FakeRun(core) for _ in range(3)]
    for run in runs:
        run.start()
    runs[0].fail()
    found = seen(core)
    parts = found.partitions.values()
    assert found.queued == sum(part.queued for part in parts) == 2
    assert found.parked == sum(part.parked for part in parts) == 1
    assert found.in_flight == sum(part.in_flight for part in parts) == 2
