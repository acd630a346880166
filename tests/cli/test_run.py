"""``trio-consumer run`` from outside: handlers, signals, exit codes and what is committed in the end."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
import trio

from tests.cli.process import started
from tests.support import Cluster, keyed, new_topic, produce, unique
from trio_consumer import EmbeddedCluster, Partition
from trio_consumer.cli import main
from trio_consumer.client.group_offsets import CommittedState, GroupOffsets

HANDLERS = """
import sys
import trio

async def note(record):
    print("handled", record.offset)

async def ask(record):
    print("began", record.offset)
    await trio.to_thread.run_sync(sys.stdin.readline)
    print("ended", record.offset)

async def never(record):
    print("began", record.offset)
    try:
        await trio.sleep_forever()
    finally:
        print("left", record.offset)

async def fail(record):
    print("tried", record.offset)
    if record.offset == 3:
        raise RuntimeError("cannot stand 3")

async def leave(record):
    raise SystemExit(9)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with handlers of the user's."""
    (tmp_path / "theirs.py").write_text(HANDLERS)
    return tmp_path


class Setting:
    """A topic of one partition with some records, a group, and the arguments for them."""

    def __init__(self, cluster: Cluster, records: int) -> None:
        self.bootstrap = cluster.bootstrap_servers
        self.topic, self.group = new_topic(cluster, 1, "run"), unique("run")
        produce(self.bootstrap, self.topic, keyed(records))

    def arguments(self, handler: str, *more: str) -> list[str]:
        named = ["--topic", self.topic, "--group", self.group, "--bootstrap", self.bootstrap]
        client = ["-X", "auto.offset.reset=earliest", "-X", "session.timeout.ms=6000"]
        return ["run", handler, *named, *client, *more]

    async def committed(self) -> int | None:
        def read() -> CommittedState:
            reader = GroupOffsets({"bootstrap.servers": self.bootstrap}, self.group)
            return reader.read([self.topic])[Partition(self.topic, 0)]

        return (await trio.to_thread.run_sync(read)).committed


async def test_a_signal_drains(cluster: Cluster, project: Path) -> None:
    setting = Setting(cluster, 5)
    async with started(*setting.arguments("theirs:ask", "--order", "partition"), directory=project) as command:
        await command.out.wait_for("began 0")
        await command.say("go on")
        await command.out.wait_for("began 1")
        command.send_signal(signal.SIGTERM)
        await command.err.wait_for("SIGTERM: draining, 1 records in flight")
        await command.say("go on")
        assert await command.wait() == 0
    # The running handler has ended, no other has begun, and what is done is committed.
    assert command.out.seen == ["began 0", "ended 0", "began 1", "ended 1"]
    assert "handled 2 records" in command.err.text
    assert await setting.committed() == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_a_second_signal_aborts(
    embedded: EmbeddedCluster, project: Path, number: signal.Signals, code: int
) -> None:
    setting = Setting(embedded, 5)
    async with started(*setting.arguments("theirs:never", "--order", "partition"), directory=project) as command:
        await command.out.wait_for("began 0")
        command.send_signal(number)
        await command.err.wait_for("draining")
        command.send_signal(number)
        assert await command.wait() == code
    assert command.out.seen == ["began 0", "left 0"]
    assert await setting.committed() in (None, 0)


async def test_an_exhausted_record_ends_with_1_and_the_users_traceback(
    embedded: EmbeddedCluster, project: Path
) -> None:
    setting = Setting(embedded, 5)
    arguments = setting.arguments("theirs:fail", "--order", "partition", "--attempts", "2", "--backoff", "0")
    async with started(*arguments, directory=project) as command:
        assert await command.wait() == 1
    said = f"trio-consumer: handling {setting.topic}[0]@3 failed after 2 attempts: RuntimeError: cannot stand 3"
    assert command.err.seen[-1] == said
    assert 'raise RuntimeError("cannot stand 3")' in command.err.text
    assert await setting.committed() == 3


async def test_a_record_may_be_skipped(embedded: EmbeddedCluster, project: Path) -> None:
    setting = Setting(embedded, 5)
    more = ["--order", "partition", "--attempts", "1", "--exhausted", "skip"]
    async with started(*setting.arguments("theirs:fail", *more), directory=project) as command:
        await command.out.wait_for("tried 4")
        command.send_signal(signal.SIGINT)
        assert await command.wait() == 0
    assert "handled 4 records" in command.err.text
    assert "1 skipped" in command.err.text
    assert await setting.committed() == 5


async def test_a_handler_that_exits_chooses_the_code(embedded: EmbeddedCluster, project: Path) -> None:
    setting = Setting(embedded, 1)
    async with started(*setting.arguments("theirs:leave"), directory=project) as command:
        assert await command.wait() == 9


async def test_an_unknown_topic_ends_with_3(embedded: EmbeddedCluster, project: Path) -> None:
    arguments = ["--topic", "nowhere", "--group", "g", "--bootstrap", embedded.bootstrap_servers]
    async with started("run", "theirs:note", *arguments, directory=project) as command:
        assert await command.wait() == 3
    assert command.err.seen[-1].startswith("trio-consumer: ")
    assert "nowhere" in command.err.seen[-1]
    assert "Traceback" not in command.err.text


async def test_a_signal_before_there_is_a_broker_aborts(project: Path) -> None:
    arguments = ["--topic", "t", "--group", "g", "--bootstrap", "127.0.0.1:1"]
    async with started("run", "theirs:note", *arguments, directory=project) as command:
        await command.err.wait_for("connecting to 127.0.0.1:1")
        command.send_signal(signal.SIGTERM)
        assert await command.wait() == 143


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["theirs:notes"], "async functions there: ask, fail, leave, never, note"),
        (["theirs:note", "--concurrency", "0"], "concurrency=0"),
        (["theirs:note", "--grace", "60"], "grace=60"),
        (["theirs:note", "-X", "enable.auto.commit=true"], "enable.auto.commit"),
        (["theirs:note", "-X", "sasl.password"], "-X, entry 1: give name=value"),
        (["theirs:note", "--settings", "nowhere"], "--settings nowhere: No such file"),
    ],
)
def test_usage_errors_end_with_2_in_one_line(
    arguments: list[str],
    said: str,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "theirs", raising=False)
    assert main(["run", *arguments, "--topic", "t", "--group", "g", "--bootstrap", "127.0.0.1:1"]) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert (err.count("\n"), out) == (1, "")


async def test_secrets_are_not_shown(project: Path) -> None:
    secret = ["-X", "sasl.password=hunter2", "-X", "sasl.mechanism=PLAIN", "-X", "security.protocol=nonsense"]
    named = ["--topic", "t", "--group", "g", "--bootstrap", "127.0.0.1:1", "--log-level", "debug"]
    async with started("run", "theirs:note", *named, *secret, directory=project) as command:
        assert await command.wait() != 0
    assert "hunter2" not in command.err.text + command.out.text
