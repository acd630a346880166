"""Offsets: what one partition is refused for, what makes them go away, and the faults of commits."""

from __future__ import annotations

import pytest

from simulator.kafka.requests import OffsetCommit
from simulator.world.history import CommitApplied, CommitRefused, OffsetsForgotten
from trio_consumer import Partition
from trio_consumer.client.port import Commit, Committed

from .coordinator_kit import GROUP, TOPIC, Classic, Consumer848, Kit, orders

P0, P1, P2, _P3 = orders(0, 1, 2, 3)


def member(kit: Kit) -> Classic:
    a = Classic(kit, "a.1")
    kit.form(a)
    return a


def commit_all(a: Classic, offsets: dict[Partition, Commit]) -> dict[Partition, str]:
    request = OffsetCommit(GROUP, a.id, a.instance_id, a.generation, offsets, 1)
    return dict(a.kit.ask(a.process, request).errors)


def test_too_much_metadata_fails_its_partition_only() -> None:
    kit = Kit()
    a = member(kit)
    errors = commit_all(a, {P0: Commit(1, "x" * 4097), P1: Commit(2, "x" * 4096), P2: Commit(3)})
    assert errors == {P0: "OFFSET_METADATA_TOO_LARGE", P1: "", P2: ""}
    assert [applied.partition for applied in kit.events(CommitApplied)] == [P1, P2]
    kit.coordinator.metadata_max = 10
    assert commit_all(a, {P0: Commit(1, "x" * 11)}) == {P0: "OFFSET_METADATA_TOO_LARGE"}
    assert kit.committed(P0).offset is None


def test_what_the_client_appends_counts_too() -> None:
    kit = Kit()
    a = member(kit)
    for length, error in ((4095, ""), (4096, "OFFSET_METADATA_TOO_LARGE")):
        request = OffsetCommit(GROUP, a.id, None, a.generation, {P0: Commit(1, "x" * length)}, padding=1)
        assert kit.ask("a.1", request).errors == {P0: error}


def test_a_partition_that_does_not_exist_fails_by_itself() -> None:
    kit = Kit()
    a = member(kit)
    other = Partition("other", 0)
    assert commit_all(a, {P0: Commit(1), other: Commit(2)}) == {P0: "", other: "UNKNOWN_TOPIC_OR_PART"}
    a.generation += 1
    assert commit_all(a, {P0: Commit(1), other: Commit(2)}) == {
        P0: "ILLEGAL_GENERATION",
        other: "UNKNOWN_TOPIC_OR_PART",
    }


def test_each_change_says_what_was_there_before() -> None:
    kit = Kit()
    a = member(kit)
    a.commit(3)
    a.commit(5)
    assert [(applied.before, applied.offset) for applied in kit.events(CommitApplied)] == [(-1, 3), (3, 5)]


def test_offsets_outlive_their_members() -> None:
    kit = Kit()
    a = member(kit)
    a.commit(3, metadata="map")
    a.leave()
    assert kit.fetch(P0, P1).offsets == {P0: Committed(3, "map"), P1: Committed()}


def test_expiry() -> None:
    kit = Kit()
    a = member(kit)
    a.commit(3)
    kit.coordinator.expire_offsets(GROUP, P0)
    kit.coordinator.expire_offsets(GROUP, P0)
    assert kit.events(OffsetsForgotten) == [OffsetsForgotten(GROUP, P0, 3, -1, "expired")]
    assert kit.committed().offset is None


def test_an_administrator_sets_offsets_of_an_empty_group_only() -> None:
    kit = Kit()
    a = member(kit)
    a.commit(9)
    assert kit.coordinator.set_offset(GROUP, P0, Commit(2)) == "UNKNOWN_MEMBER_ID"
    a.leave()
    assert kit.coordinator.set_offset(GROUP, P0, Commit(2, "theirs")) == ""
    assert kit.committed() == Committed(2, "theirs")
    assert kit.events(OffsetsForgotten) == [OffsetsForgotten(GROUP, P0, 9, 2, "set by an administrator")]
    assert kit.coordinator.set_offset(GROUP, orders(9)[0], Commit(2)) == "UNKNOWN_TOPIC_OR_PART"
    assert kit.coordinator.set_offset(GROUP, P0, Commit(2, "x" * 5000)) == "OFFSET_METADATA_TOO_LARGE"


def test_an_administrator_sets_offsets_of_a_group_that_never_was() -> None:
    kit = Kit()
    assert kit.coordinator.set_offset(GROUP, P0, Commit(2)) == ""
    assert kit.committed().offset == 2


def test_a_living_group_of_the_consumer_protocol_keeps_its_offsets() -> None:
    kit = Kit()
    a = Consumer848(kit, "a.1")
    a.join()
    assert kit.coordinator.set_offset(GROUP, P0, Commit(2)) == "UNKNOWN_MEMBER_ID"


def test_deleting_a_group() -> None:
    kit = Kit()
    assert kit.coordinator.delete_group(GROUP) == "GROUP_ID_NOT_FOUND"
    a = member(kit)
    a.commit(9)
    assert kit.coordinator.delete_group(GROUP) == "NON_EMPTY_GROUP"
    a.leave()
    assert kit.coordinator.delete_group(GROUP) == ""
    assert kit.coordinator.state(GROUP) == "Dead"
    assert kit.committed().offset is None
    assert kit.events(OffsetsForgotten) == [OffsetsForgotten(GROUP, P0, 9, -1, "group deleted")]
    assert a.commit() == "GROUP_ID_NOT_FOUND"
    assert kit.commit() == ""


def test_offsets_of_a_deleted_topic_go() -> None:
    kit = Kit()
    a = member(kit)
    a.commit(9)
    kit.topics["other"] = 1
    a.commit(4, Partition("other", 0))
    del kit.topics[TOPIC]
    kit.coordinator.topics_changed()
    assert [forgotten.reason for forgotten in kit.events(OffsetsForgotten)] == ["topic deleted"]
    assert kit.committed(Partition("other", 0)).offset == 4


def test_an_offset_that_a_transaction_holds_is_not_told() -> None:
    kit = Kit()
    member(kit).commit(9)
    kit.coordinator.unsettle(GROUP, P0, 2)
    assert kit.fetch(P0, P1).offsets == {
        P0: Committed(error="UNSTABLE_OFFSET_COMMIT"),
        P1: Committed(),
    }
    kit.clock.advance(2)
    assert kit.fetch(P0).offsets == {P0: Committed(9)}


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("commit-not-coordinator", "NOT_COORDINATOR"),
        ("commit-loading", "COORDINATOR_LOAD_IN_PROGRESS"),
        ("commit-timed-out", "COORDINATOR_NOT_AVAILABLE"),
    ],
)
def test_a_fault_refuses_the_whole_commit(kind: str, error: str) -> None:
    kit = Kit(faults={kind}, scale={kind: 1000})
    a = member(kit)
    assert commit_all(a, {P0: Commit(1), P1: Commit(2)}) == {P0: error, P1: error}
    assert kit.events(CommitApplied) == []
    assert [refused.error for refused in kit.events(CommitRefused)] == [error, error]
    assert kit.faults.fired == {kind: 1}


def test_a_fault_refuses_one_partition() -> None:
    kit = Kit(faults={"commit-fails-in-part"}, scale={"commit-fails-in-part": 1000})
    a = member(kit)
    errors = commit_all(a, {P0: Commit(1), P1: Commit(2), P2: Commit(3)})
    assert sorted(errors.values()) == ["", "", "UNKNOWN_TOPIC_OR_PART"]
    assert len(kit.events(CommitApplied)) == 2
    # One partition alone can't fail in part.
    assert a.commit() == ""
