"""Fixtures of the contract suite: each backend and each group protocol in turn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio

from simulator.runtime.clock import VirtualClock
from tests.support import Cluster

from .backend import Backend, ConfluentBackend, Differs, GroupProtocol, simulated

EMBEDDED = frozenset(
    {
        Differs.TAKES_ANY_METADATA,
        Differs.REFUSES_COMMITS_WHILE_REBALANCING,
        Differs.FENCES_NO_STATIC_MEMBER,
        Differs.HAS_NO_TRANSACTIONS,
    }
)


def in_virtual_time(virtual: VirtualClock, main: Callable[[], Awaitable[None]], **options: Any) -> None:
    """As `trio.run`, for pytest-trio."""
    trio.run(main, **{**options, "clock": virtual})


@pytest.fixture(params=["simulator", "embedded", "kafka"])
def cluster(request: pytest.FixtureRequest) -> Cluster | VirtualClock:
    """What each implementation runs on; the simulator on a clock."""
    if request.param == "simulator":
        clock = VirtualClock()
        # Before the marker that every asynchronous test gets.
        request.node.add_marker(pytest.mark.trio(run=partial(in_virtual_time, clock)), append=False)
        return clock
    found: Cluster = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def backend(cluster: Cluster | VirtualClock, request: pytest.FixtureRequest) -> Backend:
    """Each implementation in turn."""
    if isinstance(cluster, VirtualClock):
        return simulated(cluster)
    name = request.node.callspec.params["cluster"]
    if name == "embedded":
        # Its classic rebalances last almost as long as a session.
        return ConfluentBackend(name, cluster, session_ms=2000, differs=EMBEDDED)
    return ConfluentBackend(name, cluster, session_ms=6000)


@pytest.fixture(params=list(GroupProtocol), ids=lambda protocol: protocol.value)
def protocol(request: pytest.FixtureRequest) -> GroupProtocol:
    """Each group protocol in turn."""
    found: GroupProtocol = request.param
    return found


def need(backend: Backend, differs: Differs, what: str) -> None:
    """Skip where a backend lacks what a test is about; README.md has the row."""
    if differs in backend.differs:
        pytest.skip(f"{backend.name} {what}")


@pytest.fixture
def with_transactions(backend: Backend) -> None:
    need(backend, Differs.HAS_NO_TRANSACTIONS, "keeps no transaction markers")


@pytest.fixture
def with_metadata_limit(backend: Backend) -> None:
    need(backend, Differs.TAKES_ANY_METADATA, "takes metadata of any length")


@pytest.fixture
def with_static_members(backend: Backend) -> None:
    need(backend, Differs.FENCES_NO_STATIC_MEMBER, "fences no static member")
