"""Which broker leads which partition, and which one coordinates the group.

Metadata is asked for at the start, now and then, and whenever a broker says that it is out of date. The coordinator is
asked for when it is needed and unknown, until one is found. A request that waits for the whole group (joining,
syncing) holds up all that is sent to the coordinator after it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from trio_consumer import Partition

from ..kafka.requests import (
    FindCoordinator,
    FoundCoordinator,
    Metadata,
    MetadataResponse,
    Node,
    Request,
    Response,
    TopicMetadata,
)
from .handle import Handle

QUERY_SECONDS = 0.5
"""How long until the coordinator is asked for again."""
REFRESH_SECONDS = 0.1
"""How long until metadata is asked for again, at least."""

Answer = Callable[[Response | None], None]


class Brokers:
    """Metadata: topics, and leaders of partitions."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._asking = False
        self._again = False
        self._at = 0.0
        self._next = handle.dice.below(len(handle.surroundings.nodes))
        self._patterns = [re.compile(topic) for topic in handle.knobs.topics if topic.startswith("^")]
        self.topics: dict[str, TopicMetadata] = {}

    def any(self) -> Node:
        """Some broker; another one each time."""
        nodes = self._handle.surroundings.nodes
        self._next = (self._next + 1) % len(nodes)
        return nodes[self._next]

    def begin(self) -> None:
        """Ask now and then from now on."""
        self._handle.after(self._handle.knobs.metadata_interval, self._tick)

    def _tick(self) -> None:
        if not self._handle.closing:
            self.refresh()
            self.begin()

    def subscribed(self) -> tuple[str, ...]:
        """Topics of the subscription that exist, in order of their names."""
        wanted = self._handle.knobs.topics
        return tuple(
            topic
            for topic, found in sorted(self.topics.items())
            if not found.error and (topic in wanted or any(pattern.match(topic) for pattern in self._patterns))
        )

    def leader(self, partition: Partition) -> Node:
        """The leader's node, or -1."""
        found = self.topics.get(partition.topic)
        if found is None or found.error or partition.number >= len(found.leaders):
            return -1
        return found.leaders[partition.number]

    def refresh(self) -> None:
        """Ask for metadata soon."""
        if self._asking:
            self._again = True
            return
        self._asking = True
        self._handle.after(max(0.0, self._at + REFRESH_SECONDS - self._handle.now), self._ask)

    def _ask(self) -> None:
        self._at = self._handle.now
        topics = None if self._patterns else self._handle.knobs.topics
        self._handle.send(self.any(), Metadata(topics), self._answered)

    def _answered(self, response: Response | None) -> None:
        self._asking = False
        if self._handle.closing:
            return
        if isinstance(response, MetadataResponse):
            self.learn(response)
            self._handle.fetching.leaders_changed()
            self._handle.membership.metadata_changed()
        else:
            self._again = True
        if self._again:
            self._again = False
            self.refresh()

    def learn(self, response: MetadataResponse) -> None:
        """What a broker says."""
        self.topics = dict(response.topics)


class Coordinator:
    """The group's coordinator, and the connection to it.

    Attributes:
        node: Where it is; ``None`` while unknown.
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._asking = False
        self._waiting: list[Callable[[], None]] = []
        self._blocked = 0
        self._held: list[tuple[Request, Answer, float | None]] = []
        self.node: Node | None = None

    def when_up(self, act: Callable[[], None]) -> None:
        """Call this as soon as there is a coordinator; now if there is one."""
        if self.node is not None:
            act()
        else:
            self._waiting.append(act)
            self.query()

    def query(self) -> None:
        """Ask which broker it is. The one that is known stays so until another is."""
        if not self._asking and not (self._handle.closing and not self._waiting):
            self._asking = True
            request = FindCoordinator(self._handle.knobs.group)
            self._handle.send(self._handle.brokers.any(), request, self._found)

    def dead(self) -> None:
        """It is no longer where we thought it is."""
        self.node = None
        self.query()

    def _found(self, response: Response | None) -> None:
        if isinstance(response, FoundCoordinator) and not response.error and response.node >= 0:
            self._asking = False
            if response.node != self.node:
                self.node = response.node
                self._handle.membership.coordinator_changed()
            waiting, self._waiting = self._waiting, []
            for act in waiting:
                act()
        else:
            self._handle.after(QUERY_SECONDS, self._query_again)

    def _query_again(self) -> None:
        self._asking = False
        self.query()

    def call(self, request: Request, answer: Answer, timeout: float | None = None, *, blocking: bool = False) -> None:
        """Send a request there. ``answer(None)``: its fate is unknown.

        Args:
            request: To the coordinator.
            answer: Takes the answer.
            timeout: In seconds; ``socket.timeout.ms`` if ``None``.
            blocking: True if what is asked for later has to wait for this answer.
        """
        if self._blocked and not blocking:
            self._held.append((request, answer, timeout))
            return
        if self.node is None:
            self._handle.after(0, answer, None)
            self.query()
            return
        if blocking:
            self._blocked += 1
            self._handle.send(self.node, request, lambda response: self._unblock(answer, response), timeout)
        else:
            self._handle.send(self.node, request, answer, timeout)

    def _unblock(self, answer: Answer, response: Response | None) -> None:
        self._blocked -= 1
        held = []
        if not self._blocked:
            held, self._held = self._held, []
        answer(response)
        for request, later, timeout in held:
            self.call(request, later, timeout)
