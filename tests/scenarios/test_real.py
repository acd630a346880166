"""Each scenario on a real broker: it still does what it was seen to do."""

from __future__ import annotations

from typing import cast

import pytest
import trio

from tests.conftest import REQUIRE_KAFKA, refuse
from tests.kafka.jars import KafkaUnavailable, find_jars, find_java

from . import recordings
from .observe import Case, Notes, cases, observe

ROWS = recordings.read()


def name_of(case: Case) -> str:
    return f"{case[0]}-{case[1].value}"


@pytest.fixture(scope="module")
def observed(request: pytest.FixtureRequest) -> dict[Case, Notes]:
    """What the scenarios of this run of pytest gave, all played side by side. Those that gave something new are played
    once more, in peace: on a machine that is short of time a session may end that should not."""
    reason = None
    try:
        find_java()
        find_jars()
    except KafkaUnavailable as error:
        reason = str(error)
    if reason is not None:
        refuse("Kafka", REQUIRE_KAFKA, reason)
    chosen = [
        cast("Case", item.callspec.params["case"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module and hasattr(item, "callspec")
    ]
    found = trio.run(observe, chosen)
    again = [case for case, notes in found.items() if recordings.difference(notes, ROWS[case].observed)]
    if again:
        found |= trio.run(lambda: observe(again, at_once=2))
    return found


@pytest.mark.kafka
@pytest.mark.parametrize("case", cases(), ids=name_of)
def test_a_real_broker_does_what_was_recorded(case: Case, observed: dict[Case, Notes]) -> None:
    differs = recordings.difference(observed[case], ROWS[case].observed)
    assert not differs, differs
