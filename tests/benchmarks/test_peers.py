"""The peers' set-up and handlers; and each peer once against a real Kafka, where its environment is set up."""

from __future__ import annotations

import asyncio
import gc
import re
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import attrs
import pytest

from benchmarks import marks, runtimes, topics
from benchmarks.checks import order_problems
from benchmarks.marks import Marks, Spans
from benchmarks.model import Job, Runtime, Workload
from benchmarks.peers import environments
from benchmarks.peers.environments import JavaEnvironment, PythonEnvironment, ask_python, made_beside
from benchmarks.peers.handlers import handler_of
from benchmarks.process import run_child
from benchmarks.runtimes import RuntimeMissing
from tests.conftest import REQUIRE_PEERS, refuse
from tests.kafka.broker import KafkaBroker, KafkaUnavailable

THIS = environments.ask_python(sys.executable)
NOTHING = {"kind": "noop"}
SLEEP = {"kind": "sleep", "seconds": 0.002}


# Environments


def nowhere(minors: Sequence[int]) -> Iterator[str]:
    yield from ()


def python_environment(directory: Path, *, pins: str = "", check: str = "", **changes: Any) -> PythonEnvironment:
    requirements = directory / "peer.txt"
    requirements.write_text(pins)
    return PythonEnvironment(
        package="peer",
        requirements=requirements,
        minors=(sys.version_info[1],),
        check=check,
        cache=lambda: directory / "cache",
        **changes,
    )


def test_an_environment_appears_complete(tmp_path: Path) -> None:
    wanted = tmp_path / "cache" / "peer"
    with made_beside(wanted) as work:
        (work / "something").touch()
        assert not wanted.exists()
    assert [path.name for path in wanted.iterdir()] == ["something"]
    assert list(wanted.parent.iterdir()) == [wanted]


def test_an_environment_appears_not_at_all(tmp_path: Path) -> None:
    wanted = tmp_path / "peer"
    with pytest.raises(KeyError), made_beside(wanted) as work:
        (work / "something").touch()
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_of_two_set_ups_the_first_wins(tmp_path: Path) -> None:
    wanted = tmp_path / "peer"
    with made_beside(wanted) as slow:
        (slow / "slow").touch()
        with made_beside(wanted) as quick:
            (quick / "quick").touch()
    assert [path.name for path in wanted.iterdir()] == ["quick"]
    assert list(tmp_path.iterdir()) == [wanted]


def test_python_environment(tmp_path: Path) -> None:
    """The real thing, of no packages: so it needs no network."""
    environment = python_environment(tmp_path, check="import sys; sys.exit(sys.prefix == sys.base_prefix)")
    with pytest.raises(RuntimeMissing, match=r"peer is not set up in .*: run python -m benchmarks setup"):
        environment.command()
    told: list[str] = []
    environment.set_up(told.append)
    assert [line.partition(" into ")[0] for line in told] == ["peer: installing"]
    python, *arguments = environment.command()
    assert arguments == ["-m", "benchmarks.child"]
    found = ask_python(python)
    assert THIS is not None
    assert found == attrs.evolve(THIS, path=python)
    environment.set_up(told.append)
    assert len(told) == 1  # it was there
    # Something else in it is another environment.
    environment.requirements.write_text("# other\n")
    with pytest.raises(RuntimeMissing, match="not set up"):
        environment.command()


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ([sys.executable, "-c", "import sys; print('no such thing'); sys.exit(1)"], "it does not work:\nno such thing"),
        (["/nonexistent/mvn"], "it does not work: .*No such file"),
    ],
)
def test_a_step_that_fails(tmp_path: Path, command: list[str], reason: str) -> None:
    with pytest.raises(RuntimeMissing, match=reason):
        environments.run(command, tmp_path, "it does not work")


def test_no_suitable_python(tmp_path: Path) -> None:
    environment = python_environment(tmp_path, find=nowhere)
    reason = "peer needs CPython 3.1., with venv: there is none .*; install one, for instance by pyenv install 3.1."
    for use in (environment.command, lambda: environment.set_up(str)):
        with pytest.raises(RuntimeMissing, match=reason):
            use()


@pytest.mark.parametrize("script", ["exit 1", "echo pypy 3 11 0 /opt/pypy", None])
def test_what_is_no_cpython_is_passed_over(tmp_path: Path, script: str | None) -> None:
    path = tmp_path / "python"
    if script is not None:
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    assert ask_python(str(path)) is None


def test_pythons_of_pyenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("3.98.2", "3.98.10", "3.98.0rc1", "3.9.8", "3.97.1"):
        (tmp_path / "versions" / name).mkdir(parents=True)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    found = [Path(path).parts[-3] for path in environments.known_pythons((98, 97))]
    assert found == ["3.98.10", "3.98.2", "3.97.1"]


def test_java_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_java() -> str:
        raise KafkaUnavailable("java is not on the path")

    source = environments.HERE / "java"
    environment = JavaEnvironment(package="p", source=source, cache=lambda: tmp_path, java=no_java)
    with pytest.raises(RuntimeMissing, match="java is not on the path"):
        environment.command()
    environment = JavaEnvironment(package="p", source=source, cache=lambda: tmp_path, java=lambda: "java")
    with pytest.raises(RuntimeMissing, match=r"not set up in .*: run python -m benchmarks setup"):
        environment.command()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeMissing, match="install Maven"):
        environment.set_up(str)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["aiokafka", "pyrallel"])
def test_all_is_pinned(name: str) -> None:
    environment = runtimes.peers()[name]
    assert isinstance(environment, PythonEnvironment)
    lines = [line for line in environment.requirements.read_text().splitlines() if not line.startswith("#")]
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[\w-]+==[\d.]+", line)] == []


def test_what_runs_is_told() -> None:
    java = environments.ENVIRONMENTS["java"]
    try:
        java.command()
    except RuntimeMissing as error:
        refuse("java", REQUIRE_PEERS, str(error))
    assert re.fullmatch(r"0\.5\.3\.3 on Java \d+\..*", java.described())
    assert environments.versions()["parallel-consumer-core"] == java.described()


def test_the_version_of_a_python_peer_is_its_pin(tmp_path: Path) -> None:
    environment = python_environment(tmp_path, pins="# first\nother==2\npeer==1.5\n")
    assert environment.described() == f"1.5 on CPython {'.'.join(map(str, sys.version_info[:3]))}"


def test_each_runtime_has_an_environment() -> None:
    assert sorted(runtimes.peers()) == ["aiokafka", "java", "pyrallel"]


# Handlers


@attrs.frozen
class Record:
    partition: int
    offset: int


def job_of(directory: Path, counts: Sequence[int], options: dict[str, Any], *, spans: bool = False) -> Job:
    marks.create(str(directory / "marks"), sum(counts))
    marks.create(str(directory / "spans"), 16 * sum(counts))
    return Job(
        name="peer",
        entry="",
        bootstrap_servers="",
        topic="t",
        counts=counts,
        record_bytes=0,
        group="g",
        marks=str(directory / "marks"),
        spans=str(directory / "spans") if spans else "",
        options=options,
    )


@pytest.mark.parametrize(
    "options", [NOTHING, {"kind": "checkpoint"}, SLEEP, {"kind": "sweep"}, {"kind": "cpu", "seconds": 1e-4}], ids=str
)
def test_a_handler_marks_its_record(tmp_path: Path, options: dict[str, Any]) -> None:
    job = job_of(tmp_path, [2, 3], {"handler": options}, spans=True)
    seen = Marks(job.marks, job.counts)
    handle = handler_of(job, seen, attrgetter("partition"))
    before = time.monotonic_ns()
    asyncio.run(handle(Record(1, 2)))
    assert [list(row) for row in seen.rows] == [[0, 0], [0, 0, 1]]
    begin, end = Spans(job.spans, job.counts).of(1, 2)
    assert before <= begin <= end
    assert end - begin >= options.get("seconds", 0.0) * 0.9e9


def test_a_stuck_handler_is_that_of_one_record(tmp_path: Path) -> None:
    job = job_of(tmp_path, [2, 3], {"handler": NOTHING, "stuck": [1, 2]})
    seen = Marks(job.marks, job.counts)
    handle = handler_of(job, seen, attrgetter("partition"))

    async def main() -> None:
        # As peers do: only what it waits for keeps the task.
        stuck = weakref.ref(asyncio.create_task(handle(Record(1, 2))))
        await asyncio.sleep(0)
        gc.collect()
        await asyncio.gather(*(handle(Record(*place)) for place in [(0, 0), (0, 1), (1, 0), (1, 1)]))
        task = stuck()
        assert task is not None
        assert not task.done()
        task.cancel()

    asyncio.run(main())
    assert [list(row) for row in seen.rows] == [[1, 1], [1, 1, 0]]


def test_an_unknown_handler(tmp_path: Path) -> None:
    job = job_of(tmp_path, [1], {"handler": {"kind": "io", "bytes": 1}})
    with pytest.raises(ValueError, match="'io': peers have noop, checkpoint, sleep"):
        handler_of(job, Marks(job.marks, job.counts), attrgetter("partition"))


# Against a real Kafka


@attrs.frozen
class Peer:
    runtime: Runtime
    entry: str = ""
    options: dict[str, Any] = attrs.field(factory=dict)


PEERS = {
    "aiokafka": Peer("aiokafka", "peers.aiokafka_tasks:consume"),
    "aiokafka-fast": Peer("aiokafka", "peers.aiokafka_tasks:consume_fast"),
    "pyrallel": Peer("pyrallel", "peers.pyrallel:consume"),
    "java": Peer("java"),
}
WORKLOAD = Workload(records=3_000, keys=100, partitions=3)

Measure = Callable[..., tuple[Job, list[str]]]


@pytest.fixture
def measure(kafka: KafkaBroker, tmp_path: Path) -> Measure:
    """Measure a peer on a topic of its own: the job, and whatever is wrong."""

    def measure(peer: Peer, order: str, handler: dict[str, Any]) -> tuple[Job, list[str]]:
        try:
            command = runtimes.command(peer.runtime)
        except RuntimeMissing as error:
            refuse(peer.runtime, REQUIRE_PEERS, str(error))
        topic = topics.unique("peers")
        topics.fill(kafka, topic, WORKLOAD)
        options = {"handler": handler, "concurrency": 512, "order": order}
        job = attrs.evolve(
            job_of(tmp_path, WORKLOAD.counts, options, spans=True),
            entry=peer.entry,
            bootstrap_servers=kafka.bootstrap_servers,
            topic=topic,
            group=topics.unique("peers"),
        )
        found = run_child(job, command)
        assert found.problems == []
        assert found.value is not None
        assert found.value > 0
        wrong = topics.wrong_commits(kafka.bootstrap_servers, job.group, topic, job.counts)
        return job, [*Marks(job.marks, job.counts).problems(), *wrong]

    return measure


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_handles_and_commits_each_record_once(measure: Measure, name: str) -> None:
    job, wrong = measure(PEERS[name], "key", NOTHING)
    assert wrong == []
    if PEERS[name].runtime != "aiokafka":
        assert order_problems(Spans(job.spans, job.counts), WORKLOAD) == []


@pytest.mark.parametrize("name", ["pyrallel", "java"])
def test_disorder_of_a_peer_is_seen(measure: Measure, name: str) -> None:
    job, wrong = measure(PEERS[name], "unordered", SLEEP)
    assert wrong == []
    assert "records of a key overlapped" in "".join(order_problems(Spans(job.spans, job.counts), WORKLOAD))
