"""A scenario: everything that decides a world, besides the code. Given in part, drawn from the seed in part.

The same scenario gives the same world, in another process and under another hash seed. It holds plain values only, so
that it can be printed, pasted into a test, and written to a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from trio_consumer import ConfigurationError, Order

PROTOCOLS = ("range", "cooperative-sticky", "consumer")
"""How the group shares partitions: classic eager, classic cooperative, KIP-848."""
SCHEDULERS = ("shuffle", "hold-back", "pct")
VERSIONS = ("4.1", "4.3")

GROUP = "group"
TOPIC = "orders"

OPTIONS: Mapping[str, Any] = {"grace": 0.4, "revoke_deadline": 2.0}
"""Options of the consumer whose own defaults are too long for the short poll interval of a world."""


def _one_of(*values: object) -> Any:
    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value not in values:
            raise ConfigurationError(f"{attribute.name}={value!r}: give one of {', '.join(map(repr, values))}")

    return check


def _at_least(least: float) -> Any:
    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not value >= least:
            raise ConfigurationError(f"{attribute.name}={value!r}: give a number of at least {least:g}")

    return check


def _names(names: Iterable[str]) -> frozenset[str]:
    return frozenset(names)


def _numbers(numbers: Iterable[int]) -> frozenset[int]:
    return frozenset(numbers)


@attrs.frozen(kw_only=True)
class Scenario:
    """See the module.

    Args:
        seed: Decides what is not given.
        scheduler: Which task runs next: one of `SCHEDULERS`.
        depth: For pct: how many ordering constraints a bug may need.
        protocol: One of `PROTOCOLS`.
        members: Members of the group, apart from those that faults bring.
        static: True if members have a ``group.instance.id``.
        partitions: Partitions of the topic at first.
        records: Records that are produced.
        keys: Distinct keys.
        handler_seconds: How long the stock handler takes, at most.
        hooks: True if the consumer has tenure hooks.
        faults: Names of the enabled kinds.
        scale: Factors on the rates of kinds.
        muted: Numbers of fault firings to leave out.
        fault_seconds: Length of the first phase, in virtual seconds.
        heal_seconds: Everything must be done within so many virtual seconds after it.
        options: Keyword arguments of `open_consumer`; ``order`` as the text of an `Order`.
        settings: librdkafka's settings.
        version: Broker version, where the protocol's answers differ: ``"4.1"`` or ``"4.3"`` (KIP-1251).

    Raises:
        ConfigurationError: A value is out of its range.
    """

    seed: int
    scheduler: str = attrs.field(default="shuffle", validator=_one_of(*SCHEDULERS))
    depth: int = attrs.field(default=3, validator=_at_least(1))
    protocol: str = attrs.field(default="range", validator=_one_of(*PROTOCOLS))
    members: int = attrs.field(default=2, validator=_at_least(1))
    static: bool = False
    partitions: int = attrs.field(default=3, validator=_at_least(1))
    records: int = attrs.field(default=120, validator=_at_least(0))
    keys: int = attrs.field(default=8, validator=_at_least(1))
    handler_seconds: float = attrs.field(default=0.05, validator=_at_least(0))
    hooks: bool = False
    faults: frozenset[str] = attrs.field(default=frozenset(), converter=_names)
    scale: Mapping[str, float] = attrs.field(factory=dict)
    muted: frozenset[int] = attrs.field(default=frozenset(), converter=_numbers)
    fault_seconds: float = attrs.field(default=6.0, validator=_at_least(0))
    heal_seconds: float = attrs.field(default=90.0, validator=_at_least(0))
    options: Mapping[str, Any] = attrs.field(factory=dict)
    settings: Mapping[str, Any] = attrs.field(factory=dict)
    version: str = attrs.field(default="4.3", validator=_one_of(*VERSIONS))

    @property
    def consumer_options(self) -> dict[str, Any]:
        """Keyword arguments for `open_consumer`: what is given, and `OPTIONS` for the rest."""
        options = {**OPTIONS, **self.options}
        if isinstance(options.get("order"), str):
            options["order"] = Order(options["order"])
        return options

    def pasted(self) -> str:
        """As one would write it in a test: what differs from the defaults, names in order."""
        plain = Scenario(seed=self.seed)
        parts = [f"seed={self.seed}"]
        for field in attrs.fields(Scenario):
            value = getattr(self, field.name)
            if field.name == "seed" or value == getattr(plain, field.name):
                continue
            text = f"{{{', '.join(map(repr, sorted(value)))}}}" if isinstance(value, frozenset) else repr(value)
            parts.append(f"{field.name}={text}")
        return f"Scenario({', '.join(parts)})"
