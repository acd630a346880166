"""Fetches: what is brought, when, and what is said instead; and a reader that lives through everything."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from simulator.kafka.cluster import Cluster
from simulator.kafka.requests import (
    Fetch,
    Fetched,
    FetchedPartition,
    FetchPartition,
)
from tests.simulator.cluster_kit import SOON, T0, T1, Rig, offsets
from trio_consumer import Partition


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


# Everything at once


class Reader:
    """Reads one partition as a client does, and knows nothing of the log but what it is answered."""

    def __init__(self, rig: Rig, *, read_committed: bool) -> None:
        self.rig = rig
        self.read_committed = read_committed
        self.position = 0
        self.last_epoch = -1
        self.records: list[tuple[int, bytes | None]] = []
        self.gone_back: list[int] = []

    def read(self, count: int) -> None:
        node = self.rig.cluster.leader(T0)
        if node < 0:
            return
        answer = self.rig.fetch(
            self.position,
            node=node,
            count=count,
            last_epoch=self.last_epoch,
            read_committed=self.read_committed,
        )
        if answer.diverging >= 0:
            self._go_back(answer.diverging)
        elif answer.error == "OFFSET_OUT_OF_RANGE":
            self._go_back(answer.log_start)
        else:
            assert answer.error == ""
            assert answer.next_offset >= self.position
            limit = answer.last_stable if self.read_committed else answer.high_watermark
            for entry in answer.entries:
                assert self.position <= entry.offset < limit
                self.position = entry.offset + 1
                self.last_epoch = entry.leader_epoch
                if not entry.control and not (self.read_committed and entry.aborted):
                    self.records.append((entry.offset, entry.value))

    def _go_back(self, offset: int) -> None:
        self.position = offset
        self.last_epoch = -1
        self.records = [record for record in self.records if record[0] < offset]
        self.gone_back.append(offset)


@pytest.mark.parametrize("read_committed", [True, False])
@pytest.mark.parametrize("seed", range(30))
def test_a_reader_ends_with_what_the_log_holds(seed: int, read_committed: bool) -> None:
    rig = Rig(seed=seed, partitions=1)
    cluster, draw = rig.cluster, random.Random(seed)
    reader = Reader(rig, read_committed=read_committed)
    transactions = []
    for number in range(200):
        log = cluster.log(T0)
        match draw.randrange(12):
            case 0 | 1 | 2 | 3:
                cluster.append(T0, b"k%d" % draw.randrange(5), b"%d" % number)
            case 4:
                transactions.append(cluster.begin_transaction(T0))
            case 5 if transactions:
                draw.choice(transactions).append(b"k%d" % draw.randrange(5), b"%d" % number)
            case 6 if transactions:
                transaction = transactions.pop(draw.randrange(len(transactions)))
                draw.choice([transaction.commit, transaction.abort])()
            case 7 if draw.random() < 0.4:
                cluster.move_leader(T0)
            case 8 if draw.random() < 0.2:
                cluster.truncate(T0, draw.randint(max(log.start, log.end - 6), log.end))
            case 9 if draw.random() < 0.2:
                cluster.retain(T0, draw.randint(log.start, (log.start + log.high_watermark) // 2))
            case 10 if draw.random() < 0.2:
                cluster.compact(T0)
            case _:
                reader.read(draw.randint(1, 10))
        rig.clock.advance(draw.choice([0, 0.001, 0.05]))
    for transaction in transactions:
        transaction.abort()
    rig.clock.advance(2)
    for _ in range(400):
        reader.read(10)
    assert reader.position == cluster.end(T0)
    held = {entry.offset: entry.value for entry in cluster.visible(T0, read_committed)}
    read = dict(reader.records)
    # Compaction and retention may have taken what was read before; all that is left was read, as it is there.
    assert len(read) == len(reader.records)
    assert {offset: read.get(offset) for offset in held} == held


def test_the_readers_went_back_in_some_of_these_histories() -> None:
    """The test above would prove little if no reader ever met a truncated log or a lost offset."""
    gone_back = 0
    for seed in range(10):
        rig = Rig(seed=seed, partitions=1)
        reader = Reader(rig, read_committed=True)
        for _ in range(5):
            rig.fill(4)
            for _ in range(3):
                reader.read(10)
            rig.cluster.truncate(T0, rig.cluster.end(T0) - 2)
            rig.clock.advance(1)
        gone_back += len(reader.gone_back)
        assert reader.gone_back == sorted(reader.gone_back)
    assert gone_back == 40
