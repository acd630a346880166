"""What librdkafka gives to Python, and what our settings of it are worth."""

from __future__ import annotations

import attrs

from ..model import Candidate, Comparison, Scenario, Workload

WORKLOAD = Workload()

SAME_SETTINGS = Candidate(
    name="bare",
    about="consume() in a loop, the client settings of open_consumer, no commits",
    entry="candidates.bare:consume",
    workload=WORKLOAD,
    order_promised=False,
)
AT_DEFAULTS = attrs.evolve(
    SAME_SETTINGS,
    name="bare, defaults",
    about="consume() in a loop, librdkafka's defaults, no commits",
    entry="candidates.bare:consume_at_defaults",
)

SCENARIO = Scenario(
    name="bare",
    about="A loop over confluent-kafka's consume(), at librdkafka's defaults and with our client settings.",
    unit="records/s",
    candidates=[SAME_SETTINGS, AT_DEFAULTS],
    comparisons=[Comparison(of=SAME_SETTINGS.name, to=AT_DEFAULTS.name)],
    records=1_000_000,
    records_embedded=400_000,
    plot="bars",
)
