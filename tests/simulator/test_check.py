"""`simulator.check`: a user's handler under faults, and what a failure says."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

import simulator
from simulator.database import Database
from trio_consumer import ConfigurationError, Record


class Shop:
    """Counts orders, some of them twice: it does not know which ones it has counted."""

    def __init__(self, world: simulator.World) -> None:
        self.world = world
        self.database = Database(world)

    async def handle(self, record: Record) -> None:
        async with self.database.transaction() as transaction:
            transaction.put("sold", await transaction.get("sold", 0) + 1)

    def invariant(self) -> None:
        sold, there = self.database.get("sold", 0), len(simulator.visible(self.world))
        assert sold == there, f"{sold} sold of {there}"


class GoodShop(Shop):
    async def handle(self, record: Record) -> None:
        place = (record.partition, record.offset)
        async with self.database.transaction() as transaction:
            if not await transaction.get(place, False):
                transaction.put(place, True)
                transaction.put("sold", await transaction.get("sold", 0) + 1)


PATIENT = {"attempts": None, "backoff": 0.05}


async def idle(record: Record) -> None:
    await trio.sleep(0.001)


def test_a_good_handler_passes() -> None:
    checked = simulator.check(GoodShop, seeds=15, options=PATIENT)
    assert checked.seeds == 15
    assert checked.steps > 0
    assert checked.seconds > 15


def test_a_wrong_one_does_not_and_the_text_says_what_happened() -> None:
    with pytest.raises(simulator.Falsified) as caught:
        simulator.check(Shop, seeds=50, options=PATIENT, faults=["crash", "commit"])
    text = str(caught.value)
    seed = caught.value.seed
    assert text.startswith(f"seed {seed}: invariant: AssertionError: ")
    assert f"--sim-seed={seed}" in text
    assert f"Scenario(seed={seed}" in text
    assert "sold of 60" in text
    assert text.index("The last 40 events:") > 0
    assert caught.value.outcome.failed


def test_the_same_seed_fails_in_the_same_way() -> None:
    def failure(**given: Any) -> str:
        with pytest.raises(simulator.Falsified) as caught:
            simulator.check(Shop, options=PATIENT, faults=["crash", "commit"], **given)
        return str(caught.value)

    first = failure(seeds=50)
    seed = int(first.partition(":")[0].removeprefix("seed "))
    assert failure(seed=seed) == first


def test_a_plain_function_is_a_handler() -> None:
    assert simulator.check(idle, seeds=3).seeds == 3


def test_what_it_makes_may_be_a_plain_function() -> None:
    made = []

    def fresh(world: simulator.World) -> Callable[[Record], Awaitable[None]]:
        handled: list[int] = []
        made.append(handled)

        async def handle(record: Record) -> None:
            handled.append(record.offset)

        return handle

    simulator.check(fresh, seeds=3)
    assert len(made) == 3
    assert all(made)


def test_records_are_those_that_were_given() -> None:
    values: list[bytes] = []

    async def handle(record: Record) -> None:
        values.append(record.value)
        assert record.key in (b"a", b"b", None)

    records = [(b"a", b"1"), (b"b", b"2"), (None, b"3")]
    simulator.check(handle, seeds=1, records=records, faults=[])
    assert sorted(values) == [b"1", b"2", b"3"]
    simulator.check(handle, seeds=2, records=lambda: iter(records), faults=[])
    assert len(values) == 9


def test_options_and_settings_are_those_of_the_program() -> None:
    attempts: list[int] = []

    async def fails_twice(record: Record) -> None:
        attempts.append(record.attempt)
        if record.attempt < 3:
            raise LookupError("not yet")

    simulator.check(fails_twice, seed=1, records=2, faults=[], options={"attempts": 3, "backoff": 0.01})
    assert sorted(attempts) == [1, 1, 2, 2, 3, 3]
    with pytest.raises(ConfigurationError, match="no_such_option"):
        simulator.check(idle, seed=1, options={"no_such_option": 1})


def test_oracles_are_asked_at_the_end_and_after_each_call() -> None:
    asked: list[str] = []

    def always(world: simulator.World) -> None:
        asked.append("always")

    def oracle(world: simulator.World) -> None:
        asked.append("end")

    simulator.check(idle, seed=1, records=4, faults=[], oracle=oracle, always=always)
    assert asked == ["always"] * 4 + ["end"]

    def never(world: simulator.World) -> None:
        raise AssertionError("not at all")

    with pytest.raises(simulator.Falsified, match="always: AssertionError: not at all"):
        simulator.check(idle, seed=1, records=4, faults=[], always=never)


def test_a_handler_that_never_ends_is_a_failure() -> None:
    async def hangs(record: Record) -> None:
        await trio.sleep_forever()

    with pytest.raises(simulator.Falsified):
        simulator.check(hangs, seed=1, records=3, faults=[])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: time.time(), r"time\.time\(\) was called in a world"),
        (lambda: threading.Thread(target=print).start(), r"threading\.Thread\.start\(\) was called in a world"),
    ],
)
def test_threads_and_the_real_clock_are_named(call: Callable[[], object], said: str) -> None:
    async def handle(record: Record) -> None:
        call()

    with pytest.raises(simulator.Falsified, match=said):
        simulator.check(handle, seed=1)


def test_fewer_than_fifteen_lines_find_a_crash_between_two_writes() -> None:
    class Transfer:
        def __init__(self, world: simulator.World) -> None:
            self.accounts = simulator.Database(world, unavailable=0, response_lost=0)

        async def handle(self, record: Record) -> None:
            async with self.accounts.transaction() as first:
                first.put("ours", await first.get("ours", 0) - 1)
            async with self.accounts.transaction() as second:
                second.put("theirs", await second.get("theirs", 0) + 1)

        def invariant(self) -> None:
            assert self.accounts.get("ours", 0) + self.accounts.get("theirs", 0) == 0

    with pytest.raises(simulator.Falsified, match="invariant"):
        simulator.check(Transfer, faults=["crash"], options=PATIENT)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"faults": ["earthquake"]}, "earthquake"),
        ({"colour": "blue"}, "colour"),
        ({"members": 0}, "members=0"),
        ({"records": [("a", "b")]}, "records="),
    ],
)
def test_wrong_arguments_are_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        simulator.check(idle, seeds=1, **given)


def test_a_subject_must_make_a_handler() -> None:
    with pytest.raises(ConfigurationError, match="made int for a world"):
        simulator.check(lambda world: 7, seeds=1)
    with pytest.raises(ConfigurationError, match="can't be called"):
        simulator.check("handle", seeds=1)  # type: ignore[arg-type]


def test_the_environment_can_choose_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIO_CONSUMER_SIM_SEED", "5")
    assert simulator.check(idle, seeds=10).seeds == 1
    monkeypatch.setenv("TRIO_CONSUMER_SIM_SEED", "five")
    with pytest.raises(ConfigurationError, match="TRIO_CONSUMER_SIM_SEED='five'"):
        simulator.check(idle, seeds=10)
