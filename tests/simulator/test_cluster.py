"""The brokers without a network: what each request is answered, and what each lever changes and tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from simulator.faults.faults import Faults
from simulator.kafka.cluster import Cluster
from simulator.kafka.requests import (
    Fetch,
    Fetched,
    FetchedPartition,
    FetchPartition,
    FindCoordinator,
    FoundCoordinator,
    Heartbeat,
    HeartbeatResponse,
    JoinedGroup,
    JoinGroup,
    ListedOffsets,
    ListOffsets,
    Metadata,
    MetadataResponse,
    OffsetCommit,
    OffsetCommitted,
    OffsetFetch,
    Request,
    Response,
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
from trio_consumer import ConfigurationError, Partition
from trio_consumer.client.port import Commit

T0, T1 = Partition("t", 0), Partition("t", 1)
SOON = 0.5
"""Long enough for replication, also when a follower lags."""


class Rig:
    """A cluster with one topic, and what it has told."""

    def __init__(self, *faults: str, seed: int = 0, partitions: int = 2, scale: float = 1.0) -> None:
        self.clock = VirtualClock()
        self.history = History(self.clock)
        dice = SeededDice(seed)
        self.faults = Faults(faults, dice.split("faults"), self.history, scale=dict.fromkeys(faults, scale))
        self.cluster = Cluster(self.clock, dice.split("cluster"), self.faults, self.history)
        self.cluster.create_topic("t", partitions)

    def fill(self, count: int, partition: Partition = T0) -> None:
        for number in range(count):
            self.cluster.append(partition, b"k%d" % (number % 3), b"v%d" % number)
        self.clock.advance(SOON)

    def ask(self, request: Request, node: int | None = None) -> list[Response]:
        """What is answered appears in the list."""
        answers: list[Response] = []
        self.cluster.serve(1 if node is None else node, "a.1", request, answers.append)
        return answers

    def fetching(
        self,
        offset: int,
        partition: Partition = T0,
        *,
        node: int | None = None,
        epoch: int = -1,
        last_epoch: int = -1,
        count: int = 100,
        wait: float = 0.0,
        read_committed: bool = True,
    ) -> list[Response]:
        wanted = {partition: FetchPartition(offset, epoch, -1, last_epoch)}
        node = self.cluster.leader(partition) if node is None and self.cluster.partitions("t") else node
        return self.ask(Fetch(wanted, count, wait, read_committed), node)

    def fetch(self, offset: int, partition: Partition = T0, **wanted: Any) -> FetchedPartition:
        return self.only(self.fetching(offset, partition, **wanted), partition)

    def only(self, answers: list[Response], partition: Partition = T0) -> FetchedPartition:
        (answer,) = answers
        assert isinstance(answer, Fetched)
        return answer.partitions[partition]

    def told(self, kind: type[Any]) -> list[Any]:
        return [moment.event for moment in self.history.moments if type(moment.event) is kind]

    def metadata(self, topic: str = "t") -> TopicMetadata:
        (answer,) = self.ask(Metadata((topic,)))
        assert isinstance(answer, MetadataResponse)
        return answer.topics[topic]


def offsets(answer: FetchedPartition) -> list[int]:
    return [entry.offset for entry in answer.entries]


# Fetches


def test_a_fetch_brings_what_is_there() -> None:
    rig = Rig()
    rig.fill(5)
    answer = rig.fetch(2)
    assert offsets(answer) == [2, 3, 4]
    assert (answer.error, answer.next_offset, answer.high_watermark, answer.last_stable, answer.log_start) == (
        *("", 5),
        *(5, 5, 0),
    )
    assert offsets(rig.fetch(2, count=2)) == [2, 3]


def test_a_fetch_shares_its_count_among_partitions_in_order() -> None:
    rig = Rig()
    rig.cluster.move_leader(T1, 1)
    rig.fill(3)
    rig.fill(3, T1)
    (answer,) = rig.ask(
        Fetch({T1: FetchPartition(0, -1, -1), T0: FetchPartition(0, -1, -1)}, 4, 0, read_committed=True)
    )
    assert isinstance(answer, Fetched)
    assert (offsets(answer.partitions[T1]), offsets(answer.partitions[T0])) == ([0, 1, 2], [0])


def test_a_record_becomes_visible_a_little_after_its_append() -> None:
    rig = Rig()
    rig.cluster.append(T0, b"k", b"v")
    assert rig.cluster.end(T0) == 1
    assert offsets(rig.fetch(0)) == []
    assert rig.cluster.visible(T0) == []
    rig.clock.advance(SOON)
    assert offsets(rig.fetch(0)) == [0]


def test_a_fetch_waits_for_a_record() -> None:
    rig = Rig()
    answers = rig.fetching(0, wait=3)
    rig.clock.advance(1)
    assert answers == []
    rig.fill(2)
    assert offsets(rig.only(answers)) == [0, 1]
    rig.clock.advance(10)
    assert len(answers) == 1


def test_a_burst_wakes_a_fetch_once_and_is_brought_at_once() -> None:
    rig = Rig()
    answers = rig.fetching(0, wait=3)
    rig.fill(50)
    assert len(rig.only(answers).entries) == 50


def test_a_fetch_ends_with_nothing_when_its_time_is_over() -> None:
    rig = Rig()
    answers = rig.fetching(0, wait=0.5)
    rig.clock.advance(0.499)
    assert answers == []
    rig.clock.advance(0.002)
    assert rig.only(answers) == FetchedPartition("", (), 0, 0, 0, 0)
    rig.fill(1)
    assert len(answers) == 1


def test_what_waits_is_answered_when_its_partition_changes() -> None:
    changes: dict[str, Callable[[Cluster], object]] = {
        "NOT_LEADER_OR_FOLLOWER": lambda cluster: cluster.move_leader(T0, 3),
        "UNKNOWN_TOPIC_OR_PART": lambda cluster: cluster.delete_topic("t"),
        "TOPIC_AUTHORIZATION_FAILED": lambda cluster: cluster.deny("t"),
    }
    for error, change in changes.items():
        rig = Rig()
        answers = rig.fetching(0, wait=3)
        change(rig.cluster)
        assert rig.only(answers).error == error


def test_a_waiting_fetch_learns_that_its_offset_is_gone() -> None:
    rig = Rig()
    rig.fill(3)
    undecided = rig.cluster.begin_transaction(T0)
    undecided.append(b"k", b"v")
    rig.cluster.append(T0, b"k", b"v")
    rig.clock.advance(SOON)
    answers = rig.fetching(3, wait=3)
    assert answers == []
    rig.cluster.retain(T0, 5)
    assert rig.only(answers).error == "OFFSET_OUT_OF_RANGE"


def test_errors_of_a_fetch() -> None:
    rig = Rig()
    rig.fill(3)
    assert rig.fetch(0, node=2).error == "NOT_LEADER_OR_FOLLOWER"
    assert rig.fetch(0, Partition("t", 9), node=1).error == "UNKNOWN_TOPIC_OR_PART"
    assert rig.fetch(0, Partition("x", 0), node=1).error == "UNKNOWN_TOPIC_OR_PART"
    assert rig.fetch(4).error == "OFFSET_OUT_OF_RANGE"
    assert rig.fetch(-1).error == "OFFSET_OUT_OF_RANGE"
    assert rig.fetch(0, epoch=1).error == "UNKNOWN_LEADER_EPOCH"
    rig.cluster.move_leader(T0, 1)
    assert rig.fetch(0, epoch=0).error == "FENCED_LEADER_EPOCH"
    assert rig.fetch(0, epoch=1).error == ""
    rig.cluster.retain(T0, 2)
    answer = rig.fetch(1)
    assert (answer.error, answer.log_start, answer.high_watermark) == ("OFFSET_OUT_OF_RANGE", 2, 3)


def test_holes_are_passed_with_the_next_entry() -> None:
    rig = Rig()
    rig.fill(7)
    rig.cluster.compact(T0, horizon=False)
    answer = rig.fetch(0, count=1)
    assert (offsets(answer), answer.next_offset) == ([3], 4)


def test_control_and_aborted_entries_are_brought_and_marked() -> None:
    rig = Rig()
    transaction = rig.cluster.begin_transaction(T0)
    transaction.append(b"k", b"v", headers=[("h", b"x")], timestamp=5)
    rig.clock.advance(SOON)
    assert (rig.fetch(0).entries, rig.fetch(0).last_stable, rig.fetch(0).high_watermark) == ((), 0, 1)
    assert offsets(rig.fetch(0, read_committed=False)) == [0]
    transaction.abort()
    rig.clock.advance(SOON)
    answer = rig.fetch(0)
    assert [(entry.aborted, entry.control) for entry in answer.entries] == [(True, False), (False, True)]
    assert answer.next_offset == 2
    assert rig.cluster.visible(T0) == []
    assert [entry.timestamp for entry in rig.cluster.visible(T0, read_committed=False)] == [5]


def test_the_end_of_a_transaction_wakes_readers() -> None:
    rig = Rig()
    transaction = rig.cluster.begin_transaction(T0)
    transaction.append(b"k", b"v")
    rig.clock.advance(SOON)
    answers = rig.fetching(0, wait=5)
    transaction.commit()
    rig.clock.advance(SOON)
    assert offsets(rig.only(answers)) == [0, 1]


def test_a_log_that_was_truncated_is_found_out_by_the_leader_epoch() -> None:
    rig = Rig()
    rig.fill(5)
    rig.cluster.truncate(T0, 3)
    rig.fill(4)
    rig.clock.advance(SOON)
    assert rig.cluster.end(T0) == 7
    answer = rig.fetch(5, last_epoch=0)
    assert (answer.error, answer.entries, answer.diverging) == ("", (), 3)
    # Who does not know its epoch reads on in another log, as consumers before KIP-320 do.
    assert [entry.leader_epoch for entry in rig.fetch(5).entries] == [1, 1]
    assert rig.fetch(3, last_epoch=0).diverging == -1
    assert rig.fetch(7, last_epoch=1).diverging == -1


def test_a_topic_that_was_created_again_is_read_on_at_the_old_offset() -> None:
    rig = Rig()
    rig.fill(3)
    before = rig.metadata()
    rig.cluster.recreate_topic("t")
    rig.fill(5)
    after = rig.metadata()
    assert after.topic_id != before.topic_id
    wanted = Fetch({T0: FetchPartition(3, 0, before.topic_id)}, 100, 0, read_committed=True)
    assert offsets(rig.only(rig.ask(wanted))) == [3, 4]


@pytest.mark.parametrize(
    ("fault", "shows"),
    [
        ("fetch-throttled", lambda answer: answer.throttle > 0 and not answer.partitions),
        ("fetch-error", lambda answer: answer.partitions[T0].error),
        ("fetch-partial", lambda answer: 0 < len(answer.partitions[T0].entries) < 50),
    ],
)
def test_faults_of_fetches(fault: str, shows: Callable[[Fetched], object]) -> None:
    rig = Rig(fault, scale=1000)
    rig.fill(50)
    (answer,) = rig.fetching(0)
    assert isinstance(answer, Fetched)
    assert shows(answer)
    assert rig.faults.fired[fault] == 1


def test_a_slow_fetch() -> None:
    rig = Rig("fetch-slow", scale=1000)
    rig.fill(1)
    answers = rig.fetching(0)
    assert answers == []
    rig.clock.advance(2)
    assert offsets(rig.only(answers)) == [0]


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
