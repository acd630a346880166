"""The network: order, latency, cuts, breaks and death."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from simulator.kafka.requests import (
    Fetch,
    FoundCoordinator,
    Heartbeat,
    HeartbeatResponse,
    OffsetCommitted,
    Request,
)
from simulator.runtime.processes import Process
from tests.simulator.network_kit import FIND, Rig, commit
from trio_consumer import ConfigurationError


def test_a_request_takes_its_time_both_ways() -> None:
    rig = Rig()
    rig.send(FIND)
    assert rig.served == []
    rig.settle()
    ((served_at, node, request),) = rig.served
    assert (node, request) == (1, FIND)
    assert 0.001 <= served_at < 0.2
    assert rig.answers == [(FIND, FoundCoordinator("", 1))]


def test_no_answer_comes_within_the_call() -> None:
    rig = Rig()
    rig.network.stop(1)
    rig.send(FIND)
    assert rig.answers == []
    rig.settle()
    assert rig.answers == [(FIND, None)]


@pytest.mark.parametrize("seed", range(20))
def test_requests_and_answers_keep_their_order(seed: int) -> None:
    rig = Rig(seed=seed)
    for number in range(30):
        rig.clock.advance(0.0007)
        rig.send(commit(number), name=number)
    rig.settle()
    assert rig.commits == list(range(30))
    assert [name for name, _ in rig.answers] == list(range(30))


def test_a_broker_handles_one_request_of_a_connection_at_a_time() -> None:
    rig = Rig(manual=True)
    rig.send(commit(0))
    rig.send(commit(1))
    rig.settle()
    assert rig.commits == [0]
    rig.replies[0](OffsetCommitted({}))
    rig.settle()
    assert rig.commits == [0, 1]
    assert len(rig.answers) == 1


def test_requests_of_the_group_do_not_wait_for_others() -> None:
    rig = Rig(manual=True)
    rig.send(FIND)
    rig.send(commit(0))
    rig.send(commit(1), 2)
    rig.settle()
    assert len(rig.served) == 3


def test_a_throttled_client_is_not_read_for_a_while() -> None:
    rig = Rig()
    rig.send(Fetch({}, 1, 0, True))
    rig.send(FIND)
    rig.settle()
    assert len(rig.answers) == 1
    rig.clock.advance(1.0)
    assert len(rig.answers) == 2


def test_a_request_that_is_not_answered_in_time_breaks_the_connection() -> None:
    rig = Rig(manual=True)
    rig.send(commit(0), name=0, timeout=5)
    rig.send(commit(1), name=1, timeout=1)
    rig.clock.advance(0.999)
    assert rig.answers == []
    rig.clock.advance(0.002)
    assert rig.answers == [(0, None), (1, None)]
    # The broker goes on with what it has received; nobody hears its answers.
    rig.replies[0](OffsetCommitted({}))
    assert rig.commits == [0, 1]
    rig.replies[1](OffsetCommitted({}))
    rig.clock.advance(10)
    assert len(rig.answers) == 2


def test_each_request_has_its_own_time_limit() -> None:
    rig = Rig(manual=True)
    rig.send(commit(0), name=0, timeout=1)
    rig.settle()
    rig.replies[0](OffsetCommitted({}))
    rig.send(commit(1), name=1, timeout=3)
    rig.clock.advance(2.9)
    assert rig.answers == [(0, OffsetCommitted({}))]
    rig.clock.advance(0.2)
    assert rig.answers[1:] == [(1, None)]


def test_after_a_break_the_next_request_opens_another_connection() -> None:
    rig = Rig(manual=True)
    rig.send(commit(0), name=0)
    rig.settle()
    rig.network.reset("a.1")
    assert rig.answers == [(0, None)]
    rig.send(commit(1), name=1)
    rig.settle()
    # The broker still handles the first one, on a connection that is no more.
    assert rig.commits == [0, 1]
    rig.replies[1](OffsetCommitted({}))
    rig.settle()
    assert rig.answers == [(0, None), (1, OffsetCommitted({}))]


def test_a_reset_of_one_node_leaves_the_other() -> None:
    rig = Rig(manual=True)
    rig.send(commit(0), 1, name=0)
    rig.send(commit(1), 2, name=1)
    rig.network.reset("a.1", 2)
    assert rig.answers == [(1, None)]
    rig.network.reset("b.1")
    assert len(rig.answers) == 1


def test_of_what_had_not_arrived_a_beginning_may_still_arrive() -> None:
    arrived = set()
    for seed in range(40):
        rig = Rig(seed=seed)
        for number in range(3):
            rig.send(commit(number), name=number)
        rig.network.reset("a.1")
        assert rig.answers == [(0, None), (1, None), (2, None)]
        rig.settle()
        assert rig.commits == list(range(len(rig.commits)))
        arrived.add(len(rig.commits))
        assert len(rig.answers) == 3
    assert arrived == {0, 1, 2, 3}


# Cuts


def test_a_cut_holds_packets_until_it_is_mended() -> None:
    rig = Rig()
    rig.network.cut("a.1")
    for number in range(3):
        rig.send(commit(number), name=number)
    rig.clock.advance(2)
    assert rig.served == []
    rig.network.mend("a.1")
    rig.send(commit(3), name=3)
    rig.settle()
    assert rig.commits == [0, 1, 2, 3]
    assert [name for name, _ in rig.answers] == [0, 1, 2, 3]


def test_a_cut_of_responses_lets_requests_through() -> None:
    rig = Rig()
    rig.send(commit(0), name=0)
    rig.settle()
    rig.network.cut("a.1", requests=False)
    rig.send(commit(1), name=1)
    rig.send(commit(2), name=2)
    rig.clock.advance(2)
    assert rig.commits == [0, 1, 2]
    assert [name for name, _ in rig.answers] == [0]
    rig.network.mend()
    rig.settle()
    assert [name for name, _ in rig.answers] == [0, 1, 2]


def test_no_connection_opens_under_a_cut_of_one_way() -> None:
    """Its handshake needs both."""
    rig = Rig()
    rig.network.cut("a.1", requests=False)
    rig.send(commit(0), name=0)
    rig.clock.advance(2)
    assert rig.commits == []
    rig.network.mend()
    rig.settle()
    assert rig.commits == [0]


def test_a_cut_of_requests_lets_responses_through() -> None:
    rig = Rig(manual=True)
    rig.send(commit(0), name=0)
    rig.settle()
    rig.network.cut("a.1", responses=False)
    rig.send(commit(1), name=1)
    rig.replies[0](OffsetCommitted({}))
    rig.settle()
    assert (rig.commits, [name for name, _ in rig.answers]) == ([0], [0])


def test_a_cut_from_some_nodes_leaves_the_others() -> None:
    rig = Rig()
    rig.network.cut("a.1", [2])
    rig.send(FIND, 1, name=1)
    rig.send(FIND, 2, name=2)
    rig.settle()
    assert [name for name, _ in rig.answers] == [1]
    other = Process("b.1", rig.clock)
    rig.network.send(other, 2, FIND, lambda response: rig.answers.append(("b", response)), timeout=1)
    rig.settle()
    assert [name for name, _ in rig.answers] == [1, "b"]


def test_cuts_add_up_and_mending_one_process_leaves_the_others() -> None:
    rig = Rig()
    rig.network.cut("a.1", requests=False)
    rig.network.cut("a.1", responses=False)
    rig.network.mend("b.1")
    rig.send(FIND)
    rig.clock.advance(1)
    assert rig.served == []
    rig.network.mend("a.1")
    rig.settle()
    assert len(rig.answers) == 1


def test_what_a_cut_held_up_may_arrive_after_its_time_limit() -> None:
    late = set()
    for seed in range(20):
        rig = Rig(seed=seed)
        rig.network.cut("a.1")
        rig.send(commit(0), name=0, timeout=1)
        rig.clock.advance(2)
        assert rig.answers == [(0, None)]
        rig.network.mend("a.1")
        rig.send(commit(1), name=1)
        rig.settle()
        assert rig.answers == [(0, None), (1, OffsetCommitted({}))]
        late.add(tuple(sorted(rig.commits)))
    assert late == {(1,), (0, 1)}


def test_a_cut_again_holds_what_was_not_through() -> None:
    rig = Rig()
    rig.network.cut("a.1")
    rig.send(FIND)
    rig.settle()
    rig.network.mend()
    rig.network.cut("a.1")
    rig.clock.advance(1)
    assert rig.served == []
    rig.network.mend()
    rig.settle()
    assert len(rig.answers) == 1


def test_a_slow_process_waits_longer() -> None:
    rig = Rig()
    rig.network.slow("a.1", 100)
    rig.send(FIND)
    rig.clock.advance(0.15)
    assert rig.answers == []
    rig.clock.advance(20)
    assert len(rig.answers) == 1


# Brokers that are down, processes that are frozen or dead


def test_a_broker_that_is_down_refuses_at_once() -> None:
    rig = Rig(manual=True)
    rig.send(commit(0), name=0)
    rig.send(commit(1), name=1)
    rig.settle()
    rig.network.stop(1)
    assert rig.answers == [(0, None), (1, None)]
    rig.replies[0](OffsetCommitted({}))
    rig.send(commit(2), name=2)
    rig.settle()
    assert rig.answers[2:] == [(2, None)]
    assert rig.commits == [0]
    rig.network.start(1)
    rig.send(commit(3), name=3)
    rig.settle()
    assert rig.commits == [0, 3]


def test_a_frozen_process_hears_when_it_thaws() -> None:
    rig = Rig(manual=True)
    rig.send(commit(0), name=0, timeout=1)
    rig.settle()
    rig.process.freeze(whole=True)
    rig.replies[0](OffsetCommitted({}))
    rig.clock.advance(5)
    assert rig.answers == []
    rig.process.thaw()
    # The answer had come in before the time limit was looked at.
    assert rig.answers == [(0, OffsetCommitted({}))]


def test_a_frozen_process_finds_its_time_limits_over() -> None:
    rig = Rig(manual=True)
    rig.send(commit(0), name=0, timeout=1)
    rig.process.freeze(whole=True)
    rig.clock.advance(5)
    rig.process.thaw()
    assert rig.answers == [(0, None)]


def test_a_frozen_process_still_waits_for_what_is_not_due() -> None:
    rig = Rig(manual=True)
    rig.send(commit(0), name=0, timeout=1)
    rig.send(commit(1), name=1, timeout=9)
    rig.settle()
    rig.process.freeze(whole=True)
    rig.replies[0](OffsetCommitted({}))
    rig.clock.advance(3)
    rig.process.thaw()
    assert rig.answers == [(0, OffsetCommitted({}))]
    rig.clock.advance(7)
    assert rig.answers[1:] == [(1, None)]


def test_the_dead_hear_nothing_and_may_still_have_said_something() -> None:
    said = set()
    for seed in range(20):
        rig = Rig(seed=seed)
        rig.send(commit(0))
        rig.process.end()
        rig.send(commit(1))
        rig.clock.advance(20)
        assert rig.answers == []
        said.add(tuple(rig.commits))
    assert said == {(), (0,)}


# Faults


@pytest.mark.parametrize("fault", ["response-lost", "commit-response-lost"])
def test_a_lost_response_takes_the_connection_with_it(fault: str) -> None:
    rig = Rig(fault, scale=1000)
    rig.send(commit(0), name=0)
    rig.settle()
    assert (rig.commits, rig.answers) == ([0], [(0, None)])
    assert rig.faults.fired[fault] == 1


def test_other_responses_are_not_lost_with_commits() -> None:
    rig = Rig("commit-response-lost", "commit-delayed", scale=1000)
    rig.send(Heartbeat("g", "m", None, 1), name=0)
    rig.settle()
    assert rig.answers == [(0, HeartbeatResponse())]


def test_a_reset_takes_what_is_on_the_connection() -> None:
    arrived = set()
    for seed in range(20):
        rig = Rig("connection-reset", scale=1000, seed=seed, manual=True)
        rig.send(commit(0), name=0)
        rig.clock.advance(1)
        assert rig.answers == [(0, None)]
        arrived.add(tuple(rig.commits))
    assert arrived == {(), (0,)}


def test_a_slow_response_comes() -> None:
    rig = Rig("slow-response", scale=1000)
    rig.send(commit(0), name=0)
    rig.clock.advance(0.1)
    assert (rig.commits, rig.answers) == ([0], [])
    rig.clock.advance(3)
    assert len(rig.answers) == 1


def test_a_delayed_commit_waits_in_the_broker_or_comes_in_after_a_break() -> None:
    seen = set()
    for seed in range(20):
        rig = Rig("commit-delayed", scale=1000, seed=seed)
        rig.send(commit(0), name=0)
        rig.faults.heal()
        rig.clock.advance(0.05)
        assert rig.commits == []
        rig.clock.advance(0.12)
        rig.send(commit(1), name=1)
        rig.clock.advance(10)
        seen.add((tuple(rig.commits), tuple(response is None for _, response in rig.answers)))
    assert seen == {((0, 1), (False, False)), ((1, 0), (True, False))}


def test_what_makes_no_sense_is_refused() -> None:
    rig = Rig()
    acts: list[Callable[[], None]] = [
        lambda: rig.send(FIND, 3),
        lambda: rig.network.cut("a.1", [3]),
        lambda: rig.network.stop(0),
        lambda: rig.network.start(3),
        lambda: rig.network.slow("a.1", 0),
    ]
    for act in acts:
        with pytest.raises(ConfigurationError, match=r"the brokers are 1, 2|above 0"):
            act()


# Everything at once

FAULTS = ("connection-reset", "slow-response", "response-lost", "commit-response-lost", "commit-delayed")


@pytest.mark.parametrize("seed", range(40))
def test_each_request_is_answered_once_and_in_time_whatever_happens(seed: int) -> None:
    rig = Rig(*FAULTS, seed=seed, scale=8)
    draw = random.Random(seed)
    network, deadlines = rig.network, list[float]()
    for number in range(150):
        match draw.randrange(9):
            case 0:
                network.cut("a.1", draw.choice([None, [1], [2]]), requests=draw.random() < 0.7)
            case 1 | 2:
                network.mend(draw.choice([None, "a.1"]))
            case 3 if draw.random() < 0.2:
                network.stop(draw.choice([1, 2]))
            case 4:
                network.start(draw.choice([1, 2]))
            case 5 if draw.random() < 0.2:
                network.reset("a.1", draw.choice([None, 1]))
            case 6 if draw.random() < 0.2:
                network.slow("a.1", draw.uniform(1, 50))
            case 7 if draw.random() < 0.3:
                rig.process.freeze(whole=True)
                rig.clock.advance(draw.uniform(0, 2))
                rig.process.thaw()
        timeout = draw.uniform(0.3, 3)
        requests: list[Request] = [commit(number), commit(number), FIND, Heartbeat("g", "m", None, 1)]
        rig.send(draw.choice(requests), draw.choice([1, 2]), name=number, timeout=timeout)
        deadlines.append(rig.clock.now + timeout)
        rig.clock.advance(draw.choice([0, 0.001, 0.05, 0.3]))
        answered = {name for name, _ in rig.answers}
        assert all(number in answered for number, at in enumerate(deadlines) if at < rig.clock.now)
    rig.clock.advance(10)
    assert sorted(name for name, _ in rig.answers if isinstance(name, int)) == list(range(150))
    served = rig.commits
    assert len(served) == len(set(served))
    # Whoever got a response had its request carried out.
    assert {name for name, response in rig.answers if isinstance(response, OffsetCommitted)} <= set(served)
