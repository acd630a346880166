"""A simulated database: what a handler of yours may write to, with the failures that databases have.

Rows have a key and a value. Transactions are serializable: each reads the rows as they were when it began, and its
commit fails with `Conflict` if another one has changed what it read. It is shared by all processes of a world and
survives them; what a dead process would still write is refused, as its connection is gone.

Between any two calls time passes, so a process can die, or a handler be cancelled, at each of them. A commit can fail
before it is applied, or be applied and its answer lost: then the handler sees `ConnectionLost` either way, and must
write in a way that it can repeat. After a world heals nothing of this happens any more.

It knows nothing of Kafka.
"""

from __future__ import annotations

import contextvars
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

import trio

from trio_consumer import Partition, Record

from .runtime.dice import Dice
from .runtime.trio_internals import current_process
from .world.history import EffectApplied, History

LATENCY = (0.0005, 0.005)
UNAVAILABLE = 0.02
RESPONSE_LOST = 0.02

record_in_hand: contextvars.ContextVar[Record | None] = contextvars.ContextVar("record_in_hand", default=None)
"""The record of the handler that is running: the history says on whose behalf a row changed."""


class DatabaseError(Exception):
    """Base of what the database raises."""


class Conflict(DatabaseError):
    """Another transaction changed what this one has read. Nothing was written; try again."""


class ConnectionLost(DatabaseError):
    """The connection broke. Whether the transaction was applied is unknown."""


class _Active(Protocol):
    @property
    def active(self) -> bool: ...


class Stage(Protocol):
    """What a database needs of a world."""

    @property
    def dice(self) -> Dice: ...

    @property
    def faults(self) -> _Active: ...

    @property
    def history(self) -> History: ...


class Database(Mapping[Any, Any]):
    """See the module. As a mapping it shows its rows as they are, at once: for oracles, not for handlers.

    Args:
        world: The world that it is in.
        name: Of the database, for traces and for its dice.
        latency: Shortest and longest time of a call, in virtual seconds.
        unavailable: Probability that a call fails, while there are faults.
        response_lost: Probability that a commit is applied and its answer lost, while there are faults.

    Attributes:
        commits: Transactions that were applied and wrote something.
        refused: Transactions of dead processes that were not.
    """

    def __init__(
        self,
        world: Stage,
        name: str = "database",
        *,
        latency: tuple[float, float] = LATENCY,
        unavailable: float = UNAVAILABLE,
        response_lost: float = RESPONSE_LOST,
    ) -> None:
        self.name = name
        self.commits = 0
        self.refused = 0
        self._world = world
        self._dice = world.dice.split(f"database/{name}")
        self._latency = latency
        self._unavailable = unavailable
        self._response_lost = response_lost
        self._rows: dict[Any, Any] = {}
        # The number of the commit that changed a row last.
        self._changed: dict[Any, int] = {}

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """All that is written within the context is applied at its end, or nothing. An exception rolls it back.

        Raises:
            Conflict: See there.
            ConnectionLost: See there.
        """
        await self._call()
        transaction = Transaction(self)
        yield transaction
        await self._call()
        self._apply(transaction)
        await self._wait()
        if self._world.faults.active and self._dice.chance(self._response_lost):
            raise ConnectionLost(f"{self.name}: no answer to a commit")

    # For oracles

    def __getitem__(self, key: Any) -> Any:
        return self._rows[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    # For transactions

    async def _call(self) -> None:
        await self._wait()
        if self._world.faults.active and self._dice.chance(self._unavailable):
            raise ConnectionLost(f"{self.name}: connection refused")

    async def _wait(self) -> None:
        await trio.sleep(self._dice.uniform(*self._latency))

    def _apply(self, transaction: Transaction) -> None:
        process = current_process()
        if process is not None and not process.alive:
            self.refused += 1
            raise ConnectionLost(f"{self.name}: process {process.name} is dead")
        if any(self._changed.get(key, 0) > transaction.began for key in transaction.read):
            raise Conflict(f"{self.name}: a row that this transaction has read was changed: try again")
        if not transaction.written:
            return
        self.commits += 1
        for key, value in transaction.written.items():
            self._changed[key] = self.commits
            if value is DELETED:
                self._rows.pop(key, None)
            else:
                self._rows[key] = value
        record = record_in_hand.get()
        if record is not None:
            partition = Partition(record.topic, record.partition)
            who = process.name if process is not None else ""
            self._world.history.add(EffectApplied(who, self.name, partition, record.offset))


DELETED = object()


class Transaction:
    """What one transaction reads and writes. Made by `Database.transaction`."""

    def __init__(self, database: Database) -> None:
        self.began = database.commits
        self.read: dict[Any, None] = {}
        self.written: dict[Any, Any] = {}
        self._database = database

    async def get(self, key: Any, default: Any = None) -> Any:
        """The value of this row.

        Raises:
            Conflict: It was changed after this transaction had begun.
            ConnectionLost: The database is unavailable.
        """
        if key in self.written:
            value = self.written[key]
            return default if value is DELETED else value
        await self._database._call()
        if self._database._changed.get(key, 0) > self.began:
            raise Conflict(f"{self._database.name}: {key!r} was changed after this transaction had begun: try again")
        self.read[key] = None
        return self._database.get(key, default)

    def put(self, key: Any, value: Any) -> None:
        """Write a row, at the end of the transaction."""
        self.written[key] = value

    def delete(self, key: Any) -> None:
        """Delete a row, at the end of the transaction. Nothing if there is none."""
        self.written[key] = DELETED
