"""Each option's limits, and the text of each refusal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Any, cast

import attrs
import pytest

from trio_consumer.config import ConsumerConfig, Order, gather
from trio_consumer.core.offset_map import CHARACTERS_MAX
from trio_consumer.core.retries import Backoff
from trio_consumer.errors import ConfigurationError
from trio_consumer.record import Partition, Record

NAN, INF = float("nan"), float("inf")

LEAST = {
    "commit_interval": 0.001,
    "grace": 0,
    "revoke_deadline": 0.001,
    "stop_deadline": 0,
}
LEAST_WHOLE = {
    "concurrency": 1,
    "commit_count": 1,
    "queued_records_max": 2,
    "queued_records_max_per_partition": 1,
    "queued_bytes_max": 1,
    "queued_bytes_max_per_partition": 1,
}
CALLABLE = ("decode_key", "decode_value", "tenure_start", "tenure_end")
CHOICES = {"null_key": "'unordered', 'partition'", "exhausted": "'halt', 'skip'"}


def refusal(**options: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        ConsumerConfig(**options)
    return str(caught.value)


def test_the_tables_name_every_option() -> None:
    named = {*LEAST, *LEAST_WHOLE, *CALLABLE, *CHOICES, "order", "attempts", "backoff", "offset_map_characters_max"}
    assert named == {field.name for field in attrs.fields(ConsumerConfig)}


def with_least(name: str, value: float) -> ConsumerConfig:
    options: dict[str, Any] = {"grace": 0, name: value}
    return ConsumerConfig(**options)


@pytest.mark.parametrize(("name", "least"), LEAST.items())
def test_numbers(name: str, least: float) -> None:
    assert getattr(with_least(name, least), name) == least
    for wrong in (least - 0.0005, -1, NAN, INF, "1", None, True):
        assert refusal(**{name: wrong}) == f"{name}={wrong!r}: give a number of at least {least:g}"


@pytest.mark.parametrize(("name", "least"), LEAST_WHOLE.items())
def test_whole_numbers(name: str, least: int) -> None:
    assert getattr(with_least(name, least), name) == least
    for wrong in (least - 1, 7.0, 7.5, NAN, INF, "7", None, True):
        assert refusal(**{name: wrong}) == f"{name}={wrong!r}: give a whole number of at least {least:g}"


def test_an_offset_map_has_a_longest_size_that_kafka_can_store() -> None:
    for right in (0, CHARACTERS_MAX):
        assert ConsumerConfig(offset_map_characters_max=right).offset_map_characters_max == right
    for wrong in (-1, CHARACTERS_MAX + 1, 1.0, INF, True):
        text = f"offset_map_characters_max={wrong!r}: give a whole number from 0 to {CHARACTERS_MAX}"
        assert refusal(offset_map_characters_max=wrong) == text


@pytest.mark.parametrize("name", CALLABLE)
def test_functions(name: str) -> None:
    async def function(_: object) -> None: ...

    options: dict[str, Any] = {name: function}
    assert getattr(ConsumerConfig(**options), name) is function
    options = {name: None}
    assert getattr(ConsumerConfig(**options), name) is None
    assert refusal(**{name: 3}) == f"{name}=3: give a function or None"


@pytest.mark.parametrize(("name", "values"), CHOICES.items())
def test_choices(name: str, values: str) -> None:
    for wrong in ("other", None, ["halt"]):
        assert refusal(**{name: wrong}) == f"{name}={wrong!r}: give one of {values}"


def test_order() -> None:
    def by_value(record: Record) -> Hashable:
        return cast("Hashable", record.value)

    assert ConsumerConfig(order=by_value).order == by_value
    for order in Order:
        assert ConsumerConfig(order=order).order is order
    assert refusal(order="key") == "order='key': give an Order or a function from a record to its lane"


def test_attempts() -> None:
    assert ConsumerConfig(attempts=None).attempts is None
    assert ConsumerConfig(attempts=1).attempts == 1
    for wrong in (0, -1, 1.0, True, "3"):
        assert refusal(attempts=wrong) == f"attempts={wrong!r}: give at least 1 (no retries), or None for no limit"


@pytest.mark.parametrize(("seconds", "limit"), [(0, 30), (0.5, 30), (30, 30), (90, 90)])
def test_a_number_is_a_fixed_backoff(seconds: float, limit: float) -> None:
    config = gather({"backoff": seconds})
    assert config.backoff == Backoff(first=seconds, factor=1, limit=limit, jitter=0)


def test_backoff() -> None:
    assert ConsumerConfig().backoff == Backoff()
    assert refusal(backoff=-1) == "Backoff(first=-1): give a number of at least 0"
    for wrong in (True, "1", None):
        assert refusal(backoff=wrong) == f"backoff={wrong!r}: give a Backoff or a number of seconds"


def test_grace_is_half_of_the_revoke_deadline_at_most() -> None:
    assert ConsumerConfig(grace=3, revoke_deadline=6).grace == 3
    assert refusal(grace=3.5, revoke_deadline=6) == (
        "grace=3.5 s is longer than half of revoke_deadline=6 s: the rest of the deadline is for cancelled handlers, "
        "hooks and the commit; lower the first or raise the second"
    )


def test_a_revoke_ends_before_half_of_the_poll_interval() -> None:
    config = ConsumerConfig(grace=1, revoke_deadline=10)
    config.check_poll_interval(20.002)
    for seconds, milliseconds in ((20, "20000"), (7, "7000")):
        with pytest.raises(ConfigurationError) as caught:
            config.check_poll_interval(seconds)
        assert str(caught.value) == (
            f"revoke_deadline=10 s must be below half of max.poll.interval.ms={milliseconds}, "
            "as nothing polls during a revoke: lower the first or raise the second"
        )


def test_gather_takes_every_option() -> None:
    async def hook(partition: Partition) -> None: ...

    start: Callable[[Partition], Awaitable[None]] = hook
    config = gather({"concurrency": 3, "order": Order.PARTITION, "tenure_start": start})
    assert config == ConsumerConfig(concurrency=3, order=Order.PARTITION, tenure_start=hook)
    assert gather({}) == ConsumerConfig()


def test_gather_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ConfigurationError) as caught:
        gather({"concurency": 3})
    text = str(caught.value)
    assert text.startswith("concurency=3: no such option; there are attempts, backoff, ")
    assert all(field.name in text for field in attrs.fields(ConsumerConfig))
    assert "librdkafka's settings go into the first argument" in text


def test_the_config_is_frozen() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        ConsumerConfig().concurrency = 3  # type: ignore[misc]
