"""Which partitions are fetched from, with many of them: what `Core.flow` need not look at changes nothing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.core.support import FakeRun, assign, handle_all, new_core, record, started
from trio_consumer.client.port import Records
from trio_consumer.core.backpressure import RESUME, fullness_of, fullness_total
from trio_consumer.core.engine import Core
from trio_consumer.record import Partition

PARTITIONS = [Partition("orders", number) for number in range(8)]


def give(core: Core, partition: Partition, count: int, key: bytes | None = None, bytes_max: int = 2) -> None:
    """So many more records of one partition, none of them of more bytes."""
    first = core.tenures[partition].ledger.position or 0
    batch = [record(first + index, key, partition=partition) for index in range(count)]
    core.records(Records(batch, {partition: first + count}, {}, bytes_max), 0.0)


def test_partitions_without_incomplete_offsets_are_not_looked_at() -> None:
    core = new_core()
    for partition in PARTITIONS:
        assign(core, partition)
    core.flow()
    assert not core.unsettled
    give(core, PARTITIONS[3], 2)
    give(core, PARTITIONS[5], 1)
    assert [*core.unsettled] == [PARTITIONS[3], PARTITIONS[5]]
    first = started(core)
    core.flow()
    handle_all(core)
    core.flow()
    assert [*core.unsettled] == [PARTITIONS[3]]
    first.succeed_all()
    core.flow()
    assert not core.unsettled


def test_a_full_total_stops_the_partitions_that_have_nothing_and_lets_them_go() -> None:
    core = new_core(queued_records_max=20, queued_records_max_per_partition=100)
    for partition in PARTITIONS:
        assign(core, partition)
    core.flow()
    give(core, PARTITIONS[0], 20)
    assert core.flow() == (PARTITIONS, [])
    assert core.flow() == ([], [])
    handle_all(core)
    assert core.flow() == ([], PARTITIONS)
    assert core.flow() == ([], [])
    assert not core.unsettled


def test_what_the_user_wants_and_the_end_concern_partitions_that_have_nothing() -> None:
    core = new_core()
    for partition in PARTITIONS:
        assign(core, partition)
    core.flow()
    core.user_pause.pause(PARTITIONS[2:4])
    assert core.flow() == (PARTITIONS[2:4], [])
    assert not core.unsettled
    core.user_pause.pause(None)
    assert core.flow() == (PARTITIONS[:2] + PARTITIONS[4:], [])
    core.user_pause.resume(None)
    assert core.flow() == ([], PARTITIONS)
    core.stop()
    assert core.flow() == (PARTITIONS, [])


def test_a_new_tenure_is_looked_at() -> None:
    """The client may have kept its pause, or not."""
    core = new_core()
    tenure = assign(core, PARTITIONS[0])
    core.user_pause.pause(PARTITIONS[:1])
    core.flow()
    core.end(tenure)
    assert not core.unsettled
    core.user_pause.resume(None)
    assert core.flow() == ([], [])
    assign(core, PARTITIONS[0])
    assert core.flow() == ([], PARTITIONS[:1])
    core.user_pause.pause(PARTITIONS[1:2])
    core.flow()
    assign(core, PARTITIONS[1])
    assert core.flow() == (PARTITIONS[1:2], [])


def test_limits_are_looked_at_when_they_may_be_near() -> None:
    core = new_core(queued_records_max=640, queued_bytes_max_per_partition=1_600)
    assert (core.limits.unchecked, core.limits.unchecked_bytes) == (10, 100)
    tenures = [assign(core, partition) for partition in PARTITIONS]

    def due_after_a_look() -> bool:
        core.flow()
        return core.flow_is_due

    assert core.flow_is_due
    assert not due_after_a_look()
    give(core, PARTITIONS[0], 6)
    assert not core.flow_is_due
    give(core, PARTITIONS[1], 4)
    assert not core.flow_is_due
    give(core, PARTITIONS[2], 1)
    assert core.flow_is_due
    assert not due_after_a_look()
    give(core, PARTITIONS[0], 2, bytes_max=50)
    assert not core.flow_is_due
    give(core, PARTITIONS[1], 1, bytes_max=1)
    assert core.flow_is_due
    assert not due_after_a_look()
    give(core, PARTITIONS[0], 1, bytes_max=0)  # nobody knows
    assert core.flow_is_due
    core.flow()
    core.end(tenures[7])
    assert not core.flow_is_due
    assign(core, PARTITIONS[7])
    assert core.flow_is_due
    assert not due_after_a_look()
    core.user_pause.pause(PARTITIONS[:1])
    assert core.flow_is_due
    assert due_after_a_look()  # as long as something is paused
    core.user_pause.resume(None)
    assert not due_after_a_look()
    core.stop()
    assert core.flow_is_due


@given(st.data())
def test_totals_hold_although_limits_are_looked_at_only_when_they_may_be_near(data: st.DataObject) -> None:
    """Two batches come, as large as allowed, after the pause of their partitions was asked for."""
    core = new_core(
        queued_records_max=data.draw(st.integers(2, 300), label="queued_records_max"),
        queued_records_max_per_partition=data.draw(st.integers(1, 300), label="per partition"),
    )
    for partition in PARTITIONS[:3]:
        assign(core, partition)
    sizes = st.integers(1, core.limits.batch) | st.just(core.limits.batch)
    ahead: list[Partition] = []
    for _ in range(40):
        if core.flow_is_due:
            core.flow()
        fetching = [partition for partition in core.tenures if partition not in core.fetch_paused]
        arriving, ahead = ahead, []
        if fetching:
            arriving = arriving or [data.draw(st.sampled_from(fetching), label="fetched")]
            ahead = [data.draw(st.sampled_from(fetching), label="fetched ahead")]
        for partition in arriving:
            give(core, partition, data.draw(sizes, label="count"), bytes_max=data.draw(st.sampled_from([2, 2, 2, 0])))
        assert not core.seeks
        assert core.queued() <= core.limits.records
        for _ in range(data.draw(st.integers(0, 2), label="runs")):
            FakeRun(core).start()


class FlowMachine(RuleBasedStateMachine):
    """Against a model that looks at every tenure each time."""

    def __init__(self) -> None:
        super().__init__()
        self.core = new_core(
            queued_records_max=24, queued_records_max_per_partition=6, queued_bytes_max=60,
            queued_bytes_max_per_partition=20, offset_map_characters_max=28, attempts=None,
        )  # fmt: skip
        self.full = False
        self.throttled: set[int] = set()  # numbers of tenures
        self.paused: set[Partition] = set()  # as the client has it
        self.runs: list[FakeRun] = []

    @rule(partition=st.sampled_from(PARTITIONS), keeps_pause=st.booleans())
    def assign(self, partition: Partition, keeps_pause: bool) -> None:
        if partition not in self.core.tenures:
            assign(self.core, partition)
            if not keeps_pause:
                self.paused.discard(partition)

    @rule(partition=st.sampled_from(PARTITIONS))
    def end(self, partition: Partition) -> None:
        if partition in self.core.tenures:
            self.core.end(self.core.tenures[partition])

    @precondition(lambda self: self.core.tenures)
    @rule(pick=st.integers(0, 7), count=st.integers(1, 4), key=st.sampled_from([None, b"k"]))
    def give(self, pick: int, count: int, key: bytes | None) -> None:
        give(self.core, [*self.core.tenures][pick % len(self.core.tenures)], count, key)
        self.core.seeks.clear()

    @rule(count=st.integers(1, 4))
    def start(self, count: int) -> None:
        for _ in range(count):
            run = FakeRun(self.core)
            if run.start() is not None:
                self.runs.append(run)

    @precondition(lambda self: self.runs)
    @rule(pick=st.integers(0, 99), how=st.sampled_from(["succeed", "fail", "be_cancelled"]))
    def finish(self, pick: int, how: str) -> None:
        run = self.runs.pop(pick % len(self.runs))
        if how == "succeed":
            run.succeed_all()
        elif how == "fail":
            run.fail()
        else:
            run.be_cancelled()

    @rule()
    def retry(self) -> None:
        self.core.unpark(float("inf"))

    @rule(partitions=st.none() | st.lists(st.sampled_from(PARTITIONS), max_size=3), pause=st.booleans())
    def follow_the_user(self, partitions: list[Partition] | None, pause: bool) -> None:
        if pause:
            self.core.user_pause.pause(partitions)
        else:
            self.core.user_pause.resume(partitions)
        self.core.reopen_all()

    @rule()
    def flow(self) -> None:
        core, limits = self.core, self.core.limits
        total = fullness_total(core.tenures.values(), limits)
        self.full = total > RESUME if self.full else total >= 1
        throttled = set()
        for tenure in core.tenures.values():
            own = fullness_of(tenure, limits, core.commits.map_characters_max)
            if self.full or (own > RESUME if tenure.number in self.throttled else own >= 1):
                throttled.add(tenure.number)
        self.throttled = throttled
        pause, resume = core.flow()
        self.paused.update(pause)
        self.paused.difference_update(resume)
        for partition, tenure in core.tenures.items():
            assert tenure.throttled is (tenure.number in self.throttled)
            wanted = tenure.throttled or core.user_pause.covers(partition)
            assert (partition in self.paused) is wanted
        assert core.full is self.full
        assert core.flow() == ([], [])

    @invariant()
    def what_is_queued_is_known(self) -> None:
        core = self.core
        assert core.queued() == sum(tenure.queued for tenure in core.tenures.values())
        for partition, tenure in core.tenures.items():
            assert partition in core.unsettled or not tenure.ledger.incomplete_count

    def teardown(self) -> None:
        self.core.user_pause.resume(None)
        self.core.reopen_all()
        self.core.unpark(float("inf"))
        for run in self.runs:
            run.succeed_all()
        handle_all(self.core)
        self.flow()
        assert self.paused.isdisjoint(self.core.tenures)
        assert not self.core.unsettled


FlowMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
TestFlowMachine = FlowMachine.TestCase
