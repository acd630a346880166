"""When to commit and what: rules by code, plans as snapshots, acknowledgements, failures and their pauses."""

from __future__ import annotations

import random
from itertools import pairwise

import attrs
import pytest
from confluent_kafka import KafkaError

from tests.core.support import P0, P1, assign, commit_all, core_with, handle_all, new_core, records, started
from trio_consumer.client.port import Commit, Committed
from trio_consumer.core.commits import RETRY_SECONDS, RETRY_SECONDS_MAX, RULES, Commits, Plan, Rule, rule_for
from trio_consumer.core.engine import Core
from trio_consumer.core.offset_map import decode, encode

FATAL = {"GROUP_AUTHORIZATION_FAILED", "TOPIC_AUTHORIZATION_FAILED", "FENCED_INSTANCE_ID", "_FATAL"}
SMALLER = {"OFFSET_METADATA_TOO_LARGE"}
OURS = {"_SUPERSEDED", "_NOT_ASSIGNED"}


def planned(core: Core, now: float = 0.0) -> Plan:
    plan = core.commits.plan(now)
    if plan is None:
        raise AssertionError("there is nothing to commit")
    return plan


def more(core: Core, first: int, count: int = 1) -> None:
    core.records(records(P0, dict.fromkeys(range(first, first + count), b"k")), 0.0)


# Rules


@pytest.mark.parametrize("code", sorted(RULES))
def test_each_rule(code: str) -> None:
    expected = Rule.FATAL if code in FATAL else Rule.SMALLER if code in SMALLER else Rule.AGAIN
    assert rule_for(code, fatal=False) is expected
    assert rule_for(code, fatal=True) is Rule.FATAL
    assert RULES[code].rule is expected
    assert len(RULES[code].source) > 10


def test_every_rule_is_for_an_error_that_exists() -> None:
    names = {KafkaError(number).name() for number in range(-200, 150)}
    assert set(RULES) - OURS <= names


@pytest.mark.parametrize("code", ["UNKNOWN", "SOMETHING_NEW", ""])
def test_what_is_not_listed_is_sent_again_unless_it_is_fatal(code: str) -> None:
    assert rule_for(code, fatal=False) is Rule.AGAIN
    assert rule_for(code, fatal=True) is Rule.FATAL


# Plans


def test_nothing_to_commit_at_first() -> None:
    core = new_core()
    assign(core)
    assert not core.commits.pending
    assert core.commits.due_at() is None
    assert core.commits.plan(0.0) is None


def test_a_touched_tenure_of_which_nothing_is_known_is_not_committed() -> None:
    core = new_core()
    core.commits.touch(assign(core))
    assert core.commits.pending
    assert core.commits.plan(0.0) is None
    assert not core.commits.pending


def test_a_plan_holds_offset_and_map_of_one_instant() -> None:
    core, tenure = core_with([b"a", b"b", b"c", b"d"])
    runs = [started(core) for _ in range(4)]
    runs[1].succeed_all()
    runs[3].succeed_all()
    plan = planned(core)
    runs[0].succeed_all()
    commit = plan.offsets[P0]
    assert (commit.offset, decode(commit.metadata, commit.offset)) == (0, ((1, 2), (3, 4)))
    assert plan.tenures == (tenure,)
    assert tenure.map_characters == len(commit.metadata)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        plan.tenures = ()  # type: ignore[misc]
    commit = planned(core).offsets[P0]
    assert (commit.offset, decode(commit.metadata, commit.offset)) == (2, ((3, 4),))


def test_a_plan_covers_only_what_changed() -> None:
    core, _ = core_with([b"a", b"b"])
    assign(core, P1)
    core.records(records(P1, {0: b"a"}), 0.0)
    assert set(commit_all(core)) == {P0, P1}
    started(core).succeed_all()
    assert set(commit_all(core)) == {P0}
    assert commit_all(core) == {}


def test_what_the_broker_holds_is_not_sent_again() -> None:
    core, tenure = core_with([b"a"])
    handle_all(core)
    assert commit_all(core) == {P0: (1, "")}
    core.commits.touch(tenure)
    assert core.commits.plan(0.0) is None
    assert (tenure.committed, tenure.acknowledged) == (1, Commit(1))


def test_only_the_acknowledgement_makes_a_plan_clean() -> None:
    core, tenure = core_with([b"a", b"a"])
    run = started(core)
    run.succeed()
    plan = planned(core)
    assert not core.commits.pending
    assert (tenure.committed, tenure.acknowledged) == (None, None)
    run.succeed()
    assert core.commits.pending
    core.commits.succeeded(plan)
    assert (tenure.committed, tenure.acknowledged) == (1, plan.offsets[P0])
    assert core.commits.pending
    assert planned(core).offsets == {P0: Commit(2)}


def test_a_tenure_that_has_ended_is_never_planned() -> None:
    core, tenure = core_with([b"a"])
    handle_all(core)
    plan = planned(core)
    core.end(tenure)
    core.commits.failed(plan, "_TRANSPORT", 0.0)
    core.commits.touch(tenure)
    assert not core.commits.pending
    assert core.commits.plan(10.0) is None


def test_forgetting_a_tenure_takes_it_out_of_the_next_plan() -> None:
    core, tenure = core_with([b"a"])
    assign(core, P1)
    core.records(records(P1, {0: b"a"}), 0.0)
    core.commits.forget(tenure)
    core.commits.forget(tenure)
    assert set(planned(core).offsets) == {P1}


def test_the_snapshot_of_a_revoke_takes_its_tenures_out_of_the_steady_plan() -> None:
    core, tenure = core_with([b"a"])
    assign(core, P1)
    core.records(records(P1, {0: b"a"}), 0.0)
    plan = core.commits.snapshot([tenure])
    assert plan is not None
    assert set(plan.offsets) == {P0}
    assert set(planned(core).offsets) == {P1}


# Due


@pytest.mark.parametrize("exhausted", [False, True])
def test_due_by_interval_and_by_count(exhausted: bool) -> None:
    """What was skipped counts as what was handled."""
    core, _ = core_with([b"a"], commit_interval=5, commit_count=3, attempts=1, exhausted="skip")
    commits = core.commits
    due_at = commits.due_at()
    assert due_at is not None
    assert due_at <= 0
    planned(core, 100.0)
    assert commits.due_at() is None
    for offset in range(3):
        if offset:
            more(core, offset)
        run = started(core)
        assert commits.due_at() == 105.0 or offset == 0
        if exhausted:
            run.fail()
        else:
            run.succeed_all()
    assert commits.due_at() == float("-inf")
    planned(core, 101.0)
    more(core, 3)
    assert commits.due_at() == 106.0


def test_a_plan_that_has_nothing_to_say_does_not_move_the_interval() -> None:
    core, tenure = core_with([b"a"], commit_interval=5)
    commit_all(core, 100.0)
    core.commits.touch(tenure)
    assert core.commits.plan(104.0) is None
    core.commits.touch(tenure)
    assert core.commits.due_at() == 105.0


# Failures


def test_after_an_error_everything_of_the_plan_is_dirty_and_unknown() -> None:
    core, tenure = core_with([b"a"])
    handle_all(core)
    commit_all(core)
    more(core, 1)
    handle_all(core)
    plan = planned(core)
    assert core.commits.failed(plan, "_TRANSPORT", 0.0) is Rule.AGAIN
    assert tenure.acknowledged is None
    assert tenure.committed == 1
    assert core.commits.failing
    assert planned(core, 1.0).offsets == {P0: Commit(2)}


def test_an_error_voids_what_was_acknowledged_before() -> None:
    """The client may resend an old request after a newer one was acknowledged."""
    core, _ = core_with([b"a"])
    old = planned(core)
    handle_all(core)
    commit_all(core)
    core.commits.failed(old, "_TIMED_OUT", 0.0)
    assert planned(core, 1.0).offsets == {P0: Commit(1)}


def test_pauses_after_errors_double_and_do_not_yield_to_the_count() -> None:
    core, _ = core_with([b"a"], commit_interval=0.001, commit_count=1)
    handle_all(core)
    now, pauses = 0.0, []
    for _ in range(30):
        plan = planned(core, now)
        core.commits.failed(plan, "_TRANSPORT", now)
        core.commits.resolved = 10
        due_at = core.commits.due_at()
        assert due_at is not None
        pauses.append(due_at - now)
        now = due_at
    doubled = [RETRY_SECONDS * 2**number for number in range(30)]
    assert pauses == pytest.approx([min(RETRY_SECONDS_MAX, pause) for pause in doubled])
    core.commits.succeeded(planned(core, now))
    assert not core.commits.failing
    plan = Plan({}, ())
    core.commits.failed(plan, "_TRANSPORT", now)
    more(core, 1)
    due_at = core.commits.due_at()
    assert due_at == pytest.approx(now + RETRY_SECONDS)


def test_an_error_never_shortens_the_interval() -> None:
    core, _ = core_with([b"a"], commit_interval=5)
    core.commits.failed(planned(core, 100.0), "_TRANSPORT", 100.0)
    assert core.commits.due_at() == 105.0


def test_errors_are_counted_by_code() -> None:
    core, _ = core_with([b"a"])
    plan = planned(core)
    assert core.commits.failed(plan, "_TRANSPORT", 0.0) is Rule.AGAIN
    assert core.commits.failed(plan, "_TRANSPORT", 0.0) is Rule.AGAIN
    assert core.commits.failed(plan, "GROUP_AUTHORIZATION_FAILED", 0.0) is Rule.FATAL
    assert core.commits.failed(plan, "WHATEVER", 0.0, fatal=True) is Rule.FATAL
    assert core.commits.errors == {"_TRANSPORT": 2, "GROUP_AUTHORIZATION_FAILED": 1, "WHATEVER": 1}
    core.commits.succeeded(planned(core))
    assert core.commits.acknowledged == 1


# Offset maps


def scatter(core: Core, count: int) -> list[int]:
    """Handle about half of the records, at random, but not the first one; their offsets."""
    runs = [started(core) for _ in range(count)]
    handled = sorted(random.Random(count).sample(range(1, count), count // 2))
    for offset in handled:
        runs[offset].succeed_all()
    return handled


def offsets_of(commit: Commit) -> list[int]:
    ranges = decode(commit.metadata, commit.offset)
    return [offset for start, stop in ranges for offset in range(start, stop)]


def test_an_oversized_map_is_cut_to_a_prefix_and_counted() -> None:
    core, _ = core_with([bytes([number]) for number in range(240)], offset_map_characters_max=40)
    handled = scatter(core, 240)
    commit = planned(core).offsets[P0]
    assert len(commit.metadata) <= 40
    kept = offsets_of(commit)
    assert 20 < len(kept) < len(handled)
    assert kept == handled[: len(kept)]
    assert core.commits.cut == 1


def test_a_map_that_fits_is_whole_and_not_counted() -> None:
    core, _ = core_with([bytes([number]) for number in range(240)])
    handled = scatter(core, 240)
    commit = planned(core).offsets[P0]
    assert offsets_of(commit) == handled
    assert core.commits.cut == 0


def test_a_refused_map_is_halved_until_it_is_accepted() -> None:
    core, _ = core_with([bytes([number]) for number in range(240)])
    scatter(core, 240)
    broker_takes = 45
    sizes: list[int] = []
    while len(sizes) < 10:
        plan = planned(core)
        sizes.append(len(plan.offsets[P0].metadata))
        if sizes[-1] <= broker_takes:
            core.commits.succeeded(plan)
            break
        assert core.commits.failed(plan, "OFFSET_METADATA_TOO_LARGE", 0.0) is Rule.SMALLER
    assert len(sizes) > 1
    assert all(after <= before // 2 for before, after in pairwise(sizes))
    assert core.commits.map_characters_max <= broker_takes


def test_a_refusal_never_raises_the_limit() -> None:
    commits = Commits(1, 1, 10)
    plan = Plan({P0: Commit(5, "x" * 100)}, ())
    assert commits.failed(plan, "OFFSET_METADATA_TOO_LARGE", 0.0) is Rule.SMALLER
    assert commits.map_characters_max == 10


def test_plain_offsets_when_maps_are_off() -> None:
    core, _ = core_with([bytes([number]) for number in range(10)], offset_map_characters_max=0)
    scatter(core, 10)
    assert planned(core).offsets == {P0: Commit(0)}
    assert core.commits.cut == 0


@pytest.mark.parametrize("committed", [Committed(7), Committed(7, encode(7, ((9, 10),), 4095).text)])
def test_the_first_commit_keeps_what_was_restored(committed: Committed) -> None:
    core = new_core()
    tenure = assign(core, committed=committed)
    assert tenure.committed == 7
    core.commits.touch(tenure)
    assert planned(core).offsets == {P0: Commit(7, committed.metadata)}


def test_who_waits_for_something_to_commit_is_called_once() -> None:
    core, _ = core_with([b"a", b"b", b"c"])
    calls: list[bool] = []
    core.commits.on_pending = lambda: calls.append(core.commits.pending)
    handle_all(core)
    assert calls == []  # the fetch was news already
    commit_all(core)
    more(core, 3, 2)
    handle_all(core)
    assert calls == [True]


def test_after_a_pause_an_interval_is_waited_for_company() -> None:
    core, _ = core_with([b"a", b"b"], commit_interval=10.0)
    handle_all(core)
    assert core.commits.plan(100.0) is not None
    core.commits.collect(101.0)
    more(core, 2)
    assert core.commits.due_at() == 110.0
    core.commits.collect(500.0)
    assert core.commits.due_at() == 510.0
