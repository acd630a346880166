"""The scheduler against a list model: order within a lane, whose turn it is, and how long a lane can wait."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.core.support import P0, P1, P2, record
from trio_consumer.core.lanes import RUN_RECORDS_MAX, Lane, Scheduler
from trio_consumer.core.ledger import Ledger
from trio_consumer.core.tenures import Tenure
from trio_consumer.record import Partition

TENURES = (P0, P1, P2)


def open_tenure(partition: Partition = P0) -> Tenure:
    tenure = Tenure(partition, 1, Ledger())
    tenure.open = True
    return tenure


def lane_with(tenure: Tenure, *offsets: int, serial: bool = True, key: object = None) -> Lane:
    return Lane(key, tenure, serial=serial, records=map(record, offsets))


def offered(scheduler: Scheduler, *lanes: Lane) -> None:
    for lane in lanes:
        scheduler.offer(lane)


def finish(scheduler: Scheduler, lane: Lane, records: int) -> None:
    """What a run does to a serial lane when it leaves."""
    for _ in range(records):
        del lane.records[0]
    lane.running = False
    scheduler.offer(lane)


def test_nothing_to_take() -> None:
    assert Scheduler().take() is None


def test_the_oldest_head_comes_first() -> None:
    scheduler, tenure = Scheduler(), open_tenure()
    lanes = [lane_with(tenure, 7, 8), lane_with(tenure, 3, 20), lane_with(tenure, 5)]
    offered(scheduler, *lanes)
    assert [scheduler.take() for _ in range(4)] == [lanes[1], lanes[2], lanes[0], None]


def test_how_many_runs_could_start() -> None:
    scheduler, tenure, other = Scheduler(), open_tenure(), open_tenure(P1)
    assert scheduler.runs_ready() == 0
    offered(scheduler, lane_with(tenure, 1, 2, key=b"a"), lane_with(tenure, 3, key=b"b"), lane_with(other, 1, key=b"a"))
    assert scheduler.runs_ready() == 3
    loose = tenure.lanes[None] = lane_with(tenure, 4, 5, 6, serial=False)
    assert scheduler.runs_ready() == 6  # not ready yet, and counted all the same: it is a limit
    offered(scheduler, loose)
    assert scheduler.runs_ready() == 7
    scheduler.take()
    tenure.lanes[None] = lane_with(tenure, 4, 5)
    assert scheduler.runs_ready() == 3


def test_a_lane_is_offered_once_and_never_while_it_runs_or_is_empty() -> None:
    scheduler, tenure = Scheduler(), open_tenure()
    lane, empty = lane_with(tenure, 1), lane_with(tenure)
    offered(scheduler, lane, lane, empty)
    assert scheduler.take() is lane
    offered(scheduler, lane)
    assert scheduler.take() is None


def test_tenures_take_turns() -> None:
    scheduler = Scheduler()
    tenures = [open_tenure(partition) for partition in TENURES]
    lanes = [[lane_with(tenure, offset) for offset in range(3)] for tenure in tenures]
    for of_tenure in lanes:
        offered(scheduler, *of_tenure)
    taken = [scheduler.take() for _ in range(9)]
    assert taken == [lanes[number][offset] for offset in range(3) for number in range(3)]


def test_a_tenure_that_is_not_open_is_passed_over_until_it_is_listed_again() -> None:
    scheduler = Scheduler()
    tenure, other = open_tenure(), open_tenure(P1)
    lane, of_other = lane_with(tenure, 1), lane_with(other, 1)
    tenure.open = False
    offered(scheduler, lane, of_other)
    assert scheduler.take() is of_other
    assert scheduler.take() is None
    scheduler.list(tenure)
    assert scheduler.take() is None
    tenure.open = True
    scheduler.list(tenure)
    scheduler.list(tenure)
    assert len(scheduler.ring) == 1
    assert scheduler.take() is lane


def test_a_tenure_that_closes_while_it_is_listed_yields_nothing() -> None:
    scheduler, tenure = Scheduler(), open_tenure()
    lanes = [lane_with(tenure, 1), lane_with(tenure, 2)]
    offered(scheduler, *lanes)
    assert scheduler.take() is lanes[0]
    tenure.open = False
    assert scheduler.take() is None
    tenure.open = True
    scheduler.list(tenure)
    assert scheduler.take() is lanes[1]


def test_a_serial_claim_leaves_the_records_where_they_are() -> None:
    lane = lane_with(open_tenure(), *range(20))
    claimed = [one.offset for one in lane.claim()]
    assert claimed == list(range(RUN_RECORDS_MAX))
    assert [one.offset for one in lane.records] == list(range(20))


def test_a_loose_claim_takes_one_record_at_a_time() -> None:
    lane = lane_with(open_tenure(), *range(20), serial=False)
    first, second = iter(lane.claim()), iter(lane.claim())
    assert [next(first).offset, next(second).offset, next(first).offset] == [0, 1, 2]
    assert [one.offset for one in second] == list(range(3, 3 + RUN_RECORDS_MAX - 1))
    assert [one.offset for one in first] == [18, 19]


def test_a_loose_lane_stays_ready_while_it_has_more() -> None:
    scheduler, tenure = Scheduler(), open_tenure()
    lane = lane_with(tenure, 4, 5, serial=False)
    offered(scheduler, lane)
    claims = []
    for _ in range(2):
        assert scheduler.take() is lane
        claims.append(next(iter(lane.claim())).offset)
    assert claims == [4, 5]
    assert scheduler.take() is None


def test_a_loose_lane_that_others_emptied_costs_its_tenure_no_turn() -> None:
    scheduler = Scheduler()
    tenure, other = open_tenure(), open_tenure(P1)
    loose, behind = lane_with(tenure, 0, 1, 2, serial=False), lane_with(tenure, 9)
    offered(scheduler, loose, behind)
    assert scheduler.take() is loose
    assert len(list(loose.claim())) == 3
    of_other = [lane_with(other, offset) for offset in range(3)]
    offered(scheduler, *of_other)
    assert scheduler.take() is behind
    assert scheduler.take() is of_other[0]


def test_a_loose_record_that_comes_back_can_tie_with_its_lane() -> None:
    """The lane is still listed by the offset that a run has claimed since, and that waits for a retry now."""
    scheduler, tenure = Scheduler(), open_tenure()
    loose = lane_with(tenure, 0, 1, 2, serial=False)
    offered(scheduler, loose)
    assert scheduler.take() is loose
    run = iter(loose.claim())
    assert [next(run).offset, next(run).offset] == [0, 1]
    retry = lane_with(tenure, 1)
    offered(scheduler, retry)
    assert {scheduler.take(), scheduler.take()} == {loose, retry}


@pytest.mark.parametrize("serial", [True, False])
def test_a_new_lane_may_be_empty(serial: bool) -> None:
    lane = Lane(b"k", open_tenure(), serial=serial)
    assert not lane.records
    assert list(lane.claim()) == []


class Model:
    """A lane as the model knows it: incomplete offsets in order, and what of them a run has claimed."""

    def __init__(self, lane: Lane, offset: int) -> None:
        self.lane = lane
        self.waiting = [offset]
        self.runs: list[list[int]] = []


class SchedulerMachine(RuleBasedStateMachine):
    """Serial and loose lanes of three tenures that open and close, taken and finished in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.scheduler = Scheduler()
        self.tenures = [open_tenure(partition) for partition in TENURES]
        self.lanes: dict[Lane, Model] = {}
        self.by_key: dict[tuple[int, object], Lane] = {}
        self.runs: deque[tuple[Model, list[int]]] = deque()
        self.offset = 0
        # Which tenures had a turn since this one has had ready lanes.
        self.passed: dict[Tenure, set[Tenure]] = {tenure: set() for tenure in self.tenures}

    def ready(self, tenure: Tenure) -> list[Model]:
        """Lanes of which a record may start now."""
        if not tenure.open:
            return []
        mine = [model for lane, model in self.lanes.items() if lane.tenure is tenure]
        return [model for model in mine if model.waiting and not (model.lane.serial and model.runs)]

    @rule(number=st.integers(0, 2), key=st.sampled_from(["loose", 1, 2, 3]), count=st.integers(1, 20))
    def append(self, number: int, key: object, count: int) -> None:
        tenure = self.tenures[number]
        for _ in range(count):
            self.offset += 1
            lane = self.by_key.get((number, key))
            if lane is None:
                lane = self.by_key[number, key] = lane_with(tenure, self.offset, serial=key != "loose", key=key)
                self.lanes[lane] = Model(lane, self.offset)
            else:
                lane.records.append(record(self.offset))
                self.lanes[lane].waiting.append(self.offset)
            self.scheduler.offer(lane)

    @rule(number=st.integers(0, 2), is_open=st.booleans())
    def open_or_close(self, number: int, is_open: bool) -> None:
        self.passed[self.tenures[number]].clear()
        self.tenures[number].open = is_open
        self.scheduler.list(self.tenures[number])

    @rule()
    def take(self) -> None:
        ready = {tenure: models for tenure in self.tenures if (models := self.ready(tenure))}
        lane = self.scheduler.take()
        if lane is None:
            assert not ready
            return
        taken = self.lanes[lane]
        assert taken is min(ready[lane.tenure], key=lambda model: model.waiting[0])
        for tenure in self.tenures:
            if tenure is lane.tenure or tenure not in ready:
                self.passed[tenure].clear()
            else:
                assert lane.tenure not in self.passed[tenure]
                self.passed[tenure].add(lane.tenure)
        claimed = [one.offset for one in lane.claim()]
        assert claimed == taken.waiting[:RUN_RECORDS_MAX]
        taken.runs.append(claimed)
        if not lane.serial:
            del taken.waiting[: len(claimed)]
        self.runs.append((taken, claimed))

    @precondition(lambda self: self.runs)
    @rule(turn=st.integers(0, 5), part=st.floats(0, 1))
    def leave(self, turn: int, part: float) -> None:
        self.runs.rotate(turn)
        model, claimed = self.runs.popleft()
        model.runs.remove(claimed)
        if model.lane.serial:
            done = round(part * len(claimed))
            del model.waiting[:done]
            finish(self.scheduler, model.lane, done)

    @invariant()
    def serial_lanes_keep_what_is_not_done(self) -> None:
        for lane, model in self.lanes.items():
            assert [one.offset for one in lane.records] == model.waiting
            assert not lane.serial or len(model.runs) <= 1

    def teardown(self) -> None:
        """Everything is taken in the end."""
        while self.runs:
            self.leave(0, 1)
        for number in range(3):
            self.open_or_close(number, True)
        while any(map(self.ready, self.tenures)):
            self.take()
            self.leave(0, 1)
        assert not any(model.waiting for model in self.lanes.values())


TestScheduler = SchedulerMachine.TestCase
