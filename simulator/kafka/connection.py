"""One connection between a process and a broker, as TCP and Kafka's ``SocketServer`` have it.

- Both directions are FIFO. Packets held up by a cut come through after it, in order.
- The broker handles one request of a connection at a time, and the next one only after it has answered: a request that
  waits for a whole group holds up what was sent behind it.
- A connection breaks once: of what had not arrived the first so many still arrive and the others never do, nothing is
  answered any more, and whoever waits for an answer is told that there will be none.

One timer per packet, and one per connection for the time limits of all its requests.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..runtime.clock import Timer, VirtualClock
from ..runtime.processes import Process
from .requests import Fetched, Node, Request, Response

if TYPE_CHECKING:
    from .network import Network

Answer = Callable[[Response | None], None]


class Exchange:
    """A request and what becomes of it. Its client waits for an answer while it is in ``Connection.pending``."""

    __slots__ = ("answer", "arrived", "connection", "deadline", "dropped", "queued", "request")

    def __init__(self, connection: Connection, request: Request, answer: Answer, deadline: float) -> None:
        self.connection = connection
        self.request = request
        self.answer = answer
        self.deadline = deadline
        self.arrived = False
        self.dropped = False
        self.queued = 0.0  # seconds that it waits in the broker before it is handled

    def arrive(self) -> None:
        """The packet has reached the broker's end."""
        connection = self.connection
        if self.dropped:
            return
        if connection.cut_requests or connection.held_requests:
            connection.held_requests.append(self)
        else:
            connection.take(self)

    def reply(self, response: Response) -> None:
        """The broker has answered."""
        self.connection.replied(self, response)


class Connection:
    """See the module.

    Attributes:
        process: The client's end.
        node: The broker's end.
        broken: True from then on.
        pending: What the client waits for, in the order in which it was sent.
        cut_requests: No packet reaches the broker.
        cut_responses: No packet reaches the client.
        held_requests: What has been held up by a cut on its way to the broker.
        factor: On the latency.
    """

    __slots__ = (
        "_busy",
        "_clock",
        "_expiry",
        "_held_responses",
        "_inbox",
        "_latest_request",
        "_latest_response",
        "_network",
        "broken",
        "cut_requests",
        "cut_responses",
        "factor",
        "held_requests",
        "node",
        "pending",
        "process",
    )

    def __init__(self, network: Network, clock: VirtualClock, process: Process, node: Node) -> None:
        self._network = network
        self._clock = clock
        self.process = process
        self.node = node
        self.broken = False
        self.pending: deque[Exchange] = deque()
        self.cut_requests = False
        self.cut_responses = False
        self.factor = 1.0
        self.held_requests: deque[Exchange] = deque()
        self._held_responses: deque[tuple[Exchange, Response]] = deque()
        self._inbox: deque[Exchange] = deque()
        self._busy = False
        self._expiry: Timer | None = None
        self._latest_request = 0.0
        self._latest_response = 0.0

    # The client's end

    def send(self, request: Request, answer: Answer, timeout: float, latency: float) -> Exchange:
        """A request goes out."""
        clock = self._clock
        deadline = clock.now + timeout
        exchange = Exchange(self, request, answer, deadline)
        self.pending.append(exchange)
        at = clock.now + latency * self.factor
        if at < self._latest_request:
            at = self._latest_request
        self._latest_request = at
        clock.at(at, exchange.arrive)
        expiry = self._expiry
        if expiry is None or expiry.when > deadline:
            if expiry is not None:
                expiry.cancel()
            self._expiry = clock.at(deadline, self._look_at_deadlines)
        return exchange

    def _look_at_deadlines(self) -> None:
        self._expiry = None
        if self.pending and not self.broken:
            earliest = min(exchange.deadline for exchange in self.pending)
            if earliest > self._clock.now:
                self._expiry = self._clock.at(earliest, self._look_at_deadlines)
            else:
                # A frozen client first takes the answers that had come in by then.
                self.process.deliver(self._expire)

    def _expire(self) -> None:
        if self.broken:
            return
        now = self._clock.now
        if any(exchange.deadline <= now for exchange in self.pending):
            # As librdkafka does: a broker that owes an answer for too long is disconnected from.
            self._network.break_connection(self)
        elif self.pending and self._expiry is None:
            self._look_at_deadlines()

    def _answered(self, exchange: Exchange, response: Response) -> None:
        if not self.broken:
            # The first, since answers come in the order of the requests.
            self.pending.popleft()
            exchange.answer(response)

    # The broker's end

    def take(self, exchange: Exchange) -> None:
        """A request has come in."""
        exchange.arrived = True
        if self._busy:
            self._inbox.append(exchange)
        else:
            self._handle(exchange)

    def _handle(self, exchange: Exchange) -> None:
        self._busy = True
        if exchange.queued:
            self._clock.after(exchange.queued, self._serve, exchange)
        else:
            self._serve(exchange)

    def _serve(self, exchange: Exchange) -> None:
        self._network.serve(self.node, self.process.name, exchange.request, exchange.reply)

    def replied(self, exchange: Exchange, response: Response) -> None:
        """The broker has answered what it handled."""
        if not self.broken:
            latency = self._network.latency_of_response(exchange)
            if latency is None:
                self._network.break_connection(self)
            else:
                at = max(self._clock.now + latency * self.factor, self._latest_response)
                self._latest_response = at
                self._clock.at(at, self._come_back, exchange, response)
        if type(response) is Fetched and response.throttle:
            # KIP-219: the answer goes out at once, and the broker does not read on until the throttle time is over.
            self._clock.after(response.throttle, self._next)
        else:
            self._next()

    def _next(self) -> None:
        if self._inbox:
            self._handle(self._inbox.popleft())
        else:
            self._busy = False

    def _come_back(self, exchange: Exchange, response: Response) -> None:
        if self.broken:
            return
        if self.cut_responses or self._held_responses:
            self._held_responses.append((exchange, response))
        else:
            self.process.deliver(self._answered, exchange, response)

    # What the network does to it

    def cut(self, requests: bool, responses: bool) -> None:
        self.cut_requests = self.cut_requests or requests
        self.cut_responses = self.cut_responses or responses

    def mend(self, latency: float) -> None:
        """What was held up comes through after so long."""
        self.cut_requests = self.cut_responses = False
        self.factor = 1.0
        if self.held_requests or self._held_responses:
            self._clock.after(latency, self._flush)

    def _flush(self) -> None:
        while self.held_requests and not self.cut_requests:
            self.take(self.held_requests.popleft())
        while self._held_responses and not self.cut_responses and not self.broken:
            exchange, response = self._held_responses.popleft()
            self.process.deliver(self._answered, exchange, response)

    def shut(self, arrive: int) -> list[Exchange]:
        """It is broken from now on.

        Args:
            arrive: How many of the requests that are on their way still arrive.

        Returns:
            What waited for an answer.
        """
        self.broken = True
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        self._held_responses.clear()
        pending = list(self.pending)
        self.pending.clear()
        for exchange in pending:
            if not exchange.arrived and not exchange.dropped:
                exchange.dropped = arrive <= 0
                arrive -= 1
        if self.held_requests:
            self.held_requests = deque(exchange for exchange in self.held_requests if not exchange.dropped)
        return pending

    def on_the_way(self) -> int:
        """How many requests have not arrived."""
        return sum(not exchange.arrived and not exchange.dropped for exchange in self.pending)

    def forget(self) -> None:
        """The broker's end is no more: what it had not handled yet is gone."""
        self._inbox.clear()
