"""Settings from the command line: who wins, what is refused, and that no message repeats a value."""

from __future__ import annotations

from pathlib import Path

import pytest

from trio_consumer import ConfigurationError
from trio_consumer.cli import settings


def test_options_and_pairs_make_librdkafkas_settings() -> None:
    assert settings.gather("one:9092,two:9092", "billing", pairs=["client.id=x", "sasl.password=a=b "]) == {
        "client.id": "x",
        "sasl.password": "a=b",
        "bootstrap.servers": "one:9092,two:9092",
        "group.id": "billing",
    }


def test_the_group_may_be_left_out() -> None:
    assert settings.gather("one:9092") == {"bootstrap.servers": "one:9092"}


def test_a_file_gives_settings_and_a_pair_wins(tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text("# who we are\n\nsasl.username = me\n  client.id=from the file\n")
    gathered = settings.gather("one:9092", pairs=["client.id=from -X"], file=file)
    assert gathered == {"sasl.username": "me", "client.id": "from -X", "bootstrap.servers": "one:9092"}


@pytest.mark.parametrize("pair", ["hunter2", "=hunter2", " = hunter2", ""])
def test_what_is_no_pair_is_refused_without_being_shown(pair: str) -> None:
    with pytest.raises(ConfigurationError, match="-X, entry 2: give name=value") as raised:
        settings.gather("one:9092", pairs=["client.id=x", pair])
    assert "hunter2" not in str(raised.value)


def test_a_bad_line_of_a_file_is_refused_without_being_shown(tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text("hunter2\n")
    with pytest.raises(ConfigurationError, match=r"kafka\.properties, entry 1") as raised:
        settings.gather("one:9092", file=file)
    assert "hunter2" not in str(raised.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere: No such file"):
        settings.gather("one:9092", file=tmp_path / "nowhere")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        settings.gather("one:9092", file=tmp_path / "binary")


@pytest.mark.parametrize(
    ("pair", "option"),
    [("bootstrap.servers=x", "--bootstrap"), ("metadata.broker.list=x", "--bootstrap"), ("group.id=x", "--group")],
)
def test_what_has_an_option_of_its_own_is_refused(pair: str, option: str) -> None:
    with pytest.raises(ConfigurationError, match=f"give {option}"):
        settings.gather("one:9092", "billing", pairs=[pair])


def test_empty_options_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="--bootstrap is empty"):
        settings.gather(" ")
    with pytest.raises(ConfigurationError, match="--group is empty"):
        settings.gather("one:9092", "")
