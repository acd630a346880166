"""The real broker of the tests: it crashes, freezes and comes back as they rely on, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.kafka.broker import KafkaBroker, KafkaFailed
from tests.kafka.jars import KafkaUnavailable, find_jars, find_java
from tests.support import consume_all, keyed, new_topic, produce
from trio_consumer.record import Partition

SECONDS_MAX = 30.0
ROOT = Path(__file__).resolve().parents[2]


def answers(broker: KafkaBroker, seconds: float) -> bool:
    try:
        AdminClient({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0}).list_topics(timeout=seconds)
    except KafkaException:
        return False
    return True


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("the condition did not come true in time")
        time.sleep(0.02)


def values(broker: KafkaBroker, topic: str, count: int) -> set[bytes | None]:
    return {value for _, _, value in consume_all(broker.bootstrap_servers, topic, count)}


def test_survives_crash_freeze_and_shutdown_with_its_data(own_kafka: KafkaBroker) -> None:
    broker, address = own_kafka, own_kafka.bootstrap_servers
    topic = new_topic(broker, 3)
    landed = produce(address, topic, keyed(100))
    assert {partition for partition, _ in landed} == {Partition(topic, number) for number in range(3)}
    produced = {value for _, value in keyed(100)}

    crashed = broker.pid
    broker.kill()
    assert not runs(crashed)
    assert not answers(broker, 0.5)
    with pytest.raises(RuntimeError, match="not running"):
        broker.pause()
    broker.restart()
    assert broker.bootstrap_servers == address
    assert values(broker, topic, 100) == produced

    broker.pause()
    assert not answers(broker, 0.5)
    broker.cont()
    assert answers(broker, SECONDS_MAX)

    broker.pause()
    broker.stop()
    assert not answers(broker, 0.5)
    broker.restart()
    assert values(broker, topic, 100) == produced


def test_takes_properties_and_is_gone_when_closed(kafka: KafkaBroker) -> None:
    with KafkaBroker({"auto.create.topics.enable": "true", "num.partitions": "7"}) as broker:
        assert broker.bootstrap_servers != kafka.bootstrap_servers
        pid, directory = broker.pid, broker.directory
        assert directory.is_dir()
        produce(broker.bootstrap_servers, "by-itself", keyed(1))
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        assert len(admin.list_topics("by-itself", timeout=SECONDS_MAX).topics["by-itself"].partitions) == 7
    assert not runs(pid)
    assert not directory.exists()
    with pytest.raises(RuntimeError, match="not started"):
        broker.restart()


def test_a_failed_start_shows_the_log(kafka: KafkaBroker) -> None:
    broker = KafkaBroker({"log.segment.bytes": "not-a-number"})
    try:
        with pytest.raises(KafkaFailed, match="not-a-number"):
            broker.start()
        assert "not-a-number" in broker.log()
    finally:
        broker.close()


def test_dies_with_its_parent(kafka: KafkaBroker) -> None:
    program = """
        import sys
        from tests.kafka.broker import KafkaBroker
        broker = KafkaBroker()
        broker.start()
        print(broker.pid, broker.directory, flush=True)
        sys.stdin.read()
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        pid, _, directory = parent.stdout.readline().strip().partition(" ")
        assert runs(int(pid))
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: not runs(int(pid)) and not Path(directory).exists())


# What a machine may lack


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory on the path, and an empty cache."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return folder


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_says_that_java_is_missing(commands: Path) -> None:
    with pytest.raises(KafkaUnavailable, match="java is not on the path; install Java 17"):
        find_java()


def test_says_that_java_home_is_wrong(commands: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(commands))
    with pytest.raises(KafkaUnavailable, match="has no bin/java"):
        find_java()


@pytest.mark.parametrize("version", ["1.8.0_402", "11.0.2", "16"])
def test_says_that_java_is_too_old(commands: Path, version: str) -> None:
    script(commands / "java", f"echo 'openjdk version \"{version}\" 2020-01-01' >&2")
    with pytest.raises(KafkaUnavailable, match=rf"{version}.*install Java 17"):
        find_java()


@pytest.mark.parametrize("version", ["17", "17.0.15", "21.0.1", "25-ea"])
def test_takes_java_17_and_newer(commands: Path, version: str) -> None:
    script(commands / "java", f"echo 'openjdk version \"{version}\"' >&2")
    assert find_java() == str(commands / "java")


def test_says_that_maven_is_missing(commands: Path) -> None:
    with pytest.raises(KafkaUnavailable, match="mvn is not on the path"):
        find_jars()


def test_says_why_maven_failed_and_leaves_no_half_filled_cache(commands: Path, tmp_path: Path) -> None:
    script(commands / "mvn", "/bin/mkdir jars; echo no route to the repository; exit 1")
    with pytest.raises(KafkaUnavailable, match="no route to the repository"):
        find_jars()
    assert list((tmp_path / "cache" / "trio-consumer").iterdir()) == []


def test_asks_maven_once(commands: Path, tmp_path: Path) -> None:
    script(commands / "mvn", f"/bin/mkdir jars; echo jar > jars/kafka.jar; echo asked >> {tmp_path}/calls")
    jars = find_jars()
    assert jars.is_relative_to(tmp_path / "cache" / "trio-consumer")
    assert [path.name for path in jars.iterdir()] == ["kafka.jar"]
    assert find_jars() == jars
    assert (tmp_path / "calls").read_text() == "asked\n"


def test_another_version_is_another_directory(commands: Path, tmp_path: Path) -> None:
    script(commands / "mvn", "/bin/mkdir jars; /bin/cp pom.xml jars/")
    old, new = find_jars("4.1.0"), find_jars("4.3.0")
    assert old != new
    assert "<version>4.1.0</version>" in (old / "pom.xml").read_text()
