"""``trio-consumer offsets``: it must say what the broker says, and survive what others committed."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import confluent_kafka
import pytest
from rich.console import Console

from trio_consumer import BrokerUnreachable, ConfigurationError, EmbeddedCluster, Partition, UnknownTopic
from trio_consumer.cli import main, offsets
from trio_consumer.client.group_offsets import CommittedState, GroupOffsets
from trio_consumer.client.produce import produce
from trio_consumer.core import offset_map

ORDERS = [Partition("orders", number) for number in range(4)]


def state(committed: int | None, metadata: str = "", start: int = 0, end: int = 100, **more: Any) -> CommittedState:
    return CommittedState(committed=committed, metadata=metadata, start=start, end=end, **more)


def map_of(base: int, *stretches: tuple[int, int]) -> str:
    return offset_map.encode(base, stretches, 4095).text


def rendered(rows: list[offsets.Row], width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width, legacy_windows=False)
    console.print(offsets.as_table("billing", rows, width))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


# Decoding


def test_an_offset_map_is_decoded() -> None:
    row = offsets.decode(ORDERS[0], state(10, map_of(10, (12, 15), (20, 21))))
    assert list(row.complete) == [range(12, 15), range(20, 21)]
    assert (row.lag, row.completed_ahead, row.gaps, row.blocking, row.note) == (90, 4, 2, 10, None)


def test_a_map_that_begins_at_the_committed_offset_blocks_behind_it() -> None:
    row = offsets.decode(ORDERS[0], state(10, map_of(10, (10, 15), (20, 21))))
    assert (row.gaps, row.blocking) == (1, 15)


def test_stray_bytes_behind_a_map_change_nothing() -> None:
    assert offsets.decode(ORDERS[0], state(10, map_of(10, (12, 15)) + "\x00\ufffdgarbage")).completed_ahead == 3


@pytest.mark.parametrize(
    ("metadata", "kind"),
    [
        ("consumer-1-e2f8", "foreign"),
        (map_of(10, (12, 15))[:-2], "corrupt"),
        (map_of(11, (12, 15)), "moved"),
        ("tc9:x", "future"),
    ],
)
def test_metadata_that_is_no_map_of_this_offset_is_shown_as_such(metadata: str, kind: str) -> None:
    row = offsets.decode(ORDERS[0], state(10, metadata))
    assert row.complete == ()
    assert json.loads(offsets.as_json("g", [row]))["partitions"][0]["offset_map"] == kind
    assert f"orders[0]: {kind} offset map" in rendered([row])


def test_without_a_commit_everything_is_lag() -> None:
    row = offsets.decode(ORDERS[0], state(None, start=40))
    assert (row.lag, row.blocking) == (60, None)
    assert "none" in rendered([row])


def test_what_could_not_be_read_is_unknown_and_explained() -> None:
    row = offsets.decode(ORDERS[0], state(None, error="the broker would not say"))
    assert row.lag is None
    assert "orders[0]: the broker would not say" in rendered([row])
    one = json.loads(offsets.as_json("g", [row]))["partitions"][0]
    assert (one["offset_map"], one["lag"], one["note"]) == ("unreadable", None, "the broker would not say")


def test_the_table_counts_in_order_of_partitions() -> None:
    states = {Partition("orders", 10): state(100), Partition("orders", 9): state(10, map_of(10, (12, 15)))}
    text = rendered(offsets.decode_all(states))
    assert "group billing   2 partitions   lag 90" in text
    assert text.index("orders[9]") < text.index("orders[10]")
    assert "█▌░███·" in text
    assert "1:" in text  # the scale of the one that is drawn as a whole


def test_a_narrow_terminal_gets_fewer_columns() -> None:
    row = offsets.decode(
        ORDERS[0], state(123_456_789, map_of(123_456_789, (123_456_795, 123_456_799)), end=999_999_999)
    )
    wide, narrow = rendered([row], 120), rendered([row], 60)
    assert "log end" in wide
    assert "log end" not in narrow
    for text in (wide, narrow):
        assert "123,456,789" in text
        assert "▌░░░░░████·" in text
    assert max(map(len, narrow.splitlines())) <= 60


def test_an_empty_group_is_said_to_be_empty() -> None:
    assert "no committed offsets" in rendered([])
    assert json.loads(offsets.as_json("g", [])) == {"group": "g", "lag": 0, "partitions": []}


# On brokers


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    """Brokers with 25 records in each partition of orders, and what several clients have committed there."""
    with EmbeddedCluster(topics={"orders": 4, "other": 1}) as cluster:
        address = {"bootstrap.servers": cluster.bootstrap_servers}
        produce(address, "orders", [(n % 4, b"key", b"value") for n in range(100)], lambda record: None)
        committer = confluent_kafka.Consumer({**address, "group.id": "billing", "enable.auto.commit": False})
        commits = [(0, 10, map_of(10, (12, 15), (20, 21))), (1, 25, ""), (2, 7, "by another client")]
        committer.commit(
            offsets=[confluent_kafka.TopicPartition("orders", n, at, metadata=text) for n, at, text in commits],
            asynchronous=False,
        )
        committer.close()
        yield cluster.bootstrap_servers


def test_the_numbers_are_the_brokers(bootstrap: str) -> None:
    rows = GroupOffsets({"bootstrap.servers": bootstrap}, "billing").read(["orders"])
    consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": "billing"})
    for partition, row in rows.items():
        theirs = confluent_kafka.TopicPartition(*partition)
        assert (row.start, row.end) == consumer.get_watermark_offsets(theirs, timeout=10)
        committed = consumer.committed([theirs], timeout=10)[0].offset
        assert row.committed == (None if committed < 0 else committed)
    consumer.close()
    assert list(rows) == ORDERS


def test_without_a_topic_all_that_is_committed_is_shown(bootstrap: str) -> None:
    assert list(GroupOffsets({"bootstrap.servers": bootstrap}, "billing").read()) == ORDERS[:3]
    assert GroupOffsets({"bootstrap.servers": bootstrap}, "nobody").read() == {}


def test_a_coordinator_that_loads_or_moves_is_waited_for() -> None:
    """librdkafka's admin call for a group's offsets crashes the process then; ours must not use it."""
    with EmbeddedCluster(topics={"orders": 2}) as cluster:
        for error in ("NOT_COORDINATOR", "COORDINATOR_LOAD_IN_PROGRESS"):
            cluster.fail_requests("OFFSET_FETCH", error, 1)
            found = GroupOffsets({"bootstrap.servers": cluster.bootstrap_servers}, "billing").read(["orders"])
            assert [row.committed for row in found.values()] == [None, None]


def test_an_unknown_topic_is_an_error(bootstrap: str) -> None:
    with pytest.raises(UnknownTopic, match="'oders'"):
        GroupOffsets({"bootstrap.servers": bootstrap}, "billing").read(["oders"])


def test_settings_of_a_consumer_do_no_harm(bootstrap: str) -> None:
    settings = {"bootstrap.servers": bootstrap, "auto.offset.reset": "earliest", "session.timeout.ms": "6000"}
    assert GroupOffsets(settings, "billing").read(["other"])[Partition("other", 0)].committed is None


def test_no_broker_is_an_error_that_names_the_address() -> None:
    with pytest.raises(BrokerUnreachable, match=r"no broker answered at 127\.0\.0\.1:1 within 0\.5 s: .*bootstrap"):
        GroupOffsets({"bootstrap.servers": "127.0.0.1:1"}, "billing", timeout=0.5).read()


def test_a_setting_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"no\.such\.setting"):
        GroupOffsets({"bootstrap.servers": "127.0.0.1:1", "no.such.setting": "hunter2"}, "billing")


def test_the_command_prints_json(bootstrap: str, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["offsets", "--group", "billing", "--bootstrap", bootstrap, "--topic", "orders", "--json"]
    assert main(arguments) == 0
    printed = json.loads(capfd.readouterr().out)
    assert (printed["group"], printed["lag"]) == ("billing", 15 + 0 + 18 + 25)
    assert [one["offset_map"] for one in printed["partitions"]] == ["ours", "none", "foreign", "none"]
    assert printed["partitions"][0]["complete"] == [[12, 15], [20, 21]]
    assert [one["committed"] for one in printed["partitions"]] == [10, 25, 7, None]


def test_the_command_prints_a_table(bootstrap: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["offsets", "-g", "billing", "-b", bootstrap]) == 0
    out, err = capfd.readouterr()
    assert "█▌░███" in out
    assert "orders[2]: foreign offset map" in out
    assert "by another client" not in out
    assert err == ""


def test_the_command_ends_with_3_without_a_broker(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["offsets", "-g", "billing", "-b", "127.0.0.1:1", "--timeout", "0.5"]) == 3
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("trio-consumer: no broker answered at 127.0.0.1:1")
    assert err.count("\n") == 1
