"""Each scenario in the simulator: what is observed is what real brokers were seen to do."""

from __future__ import annotations

import pytest

from . import recordings
from .kafka import GroupProtocol
from .observe import Case, cases, play
from .scenario import SCENARIOS
from .simulated import SimulatedKafka

SEEDS = range(3)
ROWS = recordings.read()


def name_of(case: Case) -> str:
    return f"{case[0]}-{case[1].value}"


@pytest.mark.parametrize("case", cases(), ids=name_of)
def test_the_simulator_is_like_a_real_broker(case: Case) -> None:
    name, protocol = case
    row = ROWS[case]
    for seed in SEEDS:
        kafka = SimulatedKafka(seed)
        found = kafka.run(lambda: play(SCENARIOS[name], protocol, kafka))  # noqa: B023  called at once
        differs = recordings.difference(found, row.simulated or row.observed)
        assert not differs, f"{SCENARIOS[name].says}\nseed {seed}, {differs}"


def test_a_simulator_that_is_not_like_it_is_found_out() -> None:
    """Brokers of 4.1 took no older epoch at all."""
    case = ("an_older_epoch", GroupProtocol.CONSUMER)
    kafka = SimulatedKafka(version="4.1")
    found = kafka.run(lambda: play(SCENARIOS[case[0]], case[1], kafka))
    assert found["broker"] == ["kept: STALE_MEMBER_EPOCH", "given away: STALE_MEMBER_EPOCH", "its epoch rose: True"]
    assert "kept: ok" in recordings.difference(found, ROWS[case].observed)
