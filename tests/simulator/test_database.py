"""The simulated database: transactions, and how they fail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio

from simulator.database import Conflict, ConnectionLost, Database, record_in_hand
from simulator.faults.faults import Faults
from simulator.runtime.clock import VirtualClock
from simulator.runtime.dice import Dice, SeededDice
from simulator.runtime.processes import Process
from simulator.runtime.run import run
from simulator.runtime.schedulers import Shuffle
from simulator.runtime.trio_internals import kill, live
from simulator.world.history import EffectApplied, History
from trio_consumer import Partition, Record


class Stage:
    """The part of a world that a database needs."""

    def __init__(self, seed: int = 1) -> None:
        self.clock = VirtualClock()
        self.dice: Dice = SeededDice(seed)
        self.history = History(self.clock)
        self.faults = Faults({"crash"}, self.dice.split("faults"), self.history)

    def run(self, main: Callable[[], Awaitable[Any]]) -> Any:
        return run(main, clock=self.clock, scheduler=Shuffle(self.dice.split("schedule")))


def reliable(stage: Stage) -> Database:
    return Database(stage, unavailable=0, response_lost=0)


def test_a_transaction_is_applied_as_a_whole_or_not_at_all() -> None:
    stage = Stage()
    database = reliable(stage)

    async def main() -> None:
        async with database.transaction() as transaction:
            transaction.put("a", 1)
            transaction.put("b", 2)
            assert await transaction.get("a") == 1
            assert dict(database) == {}
        assert dict(database) == {"a": 1, "b": 2}
        with pytest.raises(LookupError):
            async with database.transaction() as transaction:
                transaction.put("a", 7)
                raise LookupError
        async with database.transaction() as transaction:
            transaction.delete("a")
            assert await transaction.get("a", "gone") == "gone"
        assert dict(database) == {"b": 2}

    stage.run(main)
    assert stage.clock.now > 0


@pytest.mark.parametrize("seed", range(20))
def test_transactions_do_not_lose_updates(seed: int) -> None:
    stage = Stage(seed)
    database = reliable(stage)
    conflicts = 0

    async def count() -> None:
        nonlocal conflicts
        for _ in range(5):
            while True:
                try:
                    async with database.transaction() as transaction:
                        transaction.put("total", await transaction.get("total", 0) + 1)
                    break
                except Conflict:
                    conflicts += 1

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(count)

    stage.run(main)
    assert database["total"] == 20
    assert conflicts > 0


def test_reads_are_of_one_instant() -> None:
    stage = Stage()
    database = reliable(stage)

    async def main() -> None:
        async with database.transaction() as both:
            both.put("a", 1)
            both.put("b", 1)
        with pytest.raises(Conflict, match="'b' was changed"):
            async with database.transaction() as slow:
                assert await slow.get("a") == 1
                async with database.transaction() as quick:
                    quick.put("b", 2)
                await slow.get("b")

    stage.run(main)


def test_a_commit_may_be_applied_and_its_answer_lost() -> None:
    stage = Stage()
    database = Database(stage, unavailable=0, response_lost=1)

    async def main() -> None:
        with pytest.raises(ConnectionLost, match="no answer"):
            async with database.transaction() as transaction:
                transaction.put("a", 1)
        assert dict(database) == {"a": 1}
        stage.faults.heal()
        async with database.transaction() as transaction:
            transaction.put("a", 2)

    stage.run(main)


def test_it_may_be_unavailable() -> None:
    stage = Stage()
    database = Database(stage, unavailable=1)

    async def main() -> None:
        with pytest.raises(ConnectionLost, match="refused"):
            async with database.transaction():
                pass
        stage.faults.heal()
        async with database.transaction() as transaction:
            await transaction.get("a")

    stage.run(main)


@pytest.mark.parametrize("at", [0.001, 0.005, 0.009, 0.013, 0.017])
def test_a_dead_process_writes_nothing(at: float) -> None:
    stage = Stage()
    database = Database(stage, latency=(0.004, 0.004), unavailable=0, response_lost=0)
    process = Process("a.1", stage.clock)

    async def writes() -> None:
        with trio.CancelScope(shield=True):
            async with database.transaction() as transaction:
                transaction.put("a", 1)

    async def main() -> None:
        await live(process, writes)

    # Two calls come before the commit is applied, at 0.008.
    stage.clock.after(at, kill, process)
    stage.run(main)
    assert dict(database) == ({} if at < 0.008 else {"a": 1})


def test_even_if_it_catches_its_cancellation() -> None:
    stage = Stage()
    database = Database(stage, latency=(0, 0), unavailable=0, response_lost=0)
    process = Process("a.1", stage.clock)

    async def writes() -> None:
        process.end()
        async with database.transaction() as transaction:
            transaction.put("a", 1)

    async def main() -> None:
        await live(process, writes)

    stage.run(main)
    assert dict(database) == {}
    assert database.refused == 1


def test_the_history_says_for_which_record_a_row_changed() -> None:
    stage = Stage()
    database = reliable(stage)
    process = Process("a.1", stage.clock)

    async def writes() -> None:
        record_in_hand.set(Record(topic="orders", partition=2, offset=7, key=None))
        async with database.transaction() as transaction:
            transaction.put("a", 1)

    stage.run(partial(live, process, writes))
    assert [moment.event for moment in stage.history.moments] == [
        EffectApplied("a.1", "database", Partition("orders", 2), 7)
    ]
