"""Who gets which partition in a classic group."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simulator.client.assignors import by_range, cooperative_sticky
from simulator.kafka.requests import JoinGroup
from trio_consumer import Partition


def joined(
    name: str, owned: tuple[Partition, ...] = (), generation: int = 1, topics: tuple[str, ...] = ("t",)
) -> JoinGroup:
    return JoinGroup("group", name, None, 3.0, 6.0, "any", topics, owned, generation)


def numbers(*found: int) -> tuple[Partition, ...]:
    return tuple(Partition("t", number) for number in found)


def test_range_gives_stretches_of_each_topic() -> None:
    members = {name: joined(name, topics=("t", "u")) for name in ("b", "a")}
    given = by_range(members, {"t": 3, "u": 1})
    assert given == {"a": (*numbers(0, 1), Partition("u", 0)), "b": numbers(2)}


def test_range_gives_a_topic_to_its_readers_only() -> None:
    members = {"a": joined("a", topics=("t",)), "b": joined("b", topics=("u",))}
    assert by_range(members, {"t": 2, "u": 1}) == {"a": numbers(0, 1), "b": (Partition("u", 0),)}


def test_what_moves_is_first_taken_from_its_owner() -> None:
    """The newcomer gets nothing before the next rebalance."""
    members = {"a": joined("a", numbers(0, 1, 2, 3)), "b": joined("b", generation=-1)}
    first = cooperative_sticky(members, {"t": 4})
    assert len(first["a"]) == 2
    assert first["b"] == ()
    members = {"a": joined("a", first["a"]), "b": joined("b")}
    second = cooperative_sticky(members, {"t": 4})
    assert second["a"] == first["a"]
    assert len(second["b"]) == 2


def test_of_two_claims_the_later_generation_counts() -> None:
    members = {"a": joined("a", numbers(0), generation=3), "b": joined("b", numbers(0, 1), generation=5)}
    given = cooperative_sticky(members, {"t": 2})
    assert given["a"] == ()  # what it shall get is still the other's
    assert len(given["b"]) == 1


@given(st.lists(st.lists(st.integers(0, 11), unique=True), min_size=1, max_size=5), st.integers(0, 12))
def test_shares_are_even_and_nothing_is_given_twice(claims: list[list[int]], count: int) -> None:
    """Played until nobody has to give anything up, which takes two rounds at most."""
    owned = {f"m{index}": numbers(*found) for index, found in enumerate(claims)}
    everything: list[Partition] = []
    for _ in range(3):
        members = {name: joined(name, partitions) for name, partitions in owned.items()}
        owned = cooperative_sticky(members, {"t": count})
        everything = [partition for partitions in owned.values() for partition in partitions]
        assert len(everything) == len(set(everything))
    assert sorted(everything) == list(numbers(*range(count)))
    sizes = [len(partitions) for partitions in owned.values()]
    assert max(sizes) - min(sizes) <= 1
