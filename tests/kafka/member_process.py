"""One member of a group in a process of its own, which a test may kill or stop.

``python -m tests.kafka.member_process ORDERS`` with orders as JSON. It appends an entry for each begin and end of a
handler to the journal that all members share: one write each, to a file opened for appending, so that the order of the
lines is the order in which things happened. It drains and ends when its standard input ends.
"""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import trio

from tests.kafka.journal import BEGUN, DONE, LEFT, Entry
from trio_consumer import Partition, Record, open_consumer


class FileHandler:
    """Writes into the journal's file, and takes a random time; records of the stuck key wait for the gate's file."""

    def __init__(self, orders: dict[str, Any]) -> None:
        self._member: str = orders["member"]
        self._journal = os.open(orders["journal"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._gate = Path(orders["gate"])
        self._stuck: bytes = orders["stuck"].encode()
        self._seconds: float = orders["handler_seconds_max"]
        self._rng = random.Random(orders["seed"])

    def _note(self, what: str, record: Record) -> None:
        entry = Entry(what, self._member, (Partition(record.topic, record.partition), record.offset))
        os.write(self._journal, f"{entry}\n".encode())

    async def __call__(self, record: Record) -> None:
        self._note(BEGUN, record)
        what = LEFT
        try:
            while record.key == self._stuck and not self._gate.exists():  # noqa: ASYNC110  no event crosses processes
                await trio.sleep(0.05)
            await trio.sleep(self._rng.random() * self._seconds)
            what = DONE
        finally:
            self._note(what, record)


async def main(orders: dict[str, Any]) -> None:
    async with open_consumer(orders["settings"], orders["topic"], **orders["options"]) as consumer:
        async with trio.open_nursery() as nursery:
            await nursery.start(consumer.run, FileHandler(orders))
            await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
            await consumer.drain()
            told = consumer.statistics()
    sys.stdout.write(json.dumps({"restored": told.restored, "tenures_lost": told.tenures_lost}) + "\n")


if __name__ == "__main__":
    trio.run(main, json.loads(sys.argv[1]))
