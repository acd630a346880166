"""KIP-848: epochs, the way from one owner to the next, and what fences."""

from __future__ import annotations

import pytest

from simulator.kafka.requests import OffsetCommit
from trio_consumer import Partition
from trio_consumer.client.port import Commit

from .coordinator_kit import GROUP, REBALANCE, TOPIC, Consumer848, Kit, orders, settle

SESSION = 45.0


def pair(version: str = "4.3") -> tuple[Kit, Consumer848, Consumer848]:
    kit = Kit(version=version)
    a, b = Consumer848(kit, "a.1"), Consumer848(kit, "b.1")
    a.join()
    b.join()
    settle(a, b)
    return kit, a, b


def state_of(member: Consumer848) -> str:
    return member.kit.coordinator.members(GROUP)[member.id].state


def test_one_member_gets_everything_at_once() -> None:
    kit = Kit()
    a = Consumer848(kit, "a.1")
    assert a.join() == ""
    assert a.owned == orders(0, 1, 2, 3)
    assert a.epoch == 1
    assert kit.coordinator.state(GROUP) == "Stable"


def test_a_partition_changes_hands_when_its_owner_says_so() -> None:
    kit = Kit()
    a, b = Consumer848(kit, "a.1"), Consumer848(kit, "b.1")
    a.join()
    b.join()
    assert b.owned == ()
    assert state_of(b) == "Unreleased"
    # A is told, still owns all, and its epoch stays.
    answer = a.beat()
    assert answer.assignment == orders(0, 1)
    assert (state_of(a), a.epoch) == ("Unrevoked", 1)
    assert b.follow() == ""
    assert b.owned == ()
    # A has given back: now its epoch moves, and B gets them.
    a.owned = a.assignment
    a.beat()
    assert (state_of(a), a.epoch) == ("Stable", 2)
    assert kit.coordinator.state(GROUP) == "Reconciling"
    b.follow()
    assert b.owned == orders(2, 3)
    assert kit.coordinator.state(GROUP) == "Stable"


def test_a_heartbeat_without_news_is_answered_without_an_assignment() -> None:
    _, a, _b = pair()
    assert a.beat(full=False).assignment is None
    assert a.beat().assignment == a.owned


def test_who_does_not_give_back_in_time_is_out() -> None:
    kit = Kit()
    a, b = Consumer848(kit, "a.1"), Consumer848(kit, "b.1")
    a.join()
    b.join()
    a.beat()
    for _ in range(int(REBALANCE) - 1):
        kit.clock.advance(1)
        assert a.beat().error == ""
    kit.clock.advance(1)
    assert a.beat().error == "UNKNOWN_MEMBER_ID"
    b.follow()
    assert b.owned == orders(0, 1, 2, 3)


def test_the_broker_ends_a_silent_session() -> None:
    kit, a, b = pair()
    kit.clock.advance(SESSION - 1)
    assert b.follow() == ""
    kit.clock.advance(1)
    assert a.beat().error == "UNKNOWN_MEMBER_ID"
    assert a.commit() == "UNKNOWN_MEMBER_ID"
    b.follow()
    assert b.owned == orders(0, 1, 2, 3)


def test_commits_do_not_keep_the_session_alive() -> None:
    kit, a, b = pair()
    for _ in range(int(SESSION)):
        kit.clock.advance(1)
        b.follow()
        a.commit()
    assert a.commit() == "UNKNOWN_MEMBER_ID"


def test_leaving_frees_the_partitions() -> None:
    kit, a, b = pair()
    assert a.leave() == ""
    b.follow()
    assert b.owned == orders(0, 1, 2, 3)
    assert a.leave() == "UNKNOWN_MEMBER_ID"
    assert b.leave() == ""
    assert kit.coordinator.state(GROUP) == "Empty"


def test_another_epoch_is_fenced() -> None:
    _, a, _b = pair()
    assert a.beat(a.epoch + 1).error == "FENCED_MEMBER_EPOCH"
    assert a.beat(a.epoch - 1, full=False).error == "FENCED_MEMBER_EPOCH"


def test_an_answer_that_was_lost_is_given_again() -> None:
    kit = Kit()
    a, b = Consumer848(kit, "a.1"), Consumer848(kit, "b.1")
    a.join()
    b.join()
    a.beat()
    a.owned = a.assignment
    # This answer brings epoch 2; it gets lost, so A comes with epoch 1 again.
    a.beat()
    assert a.beat(1).member_epoch == 2
    # Only with what it may have, and only if it says so.
    assert a.beat(1, full=False).error == "FENCED_MEMBER_EPOCH"
    a.owned = orders(0, 1, 2, 3)
    assert a.beat(1).error == "FENCED_MEMBER_EPOCH"


@pytest.mark.parametrize(("version", "error"), [("4.1", "FENCED_MEMBER_EPOCH"), ("4.3", "")])
def test_beginning_anew_under_the_same_id(version: str, error: str) -> None:
    _, a, b = pair(version)
    b.leave()
    settle(a)
    assert a.join() == error


def test_an_unknown_member_is_told_so() -> None:
    kit = Kit()
    a = Consumer848(kit, "a.1")
    assert a.beat(3).error == "UNKNOWN_MEMBER_ID"
    assert a.leave() == "UNKNOWN_MEMBER_ID"
    a.join()
    assert Consumer848(kit, "b.1").beat(3).error == "UNKNOWN_MEMBER_ID"


def test_a_client_may_let_the_coordinator_choose_its_id() -> None:
    kit = Kit()
    a = Consumer848(kit, "a.1")
    a.id = ""
    a.beat()
    assert list(kit.coordinator.members(GROUP)) == ["a.1-1"]


def test_partitions_that_are_added_are_assigned() -> None:
    kit, a, b = pair()
    kit.topics[TOPIC] = 6
    kit.coordinator.topics_changed()
    settle(a, b)
    assert sorted(a.owned + b.owned) == list(orders(0, 1, 2, 3, 4, 5))
    assert len(a.owned) == 3


def test_a_topic_that_is_deleted_is_given_back() -> None:
    kit, a, b = pair()
    a.commit(9)
    del kit.topics[TOPIC]
    kit.coordinator.topics_changed()
    settle(a, b)
    assert a.owned == b.owned == ()
    assert kit.committed().offset is None


def test_another_subscription_moves_the_group() -> None:
    kit, a, b = pair()
    kit.topics["more"] = 2
    a.topics = (TOPIC, "more")
    settle(a, b)
    assert [partition.topic for partition in a.owned].count("more") == 2


# Static members


def static(kit: Kit, name: str) -> Consumer848:
    return Consumer848(kit, name, instance_id=name.partition(".")[0])


def test_a_static_member_that_comes_back_has_what_it_had() -> None:
    kit = Kit()
    a, b = static(kit, "a.1"), static(kit, "b.1")
    a.join()
    b.join()
    settle(a, b)
    owned, epoch = a.owned, a.epoch
    assert a.leave(for_a_while=True) == ""
    assert state_of(a) == "Away"
    assert a.commit() == "STALE_MEMBER_EPOCH"
    b.follow()
    assert len(b.owned) == 2
    again = static(kit, "a.2")
    assert again.join() == ""
    assert (again.owned, again.epoch) == (owned, epoch)
    assert kit.coordinator.state(GROUP) == "Stable"


def test_a_static_member_that_stays_away_is_out_with_its_session() -> None:
    kit = Kit()
    a, b = static(kit, "a.1"), static(kit, "b.1")
    a.join()
    b.join()
    settle(a, b)
    a.leave(for_a_while=True)
    for _ in range(int(SESSION)):
        kit.clock.advance(1)
        b.follow()
    assert b.owned == orders(0, 1, 2, 3)


def test_a_twin_of_a_living_member_does_not_get_in() -> None:
    kit = Kit()
    a = static(kit, "a.1")
    a.join()
    twin = static(kit, "a.2")
    assert twin.join() == "UNRELEASED_INSTANCE_ID"
    assert a.follow() == ""
    assert a.commit() == ""
    # A living one that begins anew does not either, not even under its own id.
    assert a.join() == "UNRELEASED_INSTANCE_ID"


def test_the_former_life_of_a_static_member_is_fenced() -> None:
    kit = Kit()
    a = static(kit, "a.1")
    a.join()
    a.leave(for_a_while=True)
    again = static(kit, "a.2")
    again.join()
    assert a.beat(1).error == "FENCED_INSTANCE_ID"
    again.leave()
    assert a.beat(1).error == "UNKNOWN_MEMBER_ID"


def test_a_static_member_comes_back_under_its_own_id() -> None:
    kit = Kit()
    a = static(kit, "a.1")
    a.join()
    a.leave(for_a_while=True)
    assert a.beat(1).error == "FENCED_MEMBER_EPOCH"
    assert a.join() == ""
    assert a.owned == orders(0, 1, 2, 3)


# Commits


def test_commits_by_epoch() -> None:
    kit, a, b = pair()
    assert a.commit(1) == ""
    assert a.commit(2, epoch=a.epoch + 1) == "STALE_MEMBER_EPOCH"
    assert a.commit(3, b.owned[0]) == ""
    assert kit.commit(4) == "UNKNOWN_MEMBER_ID"
    # The instance id is not looked at.
    assert kit.commit(5, generation=a.epoch, member_id=a.id, instance_id="whatever") == ""
    assert kit.committed().offset == 5


@pytest.mark.parametrize("version", ["4.1", "4.3"])
def test_commits_with_an_older_epoch(version: str) -> None:
    """KIP-1251: by partition since 4.3, and always stale before."""
    kit = Kit(version=version)
    a, b = Consumer848(kit, "a.1"), Consumer848(kit, "b.1")
    a.join()
    b.join()
    settle(a, b)
    assert (a.epoch, a.owned, b.owned) == (2, orders(0, 1), orders(2, 3))
    assert a.commit(1, orders(0)[0], epoch=1) == ("" if version == "4.3" else "STALE_MEMBER_EPOCH")
    assert a.commit(2, orders(2)[0], epoch=1) == "STALE_MEMBER_EPOCH"
    # B got these in epoch 2.
    assert b.commit(3, orders(2)[0], epoch=1) == "STALE_MEMBER_EPOCH"


def test_one_stale_partition_refuses_the_whole_commit() -> None:
    kit, a, b = pair()
    mine, also_mine, theirs = a.owned[0], a.owned[1], b.owned[0]

    def commit(*partitions: Partition, metadata: str = "") -> list[str]:
        offsets = {partition: Commit(5, metadata if partition == partitions[-1] else "") for partition in partitions}
        return [*kit.ask("a.1", OffsetCommit(GROUP, a.id, None, 1, offsets)).errors.values()]

    assert commit(mine, also_mine) == ["", ""]
    assert commit(mine, theirs) == ["STALE_MEMBER_EPOCH", "STALE_MEMBER_EPOCH"]
    # What is refused for its metadata is not looked at any further.
    assert commit(mine, also_mine, metadata="x" * 5000) == ["", "OFFSET_METADATA_TOO_LARGE"]
    assert commit(mine, theirs, metadata="x" * 5000) == ["", "OFFSET_METADATA_TOO_LARGE"]


def test_an_empty_group_takes_commits_without_an_epoch() -> None:
    kit = Kit()
    a = Consumer848(kit, "a.1")
    a.join()
    a.leave()
    assert kit.commit(4) == ""
    assert kit.commit(4, generation=1, member_id=a.id) == "UNKNOWN_MEMBER_ID"


def test_offsets_are_fetched_with_the_current_epoch() -> None:
    kit, a, _b = pair()
    a.commit(7)
    assert kit.fetch(member_id=a.id, epoch=a.epoch).offsets[orders(0)[0]].offset == 7
    assert kit.fetch(member_id=a.id, epoch=a.epoch - 1).error == "STALE_MEMBER_EPOCH"
    assert kit.fetch(member_id="x", epoch=a.epoch).error == "UNKNOWN_MEMBER_ID"
    assert kit.fetch().error == ""
