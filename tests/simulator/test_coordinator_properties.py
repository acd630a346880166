"""Whatever members and administrators do, in any order: the coordinator's promises hold after each request."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .coordinator_crowd import ClassicCrowd, ConsumerCrowd, Crowd, Step
from .coordinator_kit import GROUP, TOPIC, orders

STEPS = st.lists(st.tuples(st.integers(0, 119), st.integers(0, 3), st.integers(0, 59)), max_size=60)
EXAMPLES = settings(max_examples=150, deadline=None)


def finish(crowd: ClassicCrowd | ConsumerCrowd) -> None:
    """The world heals: the coordinator is there, and everybody behaves."""
    crowd.kit.clock.advance(5)
    # A new member brings a new plan, for the topics as they are now.
    crowd.restart("a", 0)
    for _ in range(45):
        crowd.kit.clock.advance(1)
        crowd.everybody("a", 0)
    views = crowd.kit.coordinator.members(GROUP)
    assert crowd.kit.coordinator.state(GROUP) == "Stable"
    shared = sorted(partition for view in views.values() for partition in view.owned if partition[0] == TOPIC)
    assert shared == list(orders(*range(crowd.kit.topics[TOPIC])))


@EXAMPLES
@given(
    steps=STEPS,
    protocol=st.sampled_from(["range", "cooperative-sticky"]),
    delay=st.sampled_from([0.0, 3.0]),
    patient=st.booleans(),
)
def test_classic(steps: list[Step], protocol: str, delay: float, patient: bool) -> None:
    crowd = ClassicCrowd(protocol, delay, patient=patient)
    crowd.play(steps)
    finish(crowd)


@EXAMPLES
@given(steps=STEPS, version=st.sampled_from(["4.1", "4.3"]))
def test_consumer_protocol(steps: list[Step], version: str) -> None:
    crowd = ConsumerCrowd(version)
    crowd.play(steps)
    # A static member that is not away keeps its name until its session ends.
    crowd.kit.clock.advance(46)
    finish(crowd)


@pytest.mark.parametrize("kind", [ClassicCrowd, ConsumerCrowd])
def test_the_same_steps_give_the_same_history(kind: type[Crowd]) -> None:
    steps = [(7 * number % 120, number % 4, 11 * number % 60) for number in range(200)]
    histories = []
    for _ in range(2):
        crowd = kind()
        crowd.play(steps)
        histories.append(crowd.kit.history.moments)
    assert histories[0] == histories[1]
