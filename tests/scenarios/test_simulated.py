"""Each scenario in the simulator: what is observed is what real brokers were seen to do."""

from __future__ import annotations

import pytest

from . import recordings
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
