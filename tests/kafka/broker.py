"""A throw-away Apache Kafka: one node in KRaft mode on loopback, a child of this process.

Everything here blocks: from Trio, call it by ``trio.to_thread.run_sync``. Needs no pytest.

- Its data is in a temporary directory of its own and outlives `kill`, `stop` and `restart`, until `close`.
- Its ports stay the same over restarts. They lie below those that the system hands out for outgoing connections: a
  client that keeps trying to reach a dead broker on such a port may end up connected to itself, and then the port is
  taken when the broker comes back.
- It dies with this process, also by SIGKILL: a shell waits for the end of a pipe that only we hold.
"""

from __future__ import annotations

import base64
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from .jars import KafkaUnavailable, find_jars, find_java

__all__ = ["KafkaBroker", "KafkaFailed", "KafkaUnavailable"]

START_SECONDS_MAX = 60.0
START_ATTEMPTS = 3
"""Another process may take a port between our look at it and the broker's."""
STOP_SECONDS_MAX = 20.0
PORTS = range(10_240, 32_768)

PROPERTIES: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "num.partitions": "4",
    "auto.create.topics.enable": "false",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    # Groups that react within a test's patience.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "group.consumer.heartbeat.interval.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": "6000",
    # A killed node may register again only after this.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
}
"""What every broker here is started with, unless told otherwise."""

_LOG4J = """\
status=error
rootLogger.level=warn
rootLogger.appenderRefs=stdout
rootLogger.appenderRef.stdout.ref=stdout
appender.stdout.type=Console
appender.stdout.name=stdout
appender.stdout.layout.type=PatternLayout
appender.stdout.layout.pattern=%d %p %c %m%n
"""


class KafkaFailed(Exception):
    """The broker did not start; the message ends with its log."""


class KafkaBroker:
    """A Kafka broker of our own.

    Args:
        properties: Properties of the broker, over `PROPERTIES`.
        client: What clients need besides the address, for instance credentials; for our own look at the broker.
        relayed_by: Port of a relay, if there is one: a second listener tells clients to come by that port.

    Attributes:
        relayed_port: Where the second listener is.
    """

    def __init__(
        self,
        properties: Mapping[str, str] | None = None,
        client: Mapping[str, str] | None = None,
        *,
        relayed_by: int | None = None,
    ) -> None:
        self._properties = dict(properties or {})
        self._relayed_by = relayed_by
        self.relayed_port = 0
        # Its log would tell of each vain attempt while the broker comes up.
        self._client: dict[str, str | int | float] = {**(client or {}), "log_level": 0}
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._directory: Path | None = None
        self._java = ""
        self._jars = Path()
        self._port = 0

    @property
    def bootstrap_servers(self) -> str:
        """What clients take as ``bootstrap.servers``."""
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """The process of the broker."""
        return self._running().pid

    @property
    def directory(self) -> Path:
        """Where its data, settings and log are."""
        return self._folder()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # Life

    def start(self) -> None:
        """Start a fresh broker, and return when it answers.

        Raises:
            KafkaUnavailable: Java or Kafka's jars are missing.
            KafkaFailed: It did not come up.
        """
        if self._directory is not None:
            raise RuntimeError("this broker was started before; use restart()")
        self._java, self._jars = find_java(), find_jars()
        self._directory = Path(tempfile.mkdtemp(prefix="trio-consumer-kafka-"))
        try:
            self._start_somewhere()
        except KafkaFailed:
            self._end(signal.SIGKILL)  # the directory stays, with the log
            raise
        except BaseException:
            self.close()
            raise

    def restart(self) -> None:
        """Start it again after `kill` or `stop`, with the same ports and data; a running one is killed before."""
        self._folder()
        self._end(signal.SIGKILL)
        self._launch()

    def kill(self) -> None:
        """End it at once, as a crash does. The data stays."""
        self._running()
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Shut it down in good order. The data stays."""
        self._running().send_signal(signal.SIGCONT)  # a paused one would never see the other signal
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Freeze it: connections stay open and nobody answers."""
        self._running().send_signal(signal.SIGSTOP)

    def cont(self) -> None:
        """Let a frozen one go on."""
        self._running().send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Kill it, and remove its data."""
        self._end(signal.SIGKILL)
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    # What tests want besides

    def create_topic(self, topic: str, partitions: int, config: Mapping[str, str] | None = None) -> None:
        """Create a topic, and return when every partition has a leader."""
        admin = self._admin()
        new = NewTopic(topic, num_partitions=partitions, replication_factor=1, config=dict(config or {}))
        admin.create_topics([new], operation_timeout=10)[topic].result()
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self._leads(admin, deadline - time.monotonic(), topic, partitions):
            time.sleep(0.02)

    def log(self, lines: int = 60) -> str:
        """The end of the broker's log."""
        try:
            text = (self._folder() / "broker.log").read_text(errors="replace")
        except OSError as error:
            return f"(no log: {error})"
        return "\n".join(text.splitlines()[-lines:])

    # Inside

    def _folder(self) -> Path:
        if self._directory is None:
            raise RuntimeError("the broker is not started, or was closed")
        return self._directory

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the broker is not running; restart() starts it again")
        return self._process

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap_servers, **self._client})

    def _start_somewhere(self) -> None:
        for attempt in range(START_ATTEMPTS):
            self._port, controller, self.relayed_port = _free_ports(3)
            try:
                self._format(controller)
                self._launch()
            except KafkaFailed:
                if attempt + 1 == START_ATTEMPTS or "Address already in use" not in self.log():
                    raise
                self._end(signal.SIGKILL)
                for path in self._folder().iterdir():
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            else:
                return

    def _format(self, controller: int) -> None:
        folder = self._folder()
        properties = {
            **PROPERTIES,
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self._port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self._port}",
            "log.dirs": str(folder / "data"),
            **self._with_relay(controller),
            **self._properties,
        }
        settings = folder / "server.properties"
        settings.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
        (folder / "log4j2.properties").write_text(_LOG4J)
        cluster = base64.urlsafe_b64encode(b"k" + os.urandom(15)).decode().rstrip("=")
        command = [self._java, "-XX:TieredStopAtLevel=1", "-cp", f"{self._jars}/*"]
        command += ["kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(settings)]
        with (folder / "broker.log").open("ab") as log:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)
        if done.returncode:
            raise KafkaFailed(f"Kafka's storage can't be formatted; in {folder}:\n{self.log()}")

    def _with_relay(self, controller: int) -> dict[str, str]:
        if self._relayed_by is None:
            return {}
        own = f"PLAINTEXT://127.0.0.1:{self._port}"
        return {
            "listeners": f"{own},RELAYED://127.0.0.1:{self.relayed_port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"{own},RELAYED://127.0.0.1:{self._relayed_by}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,RELAYED:PLAINTEXT,CONTROLLER:PLAINTEXT",
        }

    def _launch(self) -> None:
        folder = self._folder()
        command = [self._java, "-Xmx1g", f"-Dlog4j2.configurationFile=file:{folder}/log4j2.properties"]
        command += ["-cp", f"{self._jars}/*", "kafka.Kafka", str(folder / "server.properties")]
        with (folder / "broker.log").open("ab") as log:
            # A session of its own: an interrupt at the terminal is ours to answer.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        script = 'read -r _; kill -9 "$1"; rm -rf "$2"'
        guard = ["sh", "-c", script, "sh", str(self._process.pid), str(folder)]
        self._guard = subprocess.Popen(
            guard, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        self._wait_answer(self._process)

    def _wait_answer(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while not _listens(self._port):
            self._check_starting(process, deadline)
            time.sleep(0.05)
        admin = self._admin()
        while not self._leads(admin, 1.0):
            self._check_starting(process, deadline)
            time.sleep(0.05)
        for group in self._group_of_each_coordinator():
            while not _coordinates({"bootstrap.servers": self.bootstrap_servers, "group.id": group, **self._client}):
                self._check_starting(process, deadline)
                time.sleep(0.02)

    def _group_of_each_coordinator(self) -> list[str]:
        # Kafka picks a group's coordinator by Java's hash of its name; of a single character that is its number.
        count = int({**PROPERTIES, **self._properties}["offsets.topic.num.partitions"])
        return [chr(ord("0") + index) for index in range(min(count, 64))]

    def _check_starting(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        if process.poll() is not None:
            raise KafkaFailed(f"Kafka ended with {process.returncode}; in {self._folder()}:\n{self.log()}")
        if time.monotonic() > deadline:
            raise KafkaFailed(f"Kafka gave no answer in {START_SECONDS_MAX:g} s; in {self._folder()}:\n{self.log()}")

    def _leads(self, admin: AdminClient, timeout: float, topic: str | None = None, partitions: int = 0) -> bool:
        """True if the broker answers and leads every partition (of the topic, if one is given)."""
        try:
            told = admin.list_topics(timeout=max(timeout, 0.01))
        except KafkaException:
            if topic is None:
                return False
            raise
        topics = told.topics.values() if topic is None else [told.topics[topic]] if topic in told.topics else []
        leaders = [partition.leader for one in topics for partition in one.partitions.values()]
        return bool(told.brokers) and len(leaders) >= partitions and all(leader in told.brokers for leader in leaders)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        guard, self._guard = self._guard, None
        if process is not None:
            process.send_signal(number)
        if guard is not None:
            # Before the broker is reaped: its number may belong to another process afterwards.
            guard.kill()
            guard.communicate()
        if process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS_MAX)
            process.kill()
            process.wait()


def _coordinates(settings: dict[str, str | int | float]) -> bool:
    """True if the group's coordinator has loaded; the first of these calls creates the topic of committed offsets."""
    # Not by AdminClient.list_consumer_group_offsets: NOT_COORDINATOR crashes it (librdkafka issue 5040).
    consumer = Consumer(settings)
    try:
        consumer.committed([TopicPartition("__consumer_offsets", 0)], timeout=5.0)
    except KafkaException:
        return False
    finally:
        consumer.close()
    return True


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_ports(count: int) -> list[int]:
    """Ports that nobody holds at this moment."""
    with contextlib.ExitStack() as stack:
        found: list[int] = []
        for port in random.SystemRandom().sample(PORTS, 200):
            probe = stack.enter_context(socket.socket())
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(port)
            if len(found) == count:
                return found
    raise KafkaFailed("no free port found on 127.0.0.1")
