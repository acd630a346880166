"""A bare loop in a process of its own, beside our consumer: how long each record of a load took until it was there.

It reads the same records at the same moment, by ``poll()`` and ``consume()`` of confluent-kafka with our client
settings, and only looks at the clock. It says one word on its standard output when it waits for records, and leaves the
latencies of the first load that comes (records without a time are passed over) in a file.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from trio_consumer.client.settings import prepare

from ..pace import STANDSTILL_SECONDS_MAX
from .open_loop import NOT_TIMED, stamp_of

POLL_SECONDS = 0.1
BATCH_RECORDS_MAX = 2_000


class Beside:
    """The process, as the consumer sees it that is measured.

    Args:
        bootstrap_servers: Of the cluster.
        starts: Where it is to begin in each partition.
    """

    def __init__(self, bootstrap_servers: str, starts: Sequence[TopicPartition]) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="benchmark-")
        self._path = Path(self._directory.name, "latencies")
        asked = {
            "bootstrap_servers": bootstrap_servers,
            "path": str(self._path),
            "starts": [[one.topic, one.partition, one.offset] for one in starts],
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, json.dumps(asked)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait_ready(self) -> None:
        """Until it waits for records."""
        if self._process.stdout is None or not self._process.stdout.readline():
            raise RuntimeError(f"the bare loop ended with {self._process.wait()}: see its error output")

    def answer(self) -> Sequence[int]:
        """Nanoseconds by the record's number, when it has seen all of the load."""
        if code := self._process.wait():
            raise RuntimeError(f"the bare loop ended with {code}: see its error output")
        found = array("q")
        found.frombytes(self._path.read_bytes())
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._process, self._directory:
            self._process.kill()


class Seen:
    """What the loop has seen of the load.

    Attributes:
        latencies: By the record's number; empty until the first one comes.
        records: How many.
    """

    def __init__(self) -> None:
        self.latencies = array("q")
        self.records = 0

    @property
    def complete(self) -> bool:
        """True if all of the load has come."""
        return bool(self.latencies) and self.records == len(self.latencies)

    def take(self, values: Iterable[bytes], now: Callable[[], int] = time.monotonic_ns) -> None:
        """Look at the clock for each."""
        for value in values:
            due_ns, number, of = stamp_of(value)
            if due_ns != NOT_TIMED:
                if not self.latencies:
                    self.latencies = array("q", bytes(8 * of))
                self.latencies[number] = now() - due_ns
                self.records += 1


def main() -> None:
    """The process."""
    asked: dict[str, Any] = json.loads(sys.argv[1])
    starts = [TopicPartition(*one) for one in asked["starts"]]
    settings = prepare({"bootstrap.servers": asked["bootstrap_servers"], "group.id": "beside"})
    consumer = Consumer({**settings, "enable.auto.commit": False})
    consumer.assign(starts)
    seen, ends = Seen(), 0
    latest = time.monotonic()
    while not seen.complete:
        # poll() returns with the first record, consume() only when it has all that it was asked for.
        message = consumer.poll(POLL_SECONDS)
        if message is None:
            if time.monotonic() - latest > STANDSTILL_SECONDS_MAX:
                raise SystemExit(f"{seen.records:,} of {len(seen.latencies):,} records came")
            continue
        messages = [message, *consumer.consume(BATCH_RECORDS_MAX, 0)]
        values = _values(messages)
        seen.take(values)
        latest = time.monotonic()
        # Our settings ask for the word that a partition has come to its end: then it waits for records.
        if ends < len(starts) <= (ends := ends + len(messages) - len(values)):
            print("ready", flush=True)
    consumer.close()
    Path(asked["path"]).write_bytes(seen.latencies.tobytes())


def _values(messages: Iterable[Message]) -> list[bytes]:
    found = []
    for message in messages:
        value, error = message.value(), message.error()
        if error is None and isinstance(value, bytes):
            found.append(value)
        elif error is None or error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
    return found


if __name__ == "__main__":
    main()
