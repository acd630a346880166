"""Kafka brokers inside this process, for tests and demonstrations: librdkafka's own mock cluster.

They listen on loopback and speak the real protocol, so every Kafka client can use them: produce, fetch, consumer groups
under the three protocols, commits with metadata. No server to install, and gone with the `with` block.

A method returns when the cluster has carried it out; that takes microseconds, so Trio tasks may call it directly.
Only opening and closing start and join threads; `open_embedded_cluster` does them in a worker thread.

What it does not know is in `EmbeddedCluster`: a test that depends on one of those rows needs a real broker.
"""

from __future__ import annotations

import ctypes
import enum
import re
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import attrs
import trio

from ..errors import ClientError, ConfigurationError, StateError
from ..record import Partition
from . import librdkafka

CLOSE_SECONDS_MAX = 10.0
"""How long `open_embedded_cluster` waits for the threads of the cluster; closing takes milliseconds."""

_REPLICAS_MAX = 3
_ALL_BROKERS = -1
_BROKERS_MAX = 100
_PARTITIONS_MAX = 10_000
_REQUESTS_MAX = 1_000_000
_PAIRS_MAX = 100  # in one call; ctypes passes at most 1,024 arguments
_OFFSET_MAX = 2**63 - 1
_SECONDS_MAX = 2000  # librdkafka computes some of them in microseconds of 32 bits
_TOPIC_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")


class Api(enum.IntEnum):
    """The kinds of request that `EmbeddedCluster` can be told to answer wrongly or late, by their protocol numbers."""

    PRODUCE = 0
    FETCH = 1
    LIST_OFFSETS = 2
    METADATA = 3
    OFFSET_COMMIT = 8
    OFFSET_FETCH = 9
    FIND_COORDINATOR = 10
    JOIN_GROUP = 11
    HEARTBEAT = 12
    LEAVE_GROUP = 13
    SYNC_GROUP = 14
    API_VERSIONS = 18
    INIT_PRODUCER_ID = 22
    OFFSET_FOR_LEADER_EPOCH = 23
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    TXN_OFFSET_COMMIT = 28
    CONSUMER_GROUP_HEARTBEAT = 68


@attrs.frozen
class Request:
    """A request that a broker received.

    Args:
        broker: The broker's number.
        api: Its kind; the bare protocol number if `Api` does not name it.
    """

    broker: int
    api: Api | int


class EmbeddedCluster:
    """Brokers inside this process. Open it by `open_embedded_cluster` in Trio, or here by a plain ``with``.

    Where it differs from a real Kafka (librdkafka 2.16):

    - A partition keeps its newest 5 MiB, and at most 100,000 batches; older ones are dropped without a word.
    - A topic that a producer or an admin client names and nobody created comes into being with four partitions.
      CreateTopics and most other admin requests are unknown to it: use `create_topic`.
    - Metadata of a commit may have any length; a real broker takes 4,096 characters.
    - A commit during a classic rebalance, before the member has joined again, is refused with REBALANCE_IN_PROGRESS;
      a real broker accepts it. A group with members refuses commits of a client without a member id with
      UNKNOWN_MEMBER_ID, and it keeps doing so when all have left.
    - Under the classic protocols a rebalance of a group that has members lasts up to a second less than the client's
      ``session.timeout.ms``: give clients a short one (2,000, say).
    - Nothing is ever compacted or expires, and nothing is on disk.

    Args:
        brokers: How many; they are numbered from 1.
        topics: Topics to create, each with its number of partitions.
        initial_rebalance_delay: Seconds that the first rebalance of an empty classic group waits for more members.
        heartbeat_interval: Seconds between heartbeats of a member under KIP-848; it learns of a rebalance by them.
        session_timeout: Seconds without a heartbeat after which a member is expelled under KIP-848; looked at each
            second. (Under the classic protocols the client names both by its own settings.)

    Raises:
        ConfigurationError: An argument is wrong, or no librdkafka with a mock cluster is installed.
    """

    def __init__(
        self,
        brokers: int = 1,
        topics: Mapping[str, int] | None = None,
        *,
        initial_rebalance_delay: float = 0.0,
        heartbeat_interval: float = 0.2,
        session_timeout: float = 6.0,
    ) -> None:
        self.brokers = tuple(range(1, _whole("brokers", brokers, _BROKERS_MAX) + 1))
        """The numbers of the brokers."""
        self._topics = dict(topics or {})
        for topic, partitions in self._topics.items():
            _check_topic(topic, partitions)
        self._delay_ms = _milliseconds("initial_rebalance_delay", initial_rebalance_delay)
        self._heartbeat_ms = _milliseconds("heartbeat_interval", heartbeat_interval, least=0.001)
        self._session_ms = _milliseconds("session_timeout", session_timeout, least=0.001)
        self._lock = threading.Lock()  # a call into a destroyed cluster would crash the process
        self._client: int | None = None
        self._cluster: int | None = None
        self._used = False
        self._bootstrap_servers = ""
        self._delayed: set[Api] = set()

    @property
    def bootstrap_servers(self) -> str:
        """What clients take as ``bootstrap.servers``."""
        with self._lock:
            self._opened()
            return self._bootstrap_servers

    def __enter__(self) -> Self:
        with self._lock:
            if self._used:
                raise StateError("an EmbeddedCluster can be opened once; make another")
            self._used = True
            self._open()
        try:
            for topic, partitions in self._topics.items():
                self.create_topic(topic, partitions)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the brokers and forget everything. Close their clients before, or they log that they lost them."""
        with self._lock:
            library = librdkafka.load()
            if self._cluster is not None:
                cluster, self._cluster = self._cluster, None
                library.rd_kafka_mock_cluster_destroy(cluster)
            if self._client is not None:
                client, self._client = self._client, None
                library.rd_kafka_destroy(client)

    # Topics

    def create_topic(self, topic: str, partitions: int) -> None:
        """Create a topic; each partition gets up to three replicas."""
        _check_topic(topic, partitions)
        replicas = min(_REPLICAS_MAX, len(self.brokers))
        self._call("create_topic", topic, "rd_kafka_mock_topic_create", topic.encode(), partitions, replicas)

    def delete_topic(self, topic: str) -> None:
        """Delete a topic with its records and committed offsets."""
        self._call("delete_topic", topic, "rd_kafka_mock_topic_delete", topic.encode())

    def delete_records(self, partition: Partition, before: int) -> None:
        """Let the log of a partition begin at the offset ``before``.

        Whole batches are deleted; of one that straddles the offset the client drops the records below it.
        """
        at = _whole("before", before, _OFFSET_MAX, least=0)
        topic = partition.topic.encode()
        self._call("delete_records", partition, "rd_kafka_mock_partition_delete_records", topic, partition.number, at)

    def move_leader(self, partition: Partition, broker: int) -> None:
        """Make this broker the leader of a partition."""
        function, topic = "rd_kafka_mock_partition_set_leader", partition.topic.encode()
        self._call("move_leader", partition, function, topic, partition.number, self._broker(broker))

    def move_coordinator(self, group: str, broker: int) -> None:
        """Make this broker the coordinator of a group.

        Members find out by their next heartbeat. Until then the old one takes commits, which a real broker would not.
        """
        function = "rd_kafka_mock_coordinator_set"
        self._call("move_coordinator", group, function, b"group", group.encode(), self._broker(broker))

    # Faults

    def fail_requests(self, api: Api | str, error: str | int, count: int = 1) -> None:
        """Refuse the next requests of a kind. Further calls queue up behind the earlier ones.

        Args:
            api: Which kind, or its name, for instance ``"OFFSET_COMMIT"``.
            error: Name or number of the error, for instance ``"ILLEGAL_GENERATION"``. ``"_TRANSPORT"`` closes the
                connection instead of answering. The cluster does not check that a real broker would answer so.
            count: How many requests, whichever broker they go to. (After `delay_answers` for this kind: to each.)
        """
        kind, code, times = _api(api), _error_code(error), _whole("count", count, _REQUESTS_MAX)
        if kind in self._delayed:
            self.delay_answers(kind, 0.0, times, error=error)
            return
        with self._lock:
            errors = (ctypes.c_int * times)(*[code] * times)
            librdkafka.load().rd_kafka_mock_push_request_errors_array(self._opened(), kind, times, errors)

    def clear_failures(self, api: Api | str) -> None:
        """Forget what `fail_requests` queued for this kind and was not used up.

        Raises:
            StateError: Answers of this kind were delayed; librdkafka can't forget those.
        """
        kind = _api(api)
        if kind in self._delayed:
            raise StateError(f"failures of {kind.name} can't be cleared any more: its answers were delayed")
        with self._lock:
            librdkafka.load().rd_kafka_mock_clear_request_errors(self._opened(), kind)

    def delay_answers(self, api: Api | str, seconds: float, count: int = 1, *, error: str | int | None = None) -> None:
        """Carry out the next requests of a kind at once, but answer late.

        So a client can be led to time out on a request that has taken effect.
        Hides what `fail_requests` queued for this kind earlier and was not used up.

        Args:
            api: Which kind.
            seconds: How late.
            count: How many requests to each broker.
            error: Answer with this error, and do not carry it out.
        """
        kind, code = _api(api), librdkafka.NO_ERROR if error is None else _error_code(error)
        times, late = _whole("count", count, _REQUESTS_MAX), _milliseconds("seconds", seconds)
        function, pair = "rd_kafka_mock_broker_push_request_error_rtts", (ctypes.c_int(code), ctypes.c_int(late))
        for broker in self.brokers:
            for done in range(0, times, _PAIRS_MAX):
                some = min(_PAIRS_MAX, times - done)
                self._call("delay_answers", f"broker {broker}", function, broker, int(kind), some, *pair * some)
        self._delayed.add(kind)

    def stop_broker(self, broker: int | None = None) -> None:
        """Close a broker's connections and accept no more; ``None`` for all. Its leaders and groups do not move."""
        self._call("stop_broker", broker, "rd_kafka_mock_broker_set_down", self._broker(broker))

    def start_broker(self, broker: int | None = None) -> None:
        """Let a stopped broker accept connections again, at its old address; ``None`` for all. It forgot nothing."""
        self._call("start_broker", broker, "rd_kafka_mock_broker_set_up", self._broker(broker))

    def set_round_trip_time(self, seconds: float, broker: int | None = None) -> None:
        """Let every answer of a broker come that late; ``None`` for all."""
        late = _milliseconds("seconds", seconds)
        self._call("set_round_trip_time", broker, "rd_kafka_mock_broker_set_rtt", self._broker(broker), late)

    # Requests

    def track_requests(self) -> None:
        """Remember every request from now on, for `requests`. They take memory until the cluster is closed."""
        with self._lock:
            librdkafka.load().rd_kafka_mock_start_request_tracking(self._opened())

    def requests(self, api: Api | str | None = None) -> tuple[Request, ...]:
        """The requests since `track_requests`, in order; only those of a kind if one is given."""
        wanted = None if api is None else _api(api)
        library, count = librdkafka.load(), ctypes.c_size_t()
        with self._lock:
            found = library.rd_kafka_mock_get_requests(self._opened(), ctypes.byref(count))
        try:
            numbers = [
                (library.rd_kafka_mock_request_id(one), library.rd_kafka_mock_request_api_key(one))
                for one in found[: count.value]
            ]
        finally:
            library.rd_kafka_mock_request_destroy_array(found, count)
        known = set(Api)
        return tuple(
            Request(broker, Api(number) if number in known else number)
            for broker, number in numbers
            if wanted is None or number == wanted
        )

    # Inside

    def _open(self) -> None:
        library, reason = librdkafka.load(), ctypes.create_string_buffer(512)
        settings = library.rd_kafka_conf_new()
        # The handle only lends its threads. It connects to nobody, and must not print to the standard error.
        library.rd_kafka_conf_set(settings, b"log_level", b"0", reason, len(reason))
        library.rd_kafka_conf_set_log_cb(settings, None)
        self._client = library.rd_kafka_new(librdkafka.PRODUCER, settings, reason, len(reason))
        if self._client is None:
            library.rd_kafka_conf_destroy(settings)
            raise ClientError("_FAIL", f"the embedded cluster can't start: {reason.value.decode()}")
        self._cluster = library.rd_kafka_mock_cluster_new(self._client, len(self.brokers))
        if self._cluster is None:
            client, self._client = self._client, None
            library.rd_kafka_destroy(client)
            raise ClientError("_FAIL", f"the embedded cluster can't open {len(self.brokers)} loopback ports")
        library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, self._delay_ms)
        library.rd_kafka_mock_set_group_consumer_heartbeat_interval_ms(self._cluster, self._heartbeat_ms)
        library.rd_kafka_mock_set_group_consumer_session_timeout_ms(self._cluster, self._session_ms)
        self._bootstrap_servers = library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def _opened(self) -> int:
        if self._cluster is None:
            raise StateError("the embedded cluster is not open: use it inside its with block")
        return self._cluster

    def _call(self, method: str, subject: object, name: str, *arguments: object) -> None:
        """Call a function that returns an error code, and raise that as an exception of ours."""
        library = librdkafka.load()
        function: Callable[..., int] = getattr(library, name)
        with self._lock:
            code = function(self._opened(), *arguments)
        if code != librdkafka.NO_ERROR:
            text = library.rd_kafka_err2str(code).decode()
            raise ClientError(library.rd_kafka_err2name(code).decode(), f"{method} of {subject}: {text}")

    def _broker(self, broker: int | None) -> int:
        if broker is None:
            return _ALL_BROKERS
        if broker not in self.brokers:
            raise ConfigurationError(f"broker={broker!r}: this cluster has the brokers 1 to {len(self.brokers)}")
        return broker


@asynccontextmanager
async def open_embedded_cluster(
    brokers: int = 1,
    topics: Mapping[str, int] | None = None,
    *,
    initial_rebalance_delay: float = 0.0,
    heartbeat_interval: float = 0.2,
    session_timeout: float = 6.0,
) -> AsyncIterator[EmbeddedCluster]:
    """Start brokers inside this process, and stop them at the end of the block. See `EmbeddedCluster`.

    ::

        async with open_embedded_cluster(topics={"orders": 12}) as cluster:
            async with open_consumer({"bootstrap.servers": cluster.bootstrap_servers, ...}, ["orders"]) as consumer:
                ...

    Raises:
        ConfigurationError: An argument is wrong, or no librdkafka with a mock cluster is installed.
    """
    cluster = EmbeddedCluster(
        brokers,
        topics,
        initial_rebalance_delay=initial_rebalance_delay,
        heartbeat_interval=heartbeat_interval,
        session_timeout=session_timeout,
    )
    await trio.to_thread.run_sync(cluster.__enter__)
    try:
        yield cluster
    finally:
        with trio.move_on_after(CLOSE_SECONDS_MAX, shield=True):
            await trio.to_thread.run_sync(cluster.close, abandon_on_cancel=True)


# Callers without a type checker deserve an error that names the argument, so these take any object.


def _whole(name: str, value: object, most: int, least: int = 1) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise ConfigurationError(f"{name}={value!r}: give a whole number from {least:,} to {most:,}")


def _milliseconds(name: str, seconds: object, least: float = 0.0) -> int:
    if isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and least <= seconds <= _SECONDS_MAX:
        return round(seconds * 1000)
    raise ConfigurationError(f"{name}={seconds!r}: give seconds, from {least:g} to {_SECONDS_MAX}")


def _check_topic(topic: object, partitions: object) -> None:
    if not isinstance(topic, str) or not _TOPIC_NAME.fullmatch(topic) or topic in (".", ".."):
        raise ConfigurationError(f"topic={topic!r}: give 1 to 249 letters, digits, dots, underscores or hyphens")
    _whole(f"partitions of {topic}", partitions, _PARTITIONS_MAX)


def _api(api: object) -> Api:
    for known in Api:
        if api in (known, known.name):
            return known
    raise ConfigurationError(f"api={api!r}: give one of {', '.join(known.name for known in Api)}")


def _error_code(error: object) -> int:
    codes = librdkafka.error_codes()
    if isinstance(error, str) and error in codes:
        return codes[error]
    if isinstance(error, int) and not isinstance(error, bool) and error in codes.values():
        return error
    raise ConfigurationError(f"error={error!r}: give the name of a Kafka error, for instance ILLEGAL_GENERATION")
