"""``trio-consumer demo`` on its embedded brokers, small, and what it says when the promise was broken."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from rich.console import Console

from trio_consumer import Order, Record
from trio_consumer.cli import main, progress
from trio_consumer.cli.demo import TOPIC, Demo, Options, Report
from trio_consumer.cli.exits import Exit
from trio_consumer.cli.history import History, Verdict
from trio_consumer.cli.report import as_json, conclude
from trio_consumer.cli.workload import Workload, value_of

KEPT = Verdict(
    produced=3,
    handled=3,
    lost=0,
    repeated=1,
    out_of_order=0,
    unfenced=0,
    altered=0,
    committed_early=0,
    uncommitted=0,
    cancelled=0,
    tenures=2,
    audits=5,
)


def options(**changes: Any) -> Options:
    small = Options(
        workload=Workload(records=2_000, keys=100, partitions=6, seed=7),
        order=Order.KEY,
        concurrency=32,
        latency=0.03,
        protocol="consumer",
    )
    return attrs.evolve(small, **changes)


def report(**changes: int) -> Report:
    verdict = attrs.evolve(KEPT, **changes)
    return Report(verdict=verdict, seconds=1.5, handled_by={"a": 2, "b": 1}, examples=["what happened"])


# The whole


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_two_members_keep_the_promise(protocol: str, capfd: pytest.CaptureFixture[str]) -> None:
    # A classic rebalance takes its time on the embedded cluster.
    latency = "60" if protocol == "classic" else "25"
    arguments = ["demo", "--records", "2000", "--keys", "100", "--partitions", "6", "--seed", "7", "--json"]
    assert main([*arguments, "--concurrency", "32", "--latency-ms", latency, "--protocol", protocol]) == 0
    out, err = capfd.readouterr()
    found = json.loads(out)
    assert (found["produced"], found["handled"]) == (2000, 2000)
    violations = ("lost", "out_of_order", "unfenced", "altered", "committed_early", "uncommitted")
    assert {name: found[name] for name in violations} == dict.fromkeys(violations, 0)
    assert found["kept"]
    assert found["handled_by"].keys() == {"a", "b"}  # so the second member did join in time
    assert found["tenures"] > 6
    assert found["audits"] > 2
    assert found["records_per_second"] == pytest.approx(2000 / found["seconds"], rel=0.01)
    assert "2,000 of 2,000 handled" in err


@pytest.mark.parametrize("order", list(Order))
def test_every_order_is_kept(order: Order, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["demo", "--records", "300", "--keys", "10", "--partitions", "3", "--latency-ms", "1", "--quiet"]
    assert main([*arguments, "--order", order.value]) == 0
    out, err = capfd.readouterr()
    assert "The promise was kept" in out
    assert err == ""


async def test_the_live_display_shows_members_partitions_and_the_judgement() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, height=50, legacy_windows=False)
    done = await Demo(options()).run(progress.choose(console, quiet=False))
    assert done.verdict.kept
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for text in ("member a", "member b", "demo[5]", "committed early", " audits", "█"):
        assert text in shown


async def test_a_consumer_that_does_not_keep_the_order_is_caught() -> None:
    demo = Demo(options(order=Order.UNORDERED, latency=0.002))
    demo.history = History(Order.KEY)
    done = await demo.run(progress.choose(Console(file=io.StringIO()), quiet=True))
    assert done.verdict.out_of_order > 0
    assert done.verdict.lost == 0
    assert not done.verdict.kept


async def test_a_record_that_never_comes_is_lost_and_does_not_hang_the_demo() -> None:
    class Short(Workload):
        def __iter__(self) -> Iterator[tuple[int, bytes, bytes]]:
            records = list(super().__iter__())
            return iter(records[:-1])

    demo = Demo(options(workload=Short(records=30, keys=3, partitions=1, seed=7), patience=1.0, latency=0.0))
    demo.history.produced(Record(TOPIC, 0, 1_000, b"key", b"never sent"))
    done = await demo.run(progress.choose(Console(file=io.StringIO()), quiet=True))
    assert (done.verdict.produced, done.verdict.handled, done.verdict.lost) == (30, 29, 1)
    assert not done.verdict.kept
    assert done.examples == ["no record was handled for 1 s: gave up", "lost: demo[0]@1000 was never handled"]


# The report


def test_the_report_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert conclude(options(), report(), json=True) == Exit.DONE
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    found = json.loads(printed)
    assert found["records_per_second"] == 2.0
    assert (found["order"], found["seed"], found["kept"]) == ("key", 7, True)


@pytest.mark.parametrize("violation", ["lost", "out_of_order", "unfenced", "altered", "committed_early", "uncommitted"])
def test_each_violation_ends_with_1(violation: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert conclude(options(), report(**{violation: 1}), json=False) == Exit.FAILED
    printed = capsys.readouterr().out
    assert "The promise was broken" in printed
    assert "what happened" in printed
    assert not json.loads(as_json(options(), report(**{violation: 1})))["kept"]


def test_a_second_member_that_came_too_late_is_mentioned(capsys: pytest.CaptureFixture[str]) -> None:
    late = attrs.evolve(report(), handled_by={"a": 3})
    assert conclude(options(), late, json=False) == Exit.DONE
    assert "Member b came too late" in capsys.readouterr().out


def test_repeats_do_not_break_the_promise(capsys: pytest.CaptureFixture[str]) -> None:
    assert conclude(options(), report(repeated=50), json=False) == Exit.DONE
    assert "The promise was kept" in capsys.readouterr().out


# The workload


def test_the_workload_is_the_same_for_the_same_seed() -> None:
    one, same = (Workload(records=500, keys=20, partitions=4, seed=3) for _ in range(2))
    assert list(one) == list(same)
    assert list(one) != list(Workload(records=500, keys=20, partitions=4, seed=4))


def test_each_key_has_its_partition_and_counts_its_records() -> None:
    sequences: dict[bytes, int] = {}
    partitions: dict[bytes, int] = {}
    for partition, key, value in Workload(records=500, keys=20, partitions=4, seed=3):
        assert value == value_of(3, key, sequences.get(key, 0))
        assert partitions.setdefault(key, partition) == partition
        sequences[key] = sequences.get(key, 0) + 1
    assert sum(sequences.values()) == 500
    assert len(sequences) == 20
