"""The core against a naive model of everything around it: a log with holes, a broker, a client, and some workers.

The model keeps what was handled and counted for each partition, in plain sets, and checks every start of a handler and
every commit against them. The client is played as the port allows it: it drops what is paused one batch late, commits
fail before or after they were applied, partitions are revoked, lost and come back while handlers still run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.core.naive import Life, Side, by_function
from tests.core.support import BOOM, P0, P1, FakeRun, new_core, record
from trio_consumer.client.port import Assigned, Commit, Committed, Records
from trio_consumer.config import Order
from trio_consumer.core.commits import Plan
from trio_consumer.core.picture import picture
from trio_consumer.core.retries import Decision
from trio_consumer.core.tenures import Tenure, TenureState
from trio_consumer.record import Partition

PARTITIONS = (P0, P1)
WORKERS = 4
KEY = st.sampled_from([b"a", b"b", b"bad", None])
PAUSE = 1.0  # the fixed backoff of `new_core`


class CoreMachine(RuleBasedStateMachine):
    @initialize(
        order=st.sampled_from([*Order, by_function]),
        null_key=st.sampled_from(["unordered", "partition"]),
        attempts=st.sampled_from([1, 2, None]),
        exhausted=st.sampled_from(["skip", "halt"]),
        queued=st.integers(2, 40),
        share=st.integers(1, 20),
        characters=st.sampled_from([0, 40, 4095]),
    )
    def open(
        self, order: Any, null_key: str, attempts: int | None, exhausted: str, queued: int, share: int, characters: int
    ) -> None:
        self.order, self.null_key, self.attempts = order, null_key, attempts
        self.core = new_core(
            order=order,
            null_key=null_key,
            attempts=attempts,
            exhausted=exhausted,
            queued_records_max=queued,
            queued_records_max_per_partition=share,
            offset_map_characters_max=characters,
        )
        self.now = 0.0
        self.sides = {partition: Side() for partition in PARTITIONS}
        self.lives: dict[int, Life] = {}
        self.runs = [FakeRun(self.core) for _ in range(WORKERS)]
        self.ahead: list[Partition] = []
        self.user_paused: set[Partition] = set()
        self.travelling: Plan | None = None
        self.handled = self.skipped = self.restored = self.commits = 0
        for partition in PARTITIONS:
            self.assign(partition)

    # Words of the model

    def held(self, state: TenureState | None = None) -> list[Tenure]:
        return [tenure for tenure in self.core.tenures.values() if state is None or tenure.state is state]

    def life(self, tenure: Tenure) -> Life:
        return self.lives[tenure.number]

    def busy(self) -> list[FakeRun]:
        return [run for run in self.runs if run.record is not None]

    def lane_of(self, partition: Partition, offset: int) -> object:
        """The lane's name; one of its own for a record without order."""
        key = self.sides[partition].log[offset]
        if self.order is Order.PARTITION:
            return "all"
        if self.order is Order.UNORDERED or (self.order is by_function and key == b"bad"):
            return offset
        if key is None:
            return "null" if self.null_key == "partition" else offset
        return key

    def is_broken(self, partition: Partition, offset: int) -> bool:
        return self.order is by_function and self.sides[partition].log[offset] == b"bad"

    # What the group does

    @rule(partition=st.sampled_from(PARTITIONS))
    def assign(self, partition: Partition) -> None:
        if partition in self.core.tenures:
            return
        side = self.sides[partition]
        self.core.assigned(Assigned({partition: side.broker}))
        side.fetch_at = side.broker.offset or 0
        restored = {at for at in side.committed_as_done() if at >= side.fetch_at}
        self.lives[self.core.tenures[partition].number] = Life(restored)

    @precondition(lambda self: self.held(TenureState.ACTIVE))
    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        tenure = data.draw(st.sampled_from(self.held(TenureState.ACTIVE)))
        assert self.core.close([tenure.partition]) == [tenure]
        self.ahead = [partition for partition in self.ahead if partition != tenure.partition]

    @precondition(lambda self: self.held(TenureState.CLOSING))
    @rule(data=st.data(), answer=st.sampled_from(["done", "lost reply", "refused"]))
    def give_back(self, data: st.DataObject, answer: str) -> None:
        self.give_back_one(data.draw(st.sampled_from(self.held(TenureState.CLOSING))), answer)

    def give_back_one(self, tenure: Tenure, answer: str) -> None:
        plan = self.core.commits.snapshot([tenure])
        if plan is not None:
            self.answer(plan, answer)
        self.core.end(tenure)

    @precondition(lambda self: self.held())
    @rule(data=st.data(), rarely=st.integers(0, 3))
    def lose(self, data: st.DataObject, rarely: int) -> None:
        if rarely:
            return
        tenure = data.draw(st.sampled_from(self.held()))
        self.core.end(tenure, lost=True)
        self.ahead = [partition for partition in self.ahead if partition != tenure.partition]
        assert all(run.cancels for run in tenure.runs if isinstance(run, FakeRun))

    @rule(data=st.data(), partition=st.sampled_from(PARTITIONS), lost=st.booleans(), keys=st.lists(KEY, min_size=2))
    def go_and_come_back(self, data: st.DataObject, partition: Partition, lost: bool, keys: list[bytes | None]) -> None:
        """The short way to a new tenure that fetches again what runs of the old one still hold."""
        tenure = self.core.tenures.get(partition)
        if tenure is None:
            self.assign(partition)
        elif not self.user_paused:
            self.fetch(data, [(0, key) for key in keys], 0)
            self.start(WORKERS)
            if len(self.busy()) > 1:
                self.succeed(data, 1)
            self.ahead = [other for other in self.ahead if other != partition]
            if lost:
                self.core.end(tenure, lost=True)
            else:
                self.core.close([partition])
                self.give_back_one(tenure, "done")
            self.assign(partition)
            self.fetch(data, [(0, key) for key in keys], 0)
            self.start(1)

    # What the client does

    @rule(
        data=st.data(),
        batch=st.lists(st.tuples(st.integers(0, 2), KEY), min_size=1, max_size=6),
        trailing=st.integers(0, 2),
    )
    def fetch(self, data: st.DataObject, batch: list[tuple[int, bytes | None]], trailing: int) -> None:
        """The next event: what was fetched ahead, else what may be fetched now."""
        core = self.core
        core.flow()
        may = [tenure.partition for tenure in self.held(TenureState.ACTIVE)]
        may = [partition for partition in may if partition not in core.fetch_paused]
        ready, self.ahead = self.ahead, []
        if may:
            self.ahead = [data.draw(st.sampled_from(may), label="ahead")]
        if ready or may:
            partition = ready[0] if ready else data.draw(st.sampled_from(may), label="now")
            self.deliver(partition, batch[: core.limits.batch], trailing)

    def deliver(self, partition: Partition, batch: list[tuple[int, bytes | None]], trailing: int) -> None:
        core, side, tenure = self.core, self.sides[partition], self.core.tenures[partition]
        offsets = [at for at in side.log if at >= side.fetch_at][: len(batch)]
        if not offsets:  # the log grows, with holes
            for hole, key in batch:
                side.log[side.end + hole] = key
                offsets.append(side.end + hole)
                side.end += hole + 1
            side.end += trailing
        later = [at for at in side.log if at > offsets[-1]]
        side.fetch_at = later[0] if later else side.end
        life = self.life(tenure)
        life.delivered += [at for at in offsets if at not in life.restored]
        self.restored += sum(at in life.restored for at in offsets)
        event = [record(at, side.log[at], partition=partition) for at in offsets]
        core.records(Records(event, {partition: side.fetch_at}, {partition: side.end}), self.now)

    # What workers do

    @rule(count=st.integers(1, WORKERS))
    def start(self, count: int) -> None:
        for run in [run for run in self.runs if run.record is None][:count]:
            expected = self.startable()
            started = run.start()
            assert (started is None) == (not expected)
            if started is not None:
                assert (run.tenure.partition, started.offset) in expected
                self.check_start(run)
                if self.is_broken(run.tenure.partition, started.offset):
                    self.fail_with(run)  # before anything is awaited

    def startable(self) -> set[tuple[Partition, int]]:
        """Heads of lanes that nothing holds back."""
        running = {(run.tenure.partition, self.lane_of(run.tenure.partition, run.offset or 0)) for run in self.busy()}
        stale = {(run.tenure.number, run.offset) for run in self.busy()}
        found: set[tuple[Partition, int]] = set()
        for tenure in self.held(TenureState.ACTIVE):
            partition, life = tenure.partition, self.life(tenure)
            seen: set[object] = set()
            for offset in [] if partition in self.user_paused else life.incomplete():
                lane = self.lane_of(partition, offset)
                loose = lane == offset
                if lane in seen or (tenure.number, offset) in stale:
                    seen.add(lane)
                    continue
                seen.add(lane)
                if ((partition, lane) not in running or loose) and offset not in life.not_before:
                    found.add((partition, offset))
        return found

    def check_start(self, run: FakeRun) -> None:
        """What must hold whenever a handler starts with a record."""
        tenure, one = run.tenure, run.record
        assert one is not None
        life, partition = self.life(tenure), tenure.partition
        assert tenure.state is TenureState.ACTIVE
        assert partition not in self.user_paused
        assert one.offset not in life.resolved
        assert one.offset not in life.restored
        assert one.offset not in life.halted
        assert one.offset not in life.not_before
        assert one.attempt == life.failed.get(one.offset, 0) + 1
        assert self.attempts is None or one.attempt <= self.attempts
        lane = self.lane_of(partition, one.offset)
        if lane != one.offset:
            older = [at for at in life.incomplete() if at < one.offset]
            assert all(self.lane_of(partition, at) != lane for at in older)
            for other in self.busy():
                if other is not run and other.tenure.partition == partition:
                    assert self.lane_of(partition, other.offset or 0) != lane
        else:
            assert all(
                (other.tenure, other.offset) != (tenure, one.offset) for other in self.busy() if other is not run
            )

    def resolve(self, run: FakeRun, offset: int) -> None:
        """Notes that this record was handled."""
        tenure = run.tenure
        self.life(tenure).resolved.add(offset)
        if tenure.state is not TenureState.ENDED:
            self.handled += 1
            self.sides[tenure.partition].done.add(offset)

    @precondition(lambda self: self.busy())
    @rule(data=st.data(), count=st.integers(1, 3))
    def succeed(self, data: st.DataObject, count: int) -> None:
        run = data.draw(st.sampled_from(self.busy()))
        for _ in range(count):
            assert run.offset is not None
            if not self.succeed_once(run, run.offset):
                return
            self.check_start(run)

    def succeed_once(self, run: FakeRun, offset: int) -> bool:
        """The handler returns; true if the run goes on with another record."""
        self.resolve(run, offset)
        return run.succeed() is not None

    @precondition(lambda self: self.busy())
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        self.fail_with(data.draw(st.sampled_from(self.busy())))

    def fail_with(self, run: FakeRun) -> None:
        tenure, one = run.tenure, run.record
        assert one is not None
        life = self.life(tenure)
        if self.is_broken(tenure.partition, one.offset) and tenure.state is not TenureState.ENDED:
            try:
                self.core.raise_if_broken(one)
            except LookupError:
                pass
            else:
                raise AssertionError("it has a lane")
        exhausted = self.attempts is not None and one.attempt >= self.attempts
        counts = tenure.state is not TenureState.ENDED
        decision = run.fail(BOOM, self.now)
        if not counts:
            assert decision is None
        elif not exhausted:
            assert decision is Decision.RETRY
            life.failed[one.offset] = one.attempt
            life.not_before[one.offset] = self.now + PAUSE
        elif decision is Decision.HALT:
            life.failed[one.offset] = one.attempt
            life.halted.add(one.offset)
            life.not_before[one.offset] = float("inf")
        else:
            assert decision is Decision.SKIP
            self.sides[tenure.partition].done.add(one.offset)
            life.resolved.add(one.offset)
            self.skipped += 1

    @precondition(lambda self: self.busy())
    @rule(data=st.data())
    def be_cancelled(self, data: st.DataObject) -> None:
        """By the grace or the end of a tenure; handlers of one that goes on are not cancelled."""
        closing = [run for run in self.busy() if run.tenure.state is not TenureState.ACTIVE]
        if closing:
            run = data.draw(st.sampled_from(closing))
            run.be_cancelled()

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        waiting = [at for tenure in self.held() for at in self.life(tenure).not_before.values()]
        due_at = self.core.retry_due_at()
        assert due_at == (min(waiting) if waiting else None) or self.unparked(due_at)
        self.core.unpark(self.now)
        for life in self.lives.values():
            life.not_before = {offset: at for offset, at in life.not_before.items() if at > self.now}

    def unparked(self, due_at: float | None) -> bool:
        """A time that has passed may be remembered a little longer than its tenure."""
        return due_at is not None and due_at <= self.now

    # What the user does

    @rule(partition=st.sampled_from([*PARTITIONS, None]), often=st.integers(0, 3))
    def ask(self, partition: Partition | None, often: int) -> None:
        self.pause_or_resume(partition, paused=not often)

    def pause_or_resume(self, partition: Partition | None, *, paused: bool) -> None:
        named = None if partition is None else [partition]
        if paused:
            self.core.user_pause.pause(named)
            self.user_paused.update(PARTITIONS if named is None else named)
        else:
            self.core.user_pause.resume(named)
            self.user_paused.difference_update(PARTITIONS if named is None else named)
        self.core.reopen_all()

    # Commits

    @rule()
    def plan(self) -> None:
        if self.travelling is None:
            self.travelling = self.core.commits.plan(self.now)

    @precondition(lambda self: self.travelling is not None)
    @rule(answer=st.sampled_from(["done", "lost reply", "refused", "too large"]))
    def answer_plan(self, answer: str) -> None:
        plan, self.travelling = self.travelling, None
        if plan is not None:
            # The client's fence: a commit that names a partition that is gone is refused as a whole.
            gone = any(tenure.state is TenureState.ENDED for tenure in plan.tenures)
            self.answer(plan, "refused" if gone else answer)

    def answer(self, plan: Plan, answer: str) -> None:
        if answer in ("done", "lost reply"):
            for partition, commit in plan.offsets.items():
                self.commit(partition, commit)
        if answer == "done":
            self.commits += 1
            self.core.commits.succeeded(plan)
        else:
            code = {"lost reply": "_TIMED_OUT", "refused": "ILLEGAL_GENERATION"}.get(
                answer, "OFFSET_METADATA_TOO_LARGE"
            )
            self.core.commits.failed(plan, code, self.now)

    def commit(self, partition: Partition, commit: Commit) -> None:
        """The broker stores whatever it is told; what it is told must be done."""
        side = self.sides[partition]
        side.broker = Committed(commit.offset, commit.metadata)
        assert side.committed_as_done() <= side.done
        assert commit.offset <= side.end

    # What always holds

    @invariant()
    def limits_hold(self) -> None:
        active = sum(tenure.queued for tenure in self.held(TenureState.ACTIVE))
        assert active <= self.core.config.queued_records_max
        assert self.core.queued() <= self.core.config.queued_records_max + WORKERS
        for plan in self.plans():
            for commit in plan.offsets.values():
                assert len(commit.metadata) <= self.core.config.offset_map_characters_max

    def plans(self) -> Iterator[Plan]:
        if self.travelling is not None:
            yield self.travelling

    @invariant()
    def counts_agree(self) -> None:
        core = self.core
        seen = picture(core, self.now, client_errors={}, revokes_overrun=0)
        assert set(core.running) == set(self.busy())
        assert seen.in_flight == len(self.busy())
        assert (seen.skipped, seen.restored, seen.commits) == (self.skipped, self.restored, self.commits)
        assert seen.handled == self.handled
        for tenure in self.held():
            life, found = self.life(tenure), seen.partitions[tenure.partition]
            running = {run.offset for run in self.busy() if run.tenure is tenure}
            incomplete = life.incomplete()
            assert found.incomplete == len(incomplete)
            assert found.in_flight == len(running)
            parked = {lane.records[0].offset for lane in tenure.retrying}
            assert set(life.not_before) <= parked <= set(life.failed) - running
            assert found.parked == len(parked)
            assert found.queued == len(incomplete) - len(running) - len(parked)
            assert (found.blocking.offset if found.blocking else None) == (incomplete[0] if incomplete else None)
            assert found.committable == self.committable(tenure)

    def committable(self, tenure: Tenure) -> int | None:
        incomplete = self.life(tenure).incomplete()
        if incomplete:
            return incomplete[0]
        return tenure.ledger.position if tenure.ledger.position is not None else tenure.committed

    def teardown(self) -> None:
        """Once nothing fails any more, everything is handled and committed, and the intake is open."""
        if not hasattr(self, "core"):
            return
        core = self.core
        self.pause_or_resume(None, paused=False)
        if self.travelling is not None:
            self.answer_plan("refused")
        for tenure in self.held(TenureState.CLOSING):
            plan = core.commits.snapshot([tenure])
            if plan is not None:
                self.answer(plan, "done")
            core.end(tenure)
        self.finish_all()
        plan = core.commits.plan(self.now)
        if plan is not None:
            self.answer(plan, "done")
        for tenure in self.held():
            side, life = self.sides[tenure.partition], self.life(tenure)
            left = life.incomplete()
            hopeless = life.halted | {
                at for at in left if self.attempts is None and self.is_broken(tenure.partition, at)
            }
            stuck = {self.lane_of(tenure.partition, at) for at in hopeless}
            assert all(self.lane_of(tenure.partition, at) in stuck for at in left)
            if not left and tenure.ledger.position is not None:
                assert side.broker.offset == side.fetch_at
                assert side.broker.metadata == "" or side.fetch_at < side.end
                assert set(life.delivered) <= side.done
        if not any(life.halted for life in self.lives.values()) and not self.never_ends():
            assert core.queued() == 0
            core.flow()
            assert not core.fetch_paused & set(core.tenures)

    def never_ends(self) -> bool:
        """Broken records that are tried for ever."""
        return self.attempts is None and self.order is by_function

    def finish_all(self) -> None:
        for _ in range(3):
            self.time_passes(PAUSE)
            for run in self.runs:
                while run.record is not None or run.start() is not None:
                    if run.record is not None and self.is_broken(run.tenure.partition, run.record.offset):
                        self.fail_with(run)
                    elif run.record is not None:
                        self.succeed_once(run, run.record.offset)


TestCore = CoreMachine.TestCase
TestCore.settings = settings(max_examples=200, stateful_step_count=60)
