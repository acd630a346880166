"""The offset map's codec: round trips, limits, and texts that must be refused."""

from __future__ import annotations

import binascii
import random
import tracemalloc
import zlib
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from trio_consumer.core.offset_map import (
    CHARACTERS_MAX,
    Encoded,
    Ranges,
    UnreadableMap,
    bitmap_characters,
    characters,
    contains,
    decode,
    encode,
)

LIMIT = 4095
BASE = 1000

unhurried = settings(deadline=None)
thorough = settings(deadline=None, max_examples=400)


def ranges_of(offsets: Iterable[int]) -> Ranges:
    ranges: list[tuple[int, int]] = []
    for offset in sorted(offsets):
        if ranges and ranges[-1][1] == offset:
            ranges[-1] = ranges[-1][0], offset + 1
        else:
            ranges.append((offset, offset + 1))
    return tuple(ranges)


def offsets_of(ranges: Ranges) -> list[int]:
    return [offset for start, stop in ranges for offset in range(start, stop)]


def pattern(share: float, count: int, seed: int = 1) -> Ranges:
    """Each of so many offsets above the base is completed with this probability."""
    rng = random.Random(seed)
    return ranges_of(BASE + 1 + index for index in range(count) if rng.random() < share)


def punctured(count: int, holes: int, seed: int = 1) -> Ranges:
    """So many offsets above the base, all but a few completed."""
    incomplete = sorted(random.Random(seed).sample(range(count), holes))
    edges = zip([-1, *incomplete], [*incomplete, count], strict=True)
    return tuple((BASE + 2 + low, BASE + 1 + high) for low, high in edges if high > low + 1)


ALTERNATING = tuple((BASE + index, BASE + index + 1) for index in range(1, 200_001, 2))


def signed(form: str, data: bytes, base: int = BASE) -> str:
    """A text with the right length and checksum, whatever the bytes are."""
    payload = binascii.b2a_base64(data, newline=False).rstrip(b"=").decode()
    head = f"tc1:{form}{len(payload)}:{base}:"
    return f"{head}{zlib.crc32((head + payload).encode()):08x}:{payload}"


def deflated(data: bytes) -> bytes:
    return zlib.compress(data, 9, wbits=-15)


@st.composite
def maps(draw: st.DrawFn, ranges_max: int = 60) -> tuple[int, Ranges]:
    """A base and ranges at it or above: dense, sparse, alternating, with huge gaps, up to the highest offset."""
    lengths = st.one_of(st.integers(1, 3), st.integers(1, 300), st.integers(1, 2**40))
    pairs = draw(st.lists(st.tuples(lengths, lengths), max_size=ranges_max))
    at_base = draw(st.booleans())
    ranges: list[tuple[int, int]] = []
    stop = 0
    for index, (gap, length) in enumerate(pairs):
        start = stop + gap if index or not at_base else 0
        stop = start + length
        ranges.append((start, stop))
    base = draw(st.one_of(st.sampled_from([0, BASE, 2**63 - stop]), st.integers(0, 2**63 - stop)))
    return base, tuple((base + start, base + stop) for start, stop in ranges)


# Round trips


@thorough
@given(maps())
def test_a_map_that_fits_is_read_as_it_was_written(one: tuple[int, Ranges]) -> None:
    base, completed = one
    encoded = encode(base, completed, CHARACTERS_MAX)
    assert encoded.covered == completed
    assert encoded.text.isascii()
    assert decode(encoded.text, base) == completed


@unhurried
@given(st.sets(st.integers(1, 400)), st.integers(0, 2**62))
def test_sets_of_offsets_survive(above: set[int], base: int) -> None:
    completed = ranges_of(base + offset for offset in above)
    assert offsets_of(decode(encode(base, completed, LIMIT).text, base)) == sorted(base + offset for offset in above)


def test_every_set_of_ten_offsets_survives() -> None:
    for bits in range(2**10):
        completed = ranges_of(BASE + index for index in range(10) if bits >> index & 1)
        encoded = encode(BASE, completed, LIMIT)
        assert encoded.covered == completed
        assert decode(encoded.text, BASE) == completed


def test_nothing_completed_is_no_text() -> None:
    assert encode(BASE, (), LIMIT) == Encoded("", ())
    assert decode("", BASE) == ()
    assert characters(BASE, (), 0) == 0


FORMS = {
    # What is out there must stay readable: these texts never change, unless the version does.
    "tc1:r6:1000:0d7dbc7c:AZ6NBg": ((1001, 101_000),),
    "tc1:b2:1000:587f6e55:Vg": ((1001, 1003), (1004, 1005), (1006, 1007)),
    "tc1:R23:1000:d1f8e72d:Y2QYBaNgFIyCUTAKRsFQBwA": tuple(
        (1001 + 2 * index, 1002 + 2 * index) for index in range(1000)
    ),
    "tc1:B8:1000:215d31ff:W7VqpAIA": tuple((1001 + 2 * index, 1002 + 2 * index) for index in range(1000)),
}


@pytest.mark.parametrize("text", FORMS)
def test_the_four_forms_as_they_are_committed(text: str) -> None:
    assert decode(text, BASE) == FORMS[text]


# Sizes


@pytest.mark.parametrize(
    ("completed", "least", "most"),
    [
        pytest.param(((BASE + 1, BASE + 100_001),), 27, 27, id="one stuck, 100,000 done"),
        pytest.param(((BASE + 1, 10**15),), 34, 34, id="one stuck, 10**15 done"),
        pytest.param(((10**15, 10**15 + 1),), 34, 34, id="one done, far away"),
        pytest.param(pattern(0.95, 5_000), 330, 420, id="5 % of 5,000 incomplete"),
        pytest.param(pattern(0.5, 5_000), 858, 858, id="half of 5,000 incomplete"),
        pytest.param(pattern(0.001, 5_000), 30, 45, id="0.1 % of 5,000 done"),
        pytest.param(punctured(200_000, 2_000), 3_400, 4_000, id="1 % of 200,000 incomplete"),
        pytest.param(ALTERNATING[:50_000], 40, 100, id="alternating"),
    ],
)
def test_sizes(completed: Ranges, least: int, most: int) -> None:
    encoded = encode(BASE, completed, LIMIT)
    assert encoded.covered == completed
    assert least <= len(encoded.text) <= most
    assert characters(BASE, completed, LIMIT) == len(encoded.text)


@unhurried
@given(maps())
def test_no_map_is_longer_than_a_plain_bitmap(one: tuple[int, Ranges]) -> None:
    base, completed = one
    assume(completed)
    exact = characters(base, completed, CHARACTERS_MAX)
    assert exact is not None
    assert exact <= bitmap_characters(base, completed[-1][1] - base)


def test_a_plain_bitmap_of_random_offsets_is_as_long_as_foretold() -> None:
    for count in (*range(560, 620), *range(5_960, 6_020), 20_000):
        completed = (*pattern(0.5, count - 2), (BASE + count, BASE + count + 1))
        assert encode(BASE, completed, LIMIT).text[4] == "b"
        length = bitmap_characters(BASE, count + 1)
        assert characters(BASE, completed, length) == length
        assert characters(BASE, completed, length - 1) is None


# Limits


def assert_prefix(encoded: Encoded, base: int, completed: Ranges, limit: int) -> None:
    """What is covered is a prefix, the text says just that, and it keeps to the limit."""
    covered = encoded.covered
    assert len(encoded.text) <= max(0, limit)
    assert decode(encoded.text, base) == covered
    if covered:
        whole = len(covered) - 1
        assert covered[:whole] == completed[:whole]
        (start, stop), (start_all, stop_all) = covered[whole], completed[whole]
        assert start == start_all
        assert stop <= stop_all


@thorough
@given(maps(), st.integers(-5, 300))
def test_what_does_not_fit_is_cut_to_a_prefix(one: tuple[int, Ranges], limit: int) -> None:
    base, completed = one
    encoded = encode(base, completed, limit)
    assert_prefix(encoded, base, completed, limit)
    assert characters(base, completed, limit) == (len(encoded.text) if encoded.covered == completed else None)


@unhurried
@given(maps(), st.integers(1, 200))
@example((0, ((1, 2), (3, 4), (5, 528))), 1)  # only its deflated bitmap fits, which is 8 times the limit when plain
def test_what_fits_exactly_is_not_cut_and_one_character_less_cuts(one: tuple[int, Ranges], less: int) -> None:
    base, completed = one
    assume(completed)
    text = encode(base, completed, CHARACTERS_MAX).text
    assert encode(base, completed, len(text)) == Encoded(text, completed)
    cut = encode(base, completed, len(text) - less)
    assert cut.covered != completed
    assert_prefix(cut, base, completed, len(text) - less)


@pytest.mark.parametrize(
    ("completed", "form", "covered_least"),
    [
        pytest.param(pattern(0.5, 100_000), "b", 12_000, id="random: as many bits as characters allow"),
        pytest.param(pattern(0.9, 50_000), "B", 37_000, id="mostly complete: a deflated bitmap"),
        pytest.param(punctured(2_000_000, 2_000), "R", 1_300_000, id="few incomplete: deflated run lengths"),
        pytest.param(ALTERNATING, "B", 97_000, id="alternating: the bound on plain bytes"),
    ],
)
def test_the_prefix_is_long(completed: Ranges, form: str, covered_least: int) -> None:
    encoded = encode(BASE, completed, LIMIT)
    assert_prefix(encoded, BASE, completed, LIMIT)
    assert encoded.covered != completed
    assert encoded.text[4] == form
    assert sum(stop - start for start, stop in encoded.covered) >= covered_least


def test_the_last_range_of_a_prefix_may_be_cut() -> None:
    # Bitmap: 40 offsets of a header with room for five bytes.
    completed = (*((BASE + index, BASE + index + 1) for index in range(1, 31, 2)), (BASE + 33, BASE + 10**6))
    assert encode(BASE, completed, 28).covered == (*completed[:-1], (BASE + 33, BASE + 40))
    # Run lengths: one byte less than the length of the range takes.
    assert encode(BASE, ((BASE + 1, BASE + 10**6),), 25).covered == ((BASE + 1, BASE + 1 + 128**2),)
    assert encode(BASE, ((BASE + 1, BASE + 10**6),), 24).covered == ((BASE + 1, BASE + 1 + 128),)
    # The limit falls between two ranges.
    assert encode(BASE, ((BASE + 1, BASE + 10), (BASE + 300, BASE + 10**6)), 25).covered == ((BASE + 1, BASE + 10),)


@pytest.mark.parametrize("base", [0, BASE, 2**63 - 2])
def test_the_shortest_text_and_less(base: int) -> None:
    completed = ((base, base + 1),)
    shortest = len(encode(base, completed, LIMIT).text)
    assert encode(base, completed, shortest).covered == completed
    for limit in range(-1, shortest):
        assert encode(base, completed, limit) == Encoded("", ())
        assert characters(base, completed, limit) is None


def test_every_limit_is_used_to_the_last_character() -> None:
    """No text is longer than its limit, and a bitmap grows with every fourth character at the latest."""
    completed = pattern(0.5, 10_000)
    lengths = [len(encode(BASE, completed, limit).text) for limit in range(1, 300)]
    for limit, length in enumerate(lengths, 1):
        assert limit - 2 <= length <= limit or limit < 24


def test_a_limit_above_what_kafka_stores_counts_as_that() -> None:
    encoded = encode(BASE, pattern(0.5, 220_000), 10**9)
    assert CHARACTERS_MAX - 2 <= len(encoded.text) <= CHARACTERS_MAX
    assert decode(encoded.text, BASE) == encoded.covered


def test_work_and_memory_depend_on_the_limit_and_not_on_the_offsets() -> None:
    far = tuple((BASE + index * 10**15, BASE + index * 10**15 + index) for index in range(1, 9_000))
    tracemalloc.start()
    try:
        encoded = encode(BASE, far, LIMIT)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert_prefix(encoded, BASE, far, LIMIT)
    assert len(encoded.covered) > 300
    assert peak < 4 * 2**20


def test_no_bitmap_is_built_where_it_could_not_win() -> None:
    tracemalloc.start()
    try:
        assert encode(BASE, ((BASE + 1, BASE + 190_000),), LIMIT).text[4] == "r"
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 400_000  # zlib's own state is most of it; a bitmap would add twice its digits, for a moment


# Texts that must be refused


SAMPLES = [
    *FORMS,
    encode(BASE, pattern(0.5, 300), LIMIT).text,
    encode(BASE, pattern(0.97, 3_000), LIMIT).text,
    encode(0, ((2**62, 2**63 - 1),), LIMIT).text,
]


def base_of(text: str) -> int:
    return int(text.split(":")[2])


def read(text: str, base: int) -> Ranges | UnreadableMap:
    try:
        return decode(text, base)
    except UnreadableMap as error:
        return error


@pytest.mark.parametrize("text", SAMPLES)
def test_every_truncation_is_refused(text: str) -> None:
    for length in range(1, len(text)):
        with pytest.raises(UnreadableMap) as refusal:
            decode(text[:length], base_of(text))
        assert refusal.value.kind == ("foreign" if length < 4 else "corrupt")


@pytest.mark.parametrize("text", SAMPLES)
def test_every_wrong_character_is_refused(text: str) -> None:
    for index, right in enumerate(text):
        for wrong in "0189afAZ+/=:rRbB \0é\ud800\U0001f600":
            if wrong != right:
                with pytest.raises(UnreadableMap):
                    decode(text[:index] + wrong + text[index + 1 :], base_of(text))


@pytest.mark.parametrize("text", SAMPLES)
def test_every_missing_and_every_inserted_character_is_refused_or_harmless(text: str) -> None:
    for index in range(len(text)):
        damaged = [text[:index] + text[index + 1 :], *(text[:index] + one + text[index:] for one in "09aA:\0")]
        for one in damaged:
            found = read(one, base_of(text))
            assert isinstance(found, UnreadableMap) or found == decode(text, base_of(text))


@unhurried
@given(st.sampled_from(SAMPLES), st.text(max_size=100))
@example("tc1:r6:1000:0d7dbc7c:AZ6NBg", "\0")
def test_stray_characters_after_the_map_are_cut_off(text: str, stray: str) -> None:
    assert decode(text + stray, base_of(text)) == decode(text, base_of(text))


@pytest.mark.parametrize("kept", range(1, 20))
def test_a_map_that_was_moved_to_another_offset_is_refused(kept: int) -> None:
    text = encode(BASE, pattern(0.5, kept), LIMIT).text or SAMPLES[0]
    for other in (0, BASE - 1, BASE + 1, BASE * 10, 2**63 - 1):
        with pytest.raises(
            UnreadableMap, match=f"written for offset {BASE} and stands beside offset {other}"
        ) as refusal:
            decode(text, other)
        assert refusal.value.kind == "moved"


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        ("R1-3,5", "foreign", "6 characters"),
        ("\0", "foreign", "1 characters"),
        ("ünïcode \ud800", "foreign", "9 characters"),
        ("x" * 10**6, "foreign", "1000000 characters"),
        (" tc1:r6:1000:0d7dbc7c:AZ6NBg", "foreign", "28 characters"),
        ("tc٣:r6:1000:0d7dbc7c:AZ6NBg", "foreign", "27 characters"),
        ("tc2:r6:1000:0d7dbc7c:AZ6NBg", "future", "version 2"),
        ("tc999:{}", "future", "version 999"),
        ("tc0:", "future", "version 0"),
        ("tc1:", "corrupt", "header"),
        ("tc1:x6:1000:0d7dbc7c:AZ6NBg", "corrupt", "header"),
        ("tc1:r0:1000:0d7dbc7c:", "corrupt", "header"),
        ("tc1:r6:-5:0d7dbc7c:AZ6NBg", "corrupt", "header"),
        ("tc1:r6:01000:0d7dbc7c:AZ6NBg", "corrupt", "header"),
        ("tc1:r6:1000:0D7DBC7C:AZ6NBg", "corrupt", "header"),
        ("tc1:r6:1000:0d7dbc7c:AZ6", "corrupt", "cut off after 3 of 6"),
        ("tc1:r6:1000:0d7dbc7d:AZ6NBg", "corrupt", "checksum"),
        ("tc1:r32768:1000:0d7dbc7c:" + "A" * 32768, "corrupt", "32768 characters; there are 32767 at most"),
    ],
)
def test_what_is_said_of_a_text_that_is_refused(text: str, kind: str, reason: str) -> None:
    with pytest.raises(UnreadableMap, match=reason) as refusal:
        decode(text, BASE)
    assert refusal.value.kind == kind
    assert len(str(refusal.value)) < 150
    assert isinstance(refusal.value, ValueError)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(signed("r", b"\x01"), "not complete", id="a gap without a run"),
        pytest.param(signed("r", b"\x01\x00\x00"), "not complete", id="a trailing gap"),
        pytest.param(signed("r", b"\x01\x80"), "not complete", id="an unfinished number"),
        pytest.param(signed("r", b"\x81\x00\x00"), "longer than it has to be", id="a number with a leading zero"),
        pytest.param(signed("r", b"\x01" + b"\xff" * 10 + b"\x01"), "above 2\\*\\*63", id="a number without end"),
        pytest.param(signed("r", b"\x01" + b"\xff" * 9 + b"\x01"), "2\\*\\*63 or above", id="a run that overflows"),
        pytest.param(signed("r", b"\xff" * 9 + b"\x01\x00"), "2\\*\\*63 or above", id="a gap that overflows"),
        pytest.param(signed("b", b"\x02", base=2**63 - 1), "2\\*\\*63 or above", id="a bitmap that overflows"),
        pytest.param(signed("b", b"\x02\x00"), "does not end with", id="a bitmap with trailing zeros"),
        pytest.param(signed("R", deflated(b"")), "not complete", id="no run lengths"),
        pytest.param(signed("B", deflated(b"")), "does not end with", id="no bitmap"),
        pytest.param(signed("R", deflated(b"\x01\x02")[:-1]), "too early or too late", id="deflate without an end"),
        pytest.param(
            signed("R", deflated(b"\x01\x02") + b"\0"), "too early or too late", id="bytes after deflate's end"
        ),
        pytest.param(signed("R", b"\xff\xff\xff"), "invalid block type", id="not deflated"),
        pytest.param(signed("B", deflated(b"\xff" * 32_769)), "more than 32768 bytes", id="too much"),
        pytest.param(signed("B", deflated(b"\xff" * 3 * 10**6)), "more than 32768 bytes", id="a bomb"),
    ],
)
def test_hostile_bytes_with_a_right_checksum(text: str, reason: str) -> None:
    base = base_of(text)
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableMap, match=reason) as refusal:
            decode(text, base)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert refusal.value.kind == "corrupt"
    assert peak < 2**20


@pytest.mark.parametrize("payload", ["A", "=", "A===", "AB=C", "AA AA", "AA\nAA", "AA-_", "Vg Vg", "Vg\nVg", "Vg==Vg"])
def test_payloads_that_are_no_base64(payload: str) -> None:
    head = f"tc1:b{len(payload)}:{BASE}:"
    with pytest.raises(UnreadableMap):
        decode(f"{head}{zlib.crc32((head + payload).encode()):08x}:{payload}", BASE)


@unhurried
@given(st.text(max_size=200), st.integers(0, 2**63))
def test_no_text_raises_anything_else(text: str, base: int) -> None:
    for hostile in (text, "tc1:" + text, f"tc1:r{len(text)}:{base}:00000000:{text}"):
        try:
            decode(hostile, base)
        except UnreadableMap:
            continue
        assert hostile == ""


@thorough
@given(st.sampled_from("rbRB"), st.binary(min_size=1, max_size=200), st.integers(0, 2**63 - 1), st.booleans())
@example("b", b"\xff", 2**63 - 8, False)
@example("b", b"\xff", 2**63 - 7, False)
def test_whatever_is_read_is_well_formed(form: str, data: bytes, base: int, deflate: bool) -> None:
    try:
        ranges = decode(signed(form, deflated(data) if deflate else data, base), base)
    except UnreadableMap:
        return
    flat = [edge for one in ranges for edge in one]
    assert base <= flat[0]
    assert flat[-1] <= 2**63
    assert all(low < high for low, high in pairwise(flat))
    again = encode(base, ranges, CHARACTERS_MAX)
    assert decode(again.text, base) == ranges == again.covered


# Looking up


@unhurried
@given(st.sets(st.integers(0, 60)))
def test_contains(offsets: set[int]) -> None:
    ranges = ranges_of(offsets)
    assert [offset for offset in range(-2, 63) if contains(ranges, offset)] == sorted(offsets)
