"""What the group has committed, read from its coordinator: for the assign callback, and for the start of fetching."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from trio_consumer import Partition
from trio_consumer.client.port import Committed

from ..kafka.requests import OffsetFetch, OffsetFetched, Response
from .handle import Handle
from .thread import Blocking, wait

FAILS_SECONDS = 0.3
"""How long an answer takes that says nothing, by the fault of that name."""
COMMITTED_SECONDS = 5.0
"""How long the broker gets to answer for all partitions of one assignment."""
AGAIN_SECONDS = 5.0
"""How long for the second round, one partition at a time."""
FOREIGN = ("", "checkpoint-17", '{"host": "etl-3"}', "v2:not ours")
"""Metadata of other tools. An empty one stands for text that can't even be decoded."""

_COORDINATOR_GONE = ("NOT_COORDINATOR", "COORDINATOR_NOT_AVAILABLE")

_ASKED_AGAIN = (
    "_WAIT_COORD",
    "_TRANSPORT",
    "COORDINATOR_LOAD_IN_PROGRESS",
    "UNSTABLE_OFFSET_COMMIT",
    *_COORDINATOR_GONE,
)

Found = Callable[[str, Mapping[Partition, Committed]], None]
"""Takes an error or ``""``, and what was found."""


def fetch(handle: Handle, partitions: tuple[Partition, ...], found: Found) -> None:
    """Ask the coordinator once. As librdkafka asks: no member is named."""
    request = OffsetFetch(handle.knobs.group, partitions)

    def answered(response: Response | None) -> None:
        if not isinstance(response, OffsetFetched):
            handle.coordinator.query()
            found("_TRANSPORT", {})
            return
        if response.error in _COORDINATOR_GONE:
            handle.coordinator.dead()
        unstable = any(one.error == "UNSTABLE_OFFSET_COMMIT" for one in response.offsets.values())
        found(response.error or ("UNSTABLE_OFFSET_COMMIT" if unstable else ""), response.offsets)

    if handle.faults.fires("offset-fetch-fails", handle.name):
        handle.after(FAILS_SECONDS, found, "_TIMED_OUT", {})
    elif handle.coordinator.node is None:
        handle.coordinator.query()
        handle.after(0, found, "_WAIT_COORD", {})
    else:
        handle.coordinator.call(request, answered)


def read(handle: Handle, partitions: tuple[Partition, ...]) -> Blocking[dict[Partition, Committed]]:
    """Offset and metadata of each partition, or why it could not be read. Blocks the application's thread."""
    error, found = yield from _committed(handle, partitions, handle.now + COMMITTED_SECONDS)
    if not error:
        return {one: _as_the_application_sees_it(handle, one, found.get(one, Committed())) for one in partitions}
    if len(partitions) == 1:
        return {partitions[0]: Committed(error=error)}
    until = handle.now + AGAIN_SECONDS
    singly = {}
    for partition in partitions:
        if handle.now >= until:
            singly[partition] = Committed(error=f"no answer within {COMMITTED_SECONDS + AGAIN_SECONDS:g} s")
            continue
        error, found = yield from _committed(handle, (partition,), until)
        if error:
            singly[partition] = Committed(error=error)
        else:
            singly[partition] = _as_the_application_sees_it(handle, partition, found.get(partition, Committed()))
    return singly


def _committed(
    handle: Handle, partitions: tuple[Partition, ...], until: float
) -> Blocking[tuple[str, Mapping[Partition, Committed]]]:
    """librdkafka's ``committed()``: asks until the time is over."""
    tries = 0
    while True:
        answers: list[tuple[str, Mapping[Partition, Committed]]] = []

        def found(error: str, offsets: Mapping[Partition, Committed], answers: list[Any] = answers) -> None:
            answers.append((error, offsets))
            handle.wake()

        fetch(handle, partitions, found)
        if not (yield from wait(partial(bool, answers), handle.time, until)):
            return "_TIMED_OUT", {}
        error, offsets = answers[0]
        if error not in _ASKED_AGAIN:
            return error, offsets
        yield from wait(lambda: False, handle.time, min(until, handle.now + handle.backoff(tries)))
        if handle.now >= until:
            return "_TIMED_OUT", {}
        tries += 1


def _as_the_application_sees_it(handle: Handle, partition: Partition, found: Committed) -> Committed:
    """What another tool wrote as metadata is not ours to read: it is text of its own, or no text at all."""
    if found.offset is None or not handle.faults.fires("foreign-metadata", str(partition)):
        return found
    text = handle.dice.choice(FOREIGN)
    if not text:
        return Committed(found.offset, error="its metadata is not text; another client wrote it")
    return Committed(found.offset, text)
