"""The brokers: what requests are answered, and what each lever changes and tells. Fetches have a file of their own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from simulator.faults.faults import Faults
from simulator.kafka.cluster import Cluster
from simulator.kafka.requests import (
    ConsumerGroupHeartbeat,
    FindCoordinator,
    FoundCoordinator,
    Heartbeat,
    HeartbeatResponse,
    JoinedGroup,
    JoinGroup,
    LeaveGroup,
    ListedOffsets,
    ListOffsets,
    Metadata,
    MetadataResponse,
    OffsetCommit,
    OffsetCommitted,
    OffsetFetch,
    Request,
    SyncGroup,
    TopicMetadata,
)
from simulator.runtime.clock import VirtualClock
from simulator.runtime.dice import SeededDice
from simulator.world.history import (
    Appended,
    CommitRefused,
    Compacted,
    Decided,
    History,
    LogStartMoved,
    TopicCreated,
    TopicDeleted,
    Truncated,
)
from tests.simulator.cluster_kit import SOON, T0, T1, Rig
from trio_consumer import ConfigurationError, Partition
from trio_consumer.client.port import Commit

# Other requests


def listed(rig: Rig, *, earliest: bool, read_committed: bool = True, node: int = 1) -> ListedOffsets:
    (answer,) = rig.ask(ListOffsets(T0, earliest, read_committed), node)
    assert isinstance(answer, ListedOffsets)
    return answer


def test_where_a_log_begins_and_ends() -> None:
    rig = Rig()
    rig.fill(3)
    rig.cluster.begin_transaction(T0).append(b"k", b"v")
    rig.clock.advance(SOON)
    rig.cluster.retain(T0, 1)
    assert listed(rig, earliest=True) == ListedOffsets("", 1, 0)
    assert listed(rig, earliest=False) == ListedOffsets("", 3, 0)
    assert listed(rig, earliest=False, read_committed=False) == ListedOffsets("", 4, 0)
    assert listed(rig, earliest=True, node=2).error == "NOT_LEADER_OR_FOLLOWER"
    rig.cluster.deny("t")
    assert listed(rig, earliest=True).error == "TOPIC_AUTHORIZATION_FAILED"
    rig.cluster.delete_topic("t")
    rig.cluster.allow("t")
    assert listed(rig, earliest=True).error == "UNKNOWN_TOPIC_OR_PART"


def test_metadata_of_topics() -> None:
    rig = Rig()
    rig.cluster.move_leader(T1, 3)
    assert rig.metadata() == TopicMetadata("", 1, (1, 3), (0, 1))
    assert rig.metadata("x").error == "UNKNOWN_TOPIC_OR_PART"
    (answer,) = rig.ask(Metadata(None))
    assert isinstance(answer, MetadataResponse)
    assert list(answer.topics) == ["t"]


def test_who_may_not_read_may_know_of_a_topic_or_not() -> None:
    rig = Rig()
    rig.cluster.deny("t")
    assert rig.metadata().error == ""
    rig.cluster.deny("t", describe=True)
    assert rig.metadata().error == "TOPIC_AUTHORIZATION_FAILED"
    (answer,) = rig.ask(Metadata(None))
    assert answer == MetadataResponse({})
    rig.cluster.allow("t")
    assert rig.metadata().error == ""


def test_the_coordinator_is_found_and_others_say_that_they_are_not() -> None:
    rig = Rig()
    (found,) = rig.ask(FindCoordinator("g"))
    assert isinstance(found, FoundCoordinator)
    other = next(node for node in rig.cluster.nodes if node != found.node)
    assert rig.ask(Heartbeat("g", "m", None, 1), other) == [HeartbeatResponse("NOT_COORDINATOR")]
    assert rig.ask(OffsetCommit("g", "", None, -1, {T0: Commit(3)}, 7), other) == [
        OffsetCommitted({T0: "NOT_COORDINATOR"})
    ]
    assert rig.told(CommitRefused) == [CommitRefused("a.1", 7, "g", T0, "NOT_COORDINATOR")]
    join = JoinGroup("g", "", None, 6, 6, "range", ("t",))
    (answer,) = rig.ask(join, other)
    assert isinstance(answer, JoinedGroup)
    assert answer.error == "NOT_COORDINATOR"
    assert rig.ask(OffsetCommit("g", "", None, -1, {T0: Commit(3)}), found.node) == [OffsetCommitted({T0: ""})]
    assert rig.cluster.coordinator.committed("g", T0).offset == 3


def test_no_coordinator_is_found_while_it_is_down() -> None:
    rig = Rig()
    rig.cluster.coordinator.down("g", 5)
    assert rig.ask(FindCoordinator("g")) == [FoundCoordinator("COORDINATOR_NOT_AVAILABLE")]
    for node in rig.cluster.nodes:
        (answer,) = rig.ask(OffsetFetch("g", (T0,)), node)
        assert answer.error == "NOT_COORDINATOR"  # type: ignore[union-attr]


def test_committing_needs_the_right_to_read() -> None:
    rig = Rig()
    rig.cluster.create_topic("u", 1)
    rig.cluster.deny("t")
    node = rig.cluster.coordinator.node_of("g")
    other = Partition("u", 0)
    assert rig.ask(OffsetCommit("g", "", None, -1, {T0: Commit(3), other: Commit(4)}), node) == [
        OffsetCommitted({T0: "TOPIC_AUTHORIZATION_FAILED", other: ""})
    ]
    assert rig.ask(OffsetCommit("g", "", None, -1, {T0: Commit(3)}), node) == [
        OffsetCommitted({T0: "TOPIC_AUTHORIZATION_FAILED"})
    ]
    assert rig.cluster.coordinator.committed("g", T0).offset is None
    assert rig.cluster.coordinator.committed("g", other).offset == 4
    assert len(rig.told(CommitRefused)) == 2


def test_a_group_can_be_forbidden() -> None:
    rig = Rig()
    node = rig.cluster.coordinator.node_of("g")
    rig.cluster.deny_group("g")
    forbidden = "GROUP_AUTHORIZATION_FAILED"
    assert rig.ask(FindCoordinator("g")) == [FoundCoordinator(forbidden)]
    assert rig.ask(OffsetCommit("g", "", None, -1, {T0: Commit(3)}), node) == [OffsetCommitted({T0: forbidden})]
    requests: list[Request] = [
        JoinGroup("g", "", None, 6, 6, "range", ("t",)),
        SyncGroup("g", "m", None, 1),
        Heartbeat("g", "m", None, 1),
        LeaveGroup("g", "m", None),
        ConsumerGroupHeartbeat("g", "m", 0, None, 6, ("t",), ()),
        OffsetFetch("g", (T0,)),
    ]
    for request in requests:
        (answer,) = rig.ask(request, node)
        assert answer.error == forbidden  # type: ignore[union-attr]
    assert isinstance(rig.ask(FindCoordinator("h"))[0], FoundCoordinator)
    rig.cluster.allow_group("g")
    assert rig.ask(FindCoordinator("g")) == [FoundCoordinator("", node if node is not None else -1)]


def test_a_request_that_no_broker_serves() -> None:
    with pytest.raises(TypeError, match="no request that a broker serves"):
        Rig().ask("hello")  # type: ignore[arg-type]


# Levers


def test_topics_come_grow_and_go() -> None:
    rig = Rig()
    rig.cluster.add_partitions("t", 4)
    rig.cluster.recreate_topic("t")
    rig.cluster.delete_topic("t")
    assert rig.cluster.partitions("t") == 0
    rig.cluster.create_topic("t", 1)
    assert rig.cluster.partitions("t") == 1
    kinds = (TopicCreated, TopicDeleted)
    assert [moment.event for moment in rig.history.moments if type(moment.event) in kinds] == [
        TopicCreated("t", 1, 2),
        TopicCreated("t", 1, 4),
        TopicDeleted("t"),
        TopicCreated("t", 2, 4),
        TopicDeleted("t"),
        TopicCreated("t", 3, 1),
    ]


def test_committed_offsets_go_with_their_topic() -> None:
    rig = Rig()
    node = rig.cluster.coordinator.node_of("g")
    rig.ask(OffsetCommit("g", "", None, -1, {T0: Commit(0)}), node)
    rig.cluster.recreate_topic("t")
    assert rig.cluster.coordinator.committed("g", T0).offset is None


def test_each_lever_tells_the_history() -> None:
    rig = Rig(partitions=1)
    rig.fill(8)
    rig.cluster.retain(T0, 1)
    rig.cluster.compact(T0, horizon=False)
    transaction = rig.cluster.begin_transaction(T0)
    transaction.append(b"k", b"v")
    transaction.commit()
    rig.cluster.truncate(T0, 9)
    told = [moment.event for moment in rig.history.moments if type(moment.event) is not TopicCreated]
    assert told == [
        *(Appended(T0, number, b"k%d" % (number % 3), True) for number in range(8)),
        LogStartMoved(T0, 1),
        Compacted(T0, (1, 2, 3)),
        Appended(T0, 8, b"k", False),
        Appended(T0, 9, None, False),
        Decided(T0, (8,), True),
        Truncated(T0, 9),
        Appended(T0, 9, None, False),
    ]


def test_a_producer_without_idempotence_appends_twice() -> None:
    rig = Rig("duplicate-append", scale=1000)
    assert rig.cluster.append(T0, b"k", b"v", headers=[("h", None)]) == 1
    rig.clock.advance(SOON)
    first, second = rig.cluster.visible(T0)
    assert (first.key, first.value, first.headers) == (second.key, second.value, second.headers)


def test_records_have_the_time_of_their_append_unless_they_bring_one() -> None:
    rig = Rig()
    rig.cluster.append(T0, None, None)
    rig.clock.advance(1.5)
    rig.cluster.append(T0, None, None)
    rig.cluster.append(T0, None, None, timestamp=77)
    first, second, third = (entry.timestamp for entry in rig.cluster.log(T0).entries)
    assert first is not None
    assert second == first + 1500
    assert third == 77


def test_a_transaction_of_a_deleted_topic_is_nobodys() -> None:
    rig = Rig()
    transaction = rig.cluster.begin_transaction(T0)
    transaction.append(b"k", b"v")
    rig.cluster.recreate_topic("t")
    assert transaction.append(b"k", b"v") == -1
    transaction.commit()
    assert rig.cluster.end(T0) == 0
    with pytest.raises(ValueError, match="has ended"):
        transaction.abort()
    with pytest.raises(ValueError, match="begin another one"):
        transaction.append(b"k", b"v")


@pytest.mark.parametrize("seed", range(30))
def test_an_election_ends_and_everything_is_visible_again(seed: int) -> None:
    rig = Rig(seed=seed)
    rig.fill(20)
    rig.cluster.move_leader(T0)
    assert rig.cluster.leader(T0) in (-1, 2, 3)
    assert rig.cluster.log(T0).high_watermark >= 15
    rig.clock.advance(1)
    assert rig.cluster.leader(T0) in (2, 3)
    assert len(rig.cluster.visible(T0)) == 20
    assert rig.metadata().leader_epochs == (1, 0)


def test_elections_have_gaps_and_high_watermarks_that_lag() -> None:
    gaps = lags = 0
    for seed in range(60):
        rig = Rig(seed=seed)
        rig.fill(20)
        rig.cluster.move_leader(T0)
        node = rig.cluster.leader(T0)
        gaps += node < 0
        if node > 0 and listed(rig, earliest=False, node=node).error == "OFFSET_NOT_AVAILABLE":
            lags += 1
            assert rig.fetch(20).error == ""
    assert gaps > 5
    assert lags > 5


def test_the_latest_of_two_elections_counts() -> None:
    for seed in range(30):
        rig = Rig(seed=seed)
        rig.cluster.move_leader(T0)
        rig.cluster.move_leader(T0, 1)
        rig.clock.advance(1)
        assert rig.cluster.leader(T0) == 1


@pytest.mark.parametrize(
    ("act", "says"),
    [
        pytest.param(
            lambda cluster: cluster.append(Partition("t", 2), b"", b""),
            r"no t\[2\]: 't' has the partitions 0 to 1",
            id="append-number",
        ),
        pytest.param(
            lambda cluster: cluster.append(Partition("x", 0), b"", b""), "no topic 'x': there are t", id="append-topic"
        ),
        pytest.param(lambda cluster: cluster.create_topic("t", 1), "exists already", id="create-twice"),
        pytest.param(lambda cluster: cluster.create_topic("x", 0), "at least 1", id="create-none"),
        pytest.param(lambda cluster: cluster.create_topic("", 1), "give a name", id="create-nameless"),
        pytest.param(lambda cluster: cluster.add_partitions("t", 2), "only grow", id="add-none"),
        pytest.param(lambda cluster: cluster.add_partitions("x", 2), "no topic", id="add-topic"),
        pytest.param(lambda cluster: cluster.delete_topic("x"), "no topic", id="delete"),
        pytest.param(lambda cluster: cluster.recreate_topic("x"), "no topic", id="recreate"),
        pytest.param(lambda cluster: cluster.move_leader(T0, 4), "the brokers are 1, 2, 3", id="move-node"),
        pytest.param(lambda cluster: cluster.truncate(T0, 1), "goes from 0 to 0", id="truncate"),
        pytest.param(lambda cluster: cluster.retain(T0, 1), "high watermark 0", id="retain"),
        pytest.param(lambda cluster: cluster.begin_transaction(Partition("t", -1)), "no t", id="transaction"),
        pytest.param(lambda cluster: cluster.compact(Partition("x", 0)), "no topic", id="compact"),
    ],
)
def test_levers_refuse_what_makes_no_sense(act: Callable[[Cluster], object], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        act(Rig().cluster)


def test_a_cluster_needs_a_broker() -> None:
    clock = VirtualClock()
    history = History(clock)
    faults = Faults((), SeededDice(0), history)
    with pytest.raises(ConfigurationError, match="at least one broker"):
        Cluster(clock, SeededDice(0), faults, history, nodes=0)
