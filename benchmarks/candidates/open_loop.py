"""A producer in a process of its own that sends on time, whatever becomes of the records.

An *open loop*: the time at which a record is due is fixed beforehand and travels in its value, so a record that leaves
late, or waits for others, has that in its latency. (A producer that waits for answers, or stamps records when it gets
round to them, leaves out just the moments when the system was slow: "coordinated omission".) Times are nanoseconds of
the system's monotonic clock, which the processes of a machine share.

Orders come as lines of JSON on the standard input and are carried out one after the other; the process ends with its
input. Every key comes twice in a row: the first record of such a pair finds its lane free, as its key has not been used
for a long time; the second one comes while the first is being handled, if that takes any time.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import time
from array import array
from types import TracebackType
from typing import NamedTuple, Self

import attrs
from confluent_kafka import Producer

VALUE_BYTES = 100
FLUSH_SECONDS_MAX = 30.0
LEAD_SECONDS = 0.02
"""From an order to the time of its first record."""
NOT_TIMED = 0
"""The time of a record that was sent without one."""

POLL_EVERY = 64

_STAMP = struct.Struct("<qII")
_FILL = b"." * (VALUE_BYTES - _STAMP.size)


class Stamp(NamedTuple):
    """What a value begins with.

    Args:
        due_ns: When the record was to be sent.
        number: The record's, within its order.
        of: How many the order has.
    """

    due_ns: int
    number: int
    of: int


def value_of(due_ns: int, number: int, of: int) -> bytes:
    return _STAMP.pack(due_ns, number, of) + _FILL


def stamp_of(value: bytes) -> Stamp:
    return Stamp._make(_STAMP.unpack_from(value))


@attrs.frozen(kw_only=True)
class Order:
    """What to send.

    Args:
        records: How many.
        rate: Records per second; ``None`` for as fast as possible, and without an answer.
    """

    records: int
    rate: float | None = None

    @property
    def seconds(self) -> float:
        """How long it takes, by the plan."""
        return 0.0 if self.rate is None else self.records / self.rate


@attrs.frozen(kw_only=True)
class Sent:
    """The answer, when the broker has acknowledged all records.

    Args:
        records: How many.
        seconds: From the first one's time until the last one was handed to the client.
        late_ms: How late records were handed to the client, at the 99th percentile.
    """

    records: int
    seconds: float
    late_ms: float


@attrs.frozen(kw_only=True)
class Target:
    """Where to send.

    Args:
        bootstrap_servers: Of the cluster.
        topic: The topic.
        partitions: How many it has.
        keys: How many different ones to use.
    """

    bootstrap_servers: str
    topic: str
    partitions: int
    keys: int


class Sender:
    """The process, as the consumer sees it that is measured."""

    def __init__(self, target: Target) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, json.dumps(attrs.asdict(target))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def order(self, order: Order) -> None:
        """Returns at once."""
        if self._process.stdin is not None:
            self._process.stdin.write(json.dumps(attrs.asdict(order)) + "\n")
            self._process.stdin.flush()

    def answer(self) -> Sent:
        """The next one. Waits for it."""
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            raise RuntimeError(f"the producer ended with {self._process.wait()}: see its error output")
        return Sent(**json.loads(line))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._process:
            self._process.kill()


class _Producer:
    """The process, seen from inside."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._keys = [b"key-%07d" % number for number in range(target.keys)]
        self._sent = 0
        # Each is sent once (the consumer counts them), and waits a little for others: with a request for each one the
        # broker would be the slowest of all.
        settings = {"linger.ms": 1, "enable.idempotence": True, "log_level": 3}
        self._producer = Producer({"bootstrap.servers": target.bootstrap_servers, **settings})
        self._producer.list_topics(target.topic, timeout=FLUSH_SECONDS_MAX)

    def send(self, order: Order) -> Sent | None:
        """All records of an order. A burst takes the same steps for each, so that it costs as much."""
        gap_ns = 1e9 / order.rate if order.rate else 0.0
        first = time.monotonic_ns() + (int(LEAD_SECONDS * 1e9) if order.rate else 0)
        number, late_ns = 0, array("q")
        while number < order.records:
            due_ns = first + int(number * gap_ns)
            now = time.monotonic_ns()
            if due_ns > now:
                time.sleep((due_ns - now) / 1e9)
                continue
            late_ns.append(now - due_ns)
            self._produce(value_of(due_ns if order.rate else NOT_TIMED, number, order.records))
            number += 1
            if not number % POLL_EVERY:
                self._producer.poll(0)
        if not order.rate:
            return None
        seconds = (time.monotonic_ns() - first) / 1e9
        if unanswered := self._producer.flush(FLUSH_SECONDS_MAX):
            raise SystemExit(f"{unanswered} records were not acknowledged in {FLUSH_SECONDS_MAX:g} s")
        return Sent(records=order.records, seconds=seconds, late_ms=sorted(late_ns)[len(late_ns) * 99 // 100] / 1e6)

    def _produce(self, value: bytes) -> None:
        key = self._sent // 2 % len(self._keys)
        self._sent += 1
        while True:
            try:
                self._producer.produce(self._target.topic, value, self._keys[key], key % self._target.partitions)
                break
            except BufferError:
                self._producer.poll(0.01)


def main() -> None:
    """The process: carry out orders until there are no more."""
    producer = _Producer(Target(**json.loads(sys.argv[1])))
    for line in sys.stdin:
        sent = producer.send(Order(**json.loads(line)))
        if sent is not None:
            print(json.dumps(attrs.asdict(sent)), flush=True)


if __name__ == "__main__":
    main()
