"""What keeps a client from starting is said at once, as one exception."""

from __future__ import annotations

import pytest
import trio

from tests.support import unique
from trio_consumer import ConfigurationError, UnknownTopic

from .backend import SECONDS_MAX, Backend, GroupProtocol
from .member import Group


async def test_an_unknown_topic(backend: Backend, protocol: GroupProtocol) -> None:
    """KIP-848 never says so, the classic protocols once; and it is not created by asking."""
    with trio.fail_after(SECONDS_MAX):
        known, unknown = await backend.new_topic(1), unique("no-such-topic")
        for _ in range(2):
            with pytest.raises(UnknownTopic, match=unknown) as caught:
                async with Group(backend, protocol, [known, unknown]).member():
                    pytest.fail("a client of an unknown topic was opened")
            assert known not in str(caught.value)


async def test_a_refused_setting(backend: Backend) -> None:
    topic = await backend.new_topic(1)
    with pytest.raises(ConfigurationError, match=r"enable\.auto\.commit"):
        async with Group(backend, GroupProtocol.RANGE, [topic]).member(enable_auto_commit=True):
            pytest.fail("a client that commits by itself was opened")
