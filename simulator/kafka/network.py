"""The network between clients and brokers: latency, and everything that keeps an answer from coming.

A process has two connections to a broker that coordinates its group, as librdkafka has: one for the group's requests,
so that a commit does not wait behind a fetch, and one for everything else. What happens on one connection is in
`connection`; here is what befalls several, and which fault befalls a request.

A client that gets no answer learns nothing: its request may have been carried out, may be under way still, or be gone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

from trio_consumer import ConfigurationError

from ..faults.faults import Faults
from ..runtime.clock import VirtualClock
from ..runtime.dice import Dice
from ..runtime.processes import Process
from ..world.history import History
from .connection import Answer, Connection, Exchange
from .requests import GROUP_REQUESTS, Node, OffsetCommit, Request, Response

Serve: TypeAlias = Callable[[Node, str, Request, Callable[[Response], None]], None]
"""Node, name of the process, request, reply."""

LATENCY_SECONDS = (0.0005, 0.005)
"""One way, mostly."""
RARELY = 0.01
"""The share of packets that take `RARE_FACTOR` times as long."""
RARE_FACTOR = 10
SLOW_SECONDS = (0.1, 2.0)
"""How much longer a slow response takes."""
QUEUE_SECONDS = (0.1, 1.0)
"""How long a delayed commit waits in a broker."""
ASTRAY_SECONDS = (0.2, 4.0)
"""How long a commit is on its way that comes in after its connection has broken."""

_RARE_SECONDS = LATENCY_SECONDS[1] - RARELY * (LATENCY_SECONDS[1] - LATENCY_SECONDS[0])
_GROUP = frozenset(GROUP_REQUESTS)


class Network:
    """See the module.

    Args:
        clock: Virtual time.
        dice: Latencies, and what becomes of packets of a broken connection.
        faults: Asked for the faults of connections and those of commits that are on the way.
        history: Not told of packets: what they do shows in the brokers and the clients.
        serve: The brokers.
        nodes: Which ones there are.
    """

    def __init__(
        self,
        clock: VirtualClock,
        dice: Dice,
        faults: Faults,
        history: History,
        serve: Serve,
        nodes: Sequence[Node],
    ) -> None:
        self.serve = serve
        self._clock = clock
        self._dice = dice
        self._fires = faults.fires
        self._nodes = tuple(nodes)
        self._open: dict[tuple[str, Node, bool], Connection] = {}
        self._lingering: list[Connection] = []  # broken, with requests held up on the way to the broker
        self._met: dict[str, None] = {}
        self._cuts: dict[str, dict[Node, tuple[bool, bool]]] = {}  # requests, responses
        self._factors: dict[str, float] = {}
        self._down: dict[Node, None] = {}

    # Requests

    def send(self, process: Process, node: Node, request: Request, answer: Answer, *, timeout: float) -> None:
        """Send a request to a node.

        Args:
            process: Whose request it is. It hears nothing after its death.
            node: To which broker.
            request: What to send.
            answer: Called once with the response; with ``None`` if the connection broke or the time was over: then the
                fate of the request is unknown. Never within this call.
            timeout: In seconds; afterwards the connection is closed, with everything on it.
        """
        if not process.alive:
            return
        name = process.name
        connection = self._open.get((name, node, type(request) in _GROUP))
        latency = self._latency()
        if connection is None:
            connection = self._connect(process, node, type(request) in _GROUP)
            latency *= 3  # the handshake takes a round trip
        exchange = connection.send(request, answer, timeout, latency)
        if node in self._down:
            exchange.dropped = True
            self._clock.after(latency, self.break_connection, connection)
        elif self._fires("connection-reset", name):
            self._clock.after(latency * self._dice.uniform(0, 2), self.break_connection, connection)
        elif type(request) is OffsetCommit and self._fires("commit-delayed", name):
            self._delay(connection, exchange, latency)

    def _delay(self, connection: Connection, exchange: Exchange, latency: float) -> None:
        """A commit waits in the broker, with all that follows on the connection; or the connection breaks, and the
        commit comes in long after.
        """
        if self._dice.chance(0.5):
            exchange.queued = self._dice.uniform(*QUEUE_SECONDS)
        else:
            exchange.dropped = True
            self._clock.after(latency, self.break_connection, connection)
            self._clock.after(self._dice.uniform(*ASTRAY_SECONDS), connection.take, exchange)

    def _latency(self) -> float:
        seconds = self._dice.uniform(*LATENCY_SECONDS)
        return seconds if seconds < _RARE_SECONDS else seconds * RARE_FACTOR

    def _connect(self, process: Process, node: Node, group: bool) -> Connection:
        self._check(node)
        name = process.name
        if name not in self._met:
            self._met[name] = None
            process.farewells.append(lambda: self.kill(name))
        connection = self._open[name, node, group] = Connection(self, self._clock, process, node)
        connection.factor = self._factors.get(name, 1.0)
        cut = self._cuts.get(name, {}).get(node)
        if cut is not None and any(cut):
            # The handshake needs both ways.
            connection.cut(True, True)
        return connection

    # What a connection asks

    def latency_of_response(self, exchange: Exchange) -> float | None:
        """How long a response is on its way; ``None`` if it is lost with its connection."""
        fires, name = self._fires, exchange.connection.process.name
        if fires("response-lost", name):
            return None
        if type(exchange.request) is OffsetCommit and fires("commit-response-lost", name):
            return None
        if fires("slow-response", name):
            return self._dice.uniform(*SLOW_SECONDS)
        return self._latency()

    def break_connection(self, connection: Connection, *, arriving: bool = True) -> None:
        """It breaks now: the client is told for each request that it waits for.

        Args:
            connection: Which one.
            arriving: False if nothing of what is on the way arrives.
        """
        if connection.broken:
            return
        for key, known in self._open.items():
            if known is connection:
                del self._open[key]
                break
        count = connection.on_the_way() if arriving else 0
        waiting = connection.shut(self._dice.below(count + 1) if count else 0)
        if connection.cut_requests:
            self._lingering.append(connection)
        deliver = connection.process.deliver
        for exchange in waiting:
            deliver(exchange.answer, None)

    # Levers

    def cut(
        self,
        process: str,
        nodes: Collection[Node] | None = None,
        *,
        requests: bool = True,
        responses: bool = True,
    ) -> None:
        """Hold up what goes between a process and some nodes, until `mend`.

        Args:
            process: Its name.
            nodes: Which brokers; all by ``None``.
            requests: Hold up what the process sends.
            responses: Hold up what is sent to it.
        """
        links = self._cuts.setdefault(process, {})
        for node in self._nodes if nodes is None else nodes:
            self._check(node)
            cut = links.get(node, (False, False))
            links[node] = (cut[0] or requests, cut[1] or responses)
        for connection in self._of(process):
            if connection.node in links:
                connection.cut(*links[connection.node])

    def mend(self, process: str | None = None) -> None:
        """Undo cuts and slowness, of one process or of all. What was held up comes through soon."""
        if process is None:
            self._cuts.clear()
            self._factors.clear()
        else:
            self._cuts.pop(process, None)
            self._factors.pop(process, None)
        for connection in [*self._open.values(), *self._lingering]:
            if process is None or connection.process.name == process:
                connection.mend(self._latency())
        self._lingering = [
            connection for connection in self._lingering if process is not None and connection.process.name != process
        ]

    def slow(self, process: str, factor: float) -> None:
        """Packets to and from a process take so many times as long, until `mend`."""
        if not factor > 0:
            raise ConfigurationError(f"factor={factor}: give a number above 0; 1 is as usual")
        self._factors[process] = factor
        for connection in self._of(process):
            connection.factor = factor

    def reset(self, process: str, node: Node | None = None) -> None:
        """Break the connections of a process, to one node or to all. The next request opens a new one."""
        for connection in self._of(process):
            if node is None or connection.node == node:
                self.break_connection(connection)

    def stop(self, node: Node) -> None:
        """A broker is down: connections to it break, with what it had not handled, and no new one opens."""
        self._check(node)
        self._down[node] = None
        for connection in list(self._open.values()):
            if connection.node == node:
                connection.forget()
                self.break_connection(connection, arriving=False)

    def start(self, node: Node) -> None:
        """It is up again."""
        self._check(node)
        self._down.pop(node, None)

    def kill(self, process: str) -> None:
        """A process is dead: some of what it has on the wire may still arrive, and nobody hears the answers.

        Called by itself when a `Process` ends that has sent something.
        """
        for connection in self._of(process):
            self.break_connection(connection)

    def _of(self, process: str) -> list[Connection]:
        return [connection for connection in self._open.values() if connection.process.name == process]

    def _check(self, node: Node) -> None:
        if node not in self._nodes:
            raise ConfigurationError(f"node={node}: the brokers are {', '.join(map(str, self._nodes))}")
