"""The scheduler against a list model: order within a lane, whose turn it is, and how long a lane can wait."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.core.support import P0, P1, P2, record
from trio_consumer.core.lanes import Lane, Scheduler
from trio_consumer.core.ledger import Ledger
from trio_consumer.core.tenures import Tenure
from trio_consumer.record import Partition

TENURES = (P0, P1, P2)


def open_tenure(partition: Partition = P0) -> Tenure:
    tenure = Tenure(partition, 1, Ledger())
    tenure.open = True
    return tenure


def lane_with(tenure: Tenure, *offsets: int, key: object = None) -> Lane:
    return Lane(key, tenure, map(record, offsets))


def offered(scheduler: Scheduler, *lanes: Lane) -> None:
    for lane in lanes:
        scheduler.offer(lane)


def arrive(scheduler: Scheduler, tenure: Tenure, *offsets: int) -> None:
    """As the intake enters records."""
    tenure.fresh.extend(map(record, offsets))
    scheduler.list(tenure)


def taken(scheduler: Scheduler) -> tuple[Tenure, int, Lane | None] | None:
    """Of which tenure the next record is, its offset, and the lane that it comes from unless it is fresh."""
    tenure = scheduler.turn()
    if tenure is None:
        return None
    lane = scheduler.pick(tenure)
    return tenure, (tenure.fresh if lane is None else lane.records).popleft().offset, lane


def offsets_taken(scheduler: Scheduler, count: int) -> list[int | None]:
    return [None if one is None else one[1] for one in (taken(scheduler) for _ in range(count))]


def finish(scheduler: Scheduler, lane: Lane) -> None:
    """What a run does to a lane when it leaves."""
    lane.running = False
    scheduler.offer(lane)


def test_nothing_to_take() -> None:
    assert Scheduler().turn() is None


def test_the_oldest_head_comes_first() -> None:
    scheduler, tenure = Scheduler(), open_tenure()
    offered(scheduler, lane_with(tenure, 7, 8), lane_with(tenure, 3, 20), lane_with(tenure, 5))
    assert offsets_taken(scheduler, 4) == [3, 5, 7, None]


def test_the_oldest_head_comes_first_also_of_fresh_records() -> None:
    scheduler, tenure = Scheduler(), open_tenure()
    offered(scheduler, lane_with(tenure, 4, 5), lane_with(tenure, 9))
    arrive(scheduler, tenure, 3, 6, 8)
    assert offsets_taken(scheduler, 6) == [3, 4, 6, 8, 9, None]


def test_how_many_runs_could_start() -> None:
    scheduler, tenure, other = Scheduler(), open_tenure(), open_tenure(P1)
    assert scheduler.runs_ready(10) == 0
    offered(scheduler, lane_with(tenure, 1, 2, key=b"a"), lane_with(tenure, 3, key=b"b"), lane_with(other, 1, key=b"a"))
    assert scheduler.runs_ready(10) == 3
    arrive(scheduler, tenure, 4, 5, 6)
    assert scheduler.runs_ready(10) == 6
    assert [scheduler.runs_ready(limit) for limit in (5, 6, 7)] == [5, 6, 6]


def test_a_lane_is_offered_once_and_never_while_it_runs_or_is_empty() -> None:
    scheduler, tenure = Scheduler(), open_tenure()
    lane, empty = lane_with(tenure, 1, 2), lane_with(tenure)
    offered(scheduler, lane, lane, empty)
    assert offsets_taken(scheduler, 1) == [1]
    offered(scheduler, lane)
    assert scheduler.turn() is None
    finish(scheduler, lane)
    assert offsets_taken(scheduler, 2) == [2, None]


def test_a_lane_that_is_taken_no_longer_waits_for_its_next_attempt() -> None:
    scheduler, tenure = Scheduler(), open_tenure()
    lane, other = lane_with(tenure, 1), lane_with(tenure, 2)
    tenure.retrying.update({lane: None, other: None})
    offered(scheduler, lane)
    assert taken(scheduler) == (tenure, 1, lane)
    assert list(tenure.retrying) == [other]
    assert (lane.ready, lane.running) == (False, True)


def test_tenures_take_turns() -> None:
    scheduler = Scheduler()
    tenures = [open_tenure(partition) for partition in TENURES]
    for tenure in tenures:
        arrive(scheduler, tenure, 0, 1)
        offered(scheduler, lane_with(tenure, 2))
    expected = [(tenure, offset) for offset in range(3) for tenure in tenures]
    assert [one and one[:2] for one in (taken(scheduler) for _ in range(9))] == expected


@pytest.mark.parametrize("fresh", [True, False])
def test_a_tenure_that_is_not_open_is_passed_over_until_it_is_listed_again(fresh: bool) -> None:
    scheduler = Scheduler()
    tenure, other = open_tenure(), open_tenure(P1)
    tenure.open = False
    for one in (tenure, other):
        if fresh:
            arrive(scheduler, one, 1)
        else:
            offered(scheduler, lane_with(one, 1))
    found = taken(scheduler)
    assert found is not None
    assert found[0] is other
    assert scheduler.turn() is None
    scheduler.list(tenure)
    assert scheduler.turn() is None
    tenure.open = True
    scheduler.list(tenure)
    scheduler.list(tenure)
    assert len(scheduler.ring) == 1
    assert scheduler.turn() is tenure


def test_a_tenure_that_closes_while_it_is_listed_yields_nothing() -> None:
    scheduler, tenure = Scheduler(), open_tenure()
    arrive(scheduler, tenure, 1, 2)
    assert offsets_taken(scheduler, 1) == [1]
    tenure.open = False
    assert scheduler.turn() is None
    tenure.open = True
    scheduler.list(tenure)
    assert offsets_taken(scheduler, 1) == [2]


class SchedulerMachine(RuleBasedStateMachine):
    """Fresh records and lanes of three tenures that open and close, taken and left in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.scheduler = Scheduler()
        self.tenures = [open_tenure(partition) for partition in TENURES]
        self.fresh: dict[Tenure, list[int]] = {tenure: [] for tenure in self.tenures}
        self.lanes: dict[Lane, list[int]] = {}
        self.running: list[Lane] = []
        self.offset = 0
        # Which tenures had a turn since this one has had something ready.
        self.passed: dict[Tenure, set[Tenure]] = {tenure: set() for tenure in self.tenures}

    def heads(self, tenure: Tenure) -> list[int]:
        """What may start now."""
        if not tenure.open:
            return []
        idle = [lane for lane in self.lanes if lane.tenure is tenure and lane not in self.running]
        return self.fresh[tenure][:1] + [self.lanes[lane][0] for lane in idle if self.lanes[lane]]

    def new_offsets(self, count: int) -> list[int]:
        self.offset += count
        return list(range(self.offset - count, self.offset))

    @rule(number=st.integers(0, 2), count=st.integers(1, 5))
    def fetch(self, number: int, count: int) -> None:
        offsets = self.new_offsets(count)
        self.fresh[self.tenures[number]] += offsets
        arrive(self.scheduler, self.tenures[number], *offsets)

    @rule(number=st.integers(0, 2), count=st.integers(1, 3))
    def set_aside(self, number: int, count: int) -> None:
        offsets = self.new_offsets(count)
        lane = lane_with(self.tenures[number], *offsets)
        self.lanes[lane] = offsets
        self.scheduler.offer(lane)

    @precondition(lambda self: self.lanes)
    @rule(data=st.data())
    def join(self, data: st.DataObject) -> None:
        lane = data.draw(st.sampled_from(list(self.lanes)))
        offset = self.new_offsets(1)[0]
        lane.records.append(record(offset))
        self.lanes[lane].append(offset)
        self.scheduler.offer(lane)

    @rule(number=st.integers(0, 2), is_open=st.booleans())
    def open_or_close(self, number: int, is_open: bool) -> None:
        self.passed[self.tenures[number]].clear()
        self.tenures[number].open = is_open
        self.scheduler.list(self.tenures[number])

    @rule()
    def take(self) -> None:
        ready = {tenure: heads for tenure in self.tenures if (heads := self.heads(tenure))}
        found = taken(self.scheduler)
        if found is None:
            assert not ready
            return
        of, offset, lane = found
        assert offset == min(ready[of])
        for tenure in self.tenures:
            if tenure is of or tenure not in ready:
                self.passed[tenure].clear()
            else:
                assert of not in self.passed[tenure]
                self.passed[tenure].add(of)
        if lane is None:
            assert self.fresh[of].pop(0) == offset
        else:
            assert self.lanes[lane].pop(0) == offset
            assert lane not in self.running
            self.running.append(lane)

    @precondition(lambda self: self.running)
    @rule(turn=st.integers(0, 5))
    def leave(self, turn: int) -> None:
        finish(self.scheduler, self.running.pop(turn % len(self.running)))

    @invariant()
    def nothing_is_dropped(self) -> None:
        assert all([one.offset for one in tenure.fresh] == offsets for tenure, offsets in self.fresh.items())
        assert all([one.offset for one in lane.records] == offsets for lane, offsets in self.lanes.items())

    def teardown(self) -> None:
        """Everything is taken in the end."""
        for number in range(3):
            self.open_or_close(number, True)
        while self.running:
            self.leave(0)
        while any(map(self.heads, self.tenures)):
            self.take()
            if self.running:
                self.leave(0)
        assert not any(self.fresh.values())
        assert not any(self.lanes.values())


TestScheduler = SchedulerMachine.TestCase
