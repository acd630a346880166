"""The offset map as text: which offsets above the committed one are complete already.

The text travels as the metadata of a commit and keeps a restart from handling those records again. Losing a map costs
repeats; believing a wrong one costs records. So a map that is not certainly ours, whole, and written for this very
offset is refused with `UnreadableMap`, and the caller replays.

Grammar (ASCII; the empty text is the empty map)::

    map      = "tc1:" form length ":" base ":" checksum ":" payload stray
    form     = "r" | "b" | "R" | "B"   run lengths, bitmap, and either one deflated
    length   = decimal number of characters of the payload
    base     = decimal committed offset that the map belongs to
    checksum = CRC-32, 8 small hex digits, of everything before its colon, and the payload: "tc1:r6:1000:" payload
    payload  = Base64 without padding
    stray    = anything; ignored: clients were seen to return bytes from beyond the end of what was committed

``1`` is the version of the format. The base stands in the text because the metadata can come to stand beside another
offset: an administrator's reset or a mirror may move the one and keep the other.

Run lengths: LEB128 numbers, alternately the incomplete offsets before a range and the completed ones in it. Zero would
be meaningless everywhere except before the first range, so everywhere else the number is one less. That leaves one way
to write a map, and what is read is sorted, disjoint and not adjacent whatever the bytes are.

Bitmap: bit 0 of byte 0 is the base, 1 is completed; the last byte is not zero.

Ranges start at the base or above. One that starts right at the base says that the base was a position to fetch from
next, and that an earlier tenure completed what is there.

Work and memory are bounded by the limit and never by the offsets, which may lie 2**62 apart:

- A plain form of more than eight times the bytes that fit, and of 4 KiB, is not deflated. Huffman codes take at least
  one bit for a byte, so only repetition shrinks more than that, and what repeats in a bitmap repeats in the run
  lengths as well.
- Deflate shrinks 1,032 to 1 at best, so a bitmap with more than 1,032 times the bytes of the run lengths is not built.
- Reading inflates to `_PLAIN_BYTES_MAX` at most, which writing never exceeds.

The module knows nothing of records, commits or holes; `trio_consumer.core.ledger` does.
"""

from __future__ import annotations

import binascii
import re
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

import attrs

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""Half-open ``(start, stop)`` ranges of offsets: sorted, disjoint, not adjacent."""

CHARACTERS_MAX = 32_767
"""No text is longer: Kafka stores the metadata as a string with a signed 16-bit length."""

_VERSION = 1
_OFFSETS_END = 2**63
_PLAIN_BYTES_MAX = 32 * 1024
_PLAIN_BYTES_MIN = 4096
"""Plain forms up to this size are always tried: a small limit must not hide what deflates well."""
_DEFLATE_RATIO_MAX = 1032
_DEFLATE_LEVEL = 6  # 9 takes up to 14 times as long on bitmaps and saves 7 % at most

_FIRST_WORD = re.compile(r"tc([0-9]{1,9}):")
_HEADER = re.compile(r"tc1:([rbRB])([1-9][0-9]{0,4}):(0|[1-9][0-9]{0,18}):([0-9a-f]{8}):")
_ONES = re.compile("1+")


class UnreadableMap(ValueError):
    """The text is no offset map for this offset; handle everything from there again.

    The message fits into one log line and holds nothing of the text but numbers.

    Attributes:
        kind: ``"foreign"``: somebody else's; ``"future"``: from another version of the format; ``"moved"``: written for
            another offset; ``"corrupt"``: ours, but damaged.
    """

    def __init__(self, kind: Literal["foreign", "future", "moved", "corrupt"], reason: str) -> None:
        super().__init__(f"{kind} offset map: {reason}")
        self.kind = kind


@attrs.frozen
class Encoded:
    """A map as text.

    Args:
        text: At most as many characters as were allowed.
        covered: The ranges that it holds: all of them, or the longest prefix that fits.
    """

    text: str
    covered: Ranges


def encode(base: int, completed: Ranges, limit: int) -> Encoded:
    """The shortest text for these ranges, or the longest prefix of them that fits.

    How far a prefix deflates is known only by trying. The search halves the number of ranges, as if a longer prefix
    never took fewer bytes; deflate breaks that by a few bytes at most, and so may the prefix be short by a few ranges.

    Args:
        base: The committed offset; not negative.
        completed: Completed offsets at the base or above.
        limit: Most characters; above `CHARACTERS_MAX` it counts as that.
    """
    capacity = _capacity(base, limit)
    if not completed or capacity < 1:
        return Encoded("", ())
    forms = _Forms.build(base, completed, capacity)
    return forms.whole(len(completed)) or max(
        forms.whole_ranges(), forms.clipped_runs(), forms.clipped_bitmap(), key=_reach
    )


def characters(base: int, completed: Ranges, limit: int) -> int | None:
    """Characters of the text that holds all of these ranges; ``None`` if they do not fit into the limit."""
    capacity = _capacity(base, limit)
    if not completed or capacity < 1:
        return None if completed else 0
    encoded = _Forms.build(base, completed, capacity).whole(len(completed))
    return None if encoded is None else len(encoded.text)


def bitmap_characters(base: int, span: int) -> int:
    """Characters that no map takes more than whose ranges end at ``base + span`` or below; those of a plain bitmap."""
    payload = _base64_characters(-(-span // 8))
    return _header_characters(base) + len(str(payload)) + payload


def bitmap_span_max(base: int, limit: int) -> int:
    """Offsets from the base on that a bitmap holds at most. A map that reaches further is written as run lengths."""
    return 8 * _plain_bytes_max(_capacity(base, limit))


def contains(ranges: Sequence[tuple[int, int]], offset: int) -> bool:
    """Whether one of the ranges holds the offset."""
    index = bisect_right(ranges, offset, key=_start)
    return index > 0 and offset < ranges[index - 1][1]


def decode(text: str, base: int) -> Ranges:
    """The ranges in a text that was committed with this offset.

    Raises:
        UnreadableMap: The only exception, whatever the text.
    """
    if not text:
        return ()
    header = _HEADER.match(text)
    if header is None:
        raise _stranger(text)
    form, length, written_for, checksum = header.groups()
    if int(length) > CHARACTERS_MAX:
        raise UnreadableMap("corrupt", f"it claims {length} characters; there are {CHARACTERS_MAX} at most")
    payload = text[header.end() : header.end() + int(length)]
    if len(payload) < int(length):
        raise UnreadableMap("corrupt", f"cut off after {len(payload)} of {length} characters")
    if not payload.isascii() or checksum != _checksum(text[: header.start(4)] + payload):
        raise UnreadableMap("corrupt", "its checksum is wrong")
    if int(written_for) != base:
        raise UnreadableMap("moved", f"it was written for offset {written_for} and stands beside offset {base}")
    plain = _read_plain(payload, form in "RB")
    ranges = _read_runs(plain, base) if form in "rR" else _read_bitmap(plain, base)
    if ranges[-1][1] > _OFFSETS_END:
        raise UnreadableMap("corrupt", "it names an offset of 2**63 or above")
    return ranges


@attrs.frozen
class _Forms:
    """Both plain forms of one map, each built once, so that the search for a prefix only slices them.

    Args:
        base: The committed offset.
        completed: All of the map.
        capacity: Bytes that fit.
        runs: Run lengths of the first ranges, as many as ``ends`` has.
        ends: How far each of these ranges reaches in ``runs``.
        bitmap: The offsets from the base up to ``bitmap_stop``.
        bitmap_stop: Anything above could not fit anyway, or is better off as run lengths.
    """

    base: int
    completed: Ranges
    capacity: int
    runs: bytes
    ends: list[int]
    bitmap: bytes
    bitmap_stop: int

    @classmethod
    def build(cls, base: int, completed: Ranges, capacity: int) -> _Forms:
        bytes_max = _plain_bytes_max(capacity)
        runs, ends = _write_runs(base, completed, bytes_max)
        span = min(completed[-1][1] - base, 8 * bytes_max)
        if len(ends) == len(completed) and span > 8 * _DEFLATE_RATIO_MAX * len(runs):
            span = 0
        return cls(base, completed, capacity, runs, ends, _write_bitmap(base, completed, span), base + span)

    def of(self, count: int) -> Iterator[tuple[str, bytes]]:
        """The first ranges in each form that can hold them. The deflated ones come last: they are the costly ones."""
        plain = []
        if count <= len(self.ends):
            plain.append(("r", self.runs[: self.ends[count - 1]]))
        if self.completed[count - 1][1] <= self.bitmap_stop:
            plain.append(("b", self.bits(self.completed[count - 1][1])))
        yield from plain
        for form, data in plain:
            yield form.upper(), _deflate(data)

    def bits(self, stop: int) -> bytes:
        """The bitmap up to ``stop``, which is the end of a range or within one."""
        whole, rest = divmod(stop - self.base, 8)
        return self.bitmap[:whole] + bytes([self.bitmap[whole] & (1 << rest) - 1] if rest else [])

    def fit(self, count: int) -> bool:
        return any(len(data) <= self.capacity for _, data in self.of(count))

    def whole(self, count: int) -> Encoded | None:
        """The first ranges in the smallest form, if that fits."""
        form, data = min(self.of(count), key=lambda one: len(one[1]), default=("", b""))
        return self.encoded(self.completed[:count], form, data) if form and len(data) <= self.capacity else None

    def whole_ranges(self) -> Encoded:
        """As many whole ranges as fit in any form."""
        count, too_many = 0, len(self.completed)
        while too_many - count > 1:
            middle = (count + too_many) // 2
            count, too_many = (middle, too_many) if self.fit(middle) else (count, middle)
        return (self.whole(count) if count else None) or Encoded("", ())

    def clipped_runs(self) -> Encoded:
        """As many run lengths as fit, and of the next range what the remaining bytes can count."""
        count = bisect_right(self.ends, self.capacity)
        used, expected = (self.ends[count - 1], self.completed[count - 1][1] + 1) if count else (0, self.base)
        start = self.completed[count][0]
        room = self.capacity - used - max(1, -(-(start - expected).bit_length() // 7))
        covered = self.completed[:count] + (((start, start + 128**room),) if room > 0 else ())
        return self.encoded(covered, "r", _write_runs(self.base, covered, self.capacity)[0])

    def clipped_bitmap(self) -> Encoded:
        """All below the offset where a bitmap is full."""
        stop = min(self.base + 8 * self.capacity, self.bitmap_stop)
        covered = self.completed[: bisect_left(self.completed, stop, key=_start)]
        if covered:
            start, last = covered[-1]
            stop = min(stop, last)
            covered = (*covered[:-1], (start, stop))
        return self.encoded(covered, "b", self.bits(stop))

    def encoded(self, covered: Ranges, form: str, data: bytes) -> Encoded:
        if not covered:
            return Encoded("", ())
        payload = binascii.b2a_base64(data, newline=False).rstrip(b"=").decode()
        head = f"tc{_VERSION}:{form}{len(payload)}:{self.base}:"
        return Encoded(f"{head}{_checksum(head + payload)}:{payload}", covered)


def _start(one: tuple[int, int]) -> int:
    return one[0]


def _reach(encoded: Encoded) -> tuple[int, int]:
    return encoded.covered[-1][1] if encoded.covered else -1, -len(encoded.text)


def _header_characters(base: int) -> int:
    """Characters of the header, except the digits of its length."""
    return len(f"tc{_VERSION}:r:{base}:00000000:")


def _base64_characters(count: int) -> int:
    return -(-4 * count // 3)


def _capacity(base: int, limit: int) -> int:
    """Bytes that fit into a payload when the whole text may have so many characters."""
    room = max(0, min(limit, CHARACTERS_MAX) - _header_characters(base))
    digits = len(str(room))
    if len(str(room - digits + 1)) < digits:  # a length of fewer digits leaves one more character for the payload
        digits -= 1
    return max(0, room - digits) * 3 // 4


def _plain_bytes_max(capacity: int) -> int:
    """Bytes of the longest plain form that is tried where so many bytes fit."""
    return min(max(8 * capacity, _PLAIN_BYTES_MIN), _PLAIN_BYTES_MAX)


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


def _deflate(data: bytes) -> bytes:
    return zlib.compress(data, _DEFLATE_LEVEL, wbits=-zlib.MAX_WBITS)


def _write_runs(base: int, completed: Ranges, bytes_max: int) -> tuple[bytes, list[int]]:
    """Run lengths of the first ranges within so many bytes, and where each of them ends in it."""
    data, ends, expected = bytearray(), [], base
    for start, stop in completed:
        value = start - expected
        while value > 127:
            data.append(value & 127 | 128)
            value >>= 7
        data.append(value)
        value = stop - start - 1
        while value > 127:
            data.append(value & 127 | 128)
            value >>= 7
        data.append(value)
        if len(data) > bytes_max:
            break
        ends.append(len(data))
        expected = stop + 1
    return bytes(data), ends


def _write_bitmap(base: int, completed: Ranges, span: int) -> bytes:
    """A bitmap of so many offsets, in time linear in them, which shifting one big number would not be."""
    digits, at, end = [], base, base + span
    for start, stop in completed:
        if stop > end:
            if start >= end:
                break
            stop = end
        digits.append("0" * (start - at))
        digits.append("1" * (stop - start))
        at = stop
    text = "".join(digits)
    return int(text[::-1] or "0", 2).to_bytes(-(-span // 8), "little")


def _stranger(text: str) -> UnreadableMap:
    """What to say of a text whose header can't be read."""
    word = _FIRST_WORD.match(text)
    if word is None:
        return UnreadableMap("foreign", f"{len(text)} characters that this library did not write")
    if int(word[1]) == _VERSION:
        return UnreadableMap("corrupt", "its header is damaged")
    return UnreadableMap("future", f"its format has version {int(word[1])}; this library reads version {_VERSION}")


def _read_plain(payload: str, deflated: bool) -> bytes:
    try:
        data = binascii.a2b_base64(payload + "=" * (-len(payload) % 4), strict_mode=True)
        if not deflated:
            return data
        inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
        plain = inflater.decompress(data, _PLAIN_BYTES_MAX + 1)
    except (binascii.Error, zlib.error) as error:
        raise UnreadableMap("corrupt", str(error)) from None
    if len(plain) > _PLAIN_BYTES_MAX:
        raise UnreadableMap("corrupt", f"it inflates to more than {_PLAIN_BYTES_MAX} bytes")
    if not inflater.eof or inflater.unused_data:
        raise UnreadableMap("corrupt", "its deflated bytes end too early or too late")
    return plain


def _read_runs(plain: bytes, base: int) -> Ranges:
    values, value, shift = [], 0, 0
    for byte in plain:
        value |= (byte & 127) << shift
        if byte > 127:
            shift += 7
        elif shift and not byte:
            raise UnreadableMap("corrupt", "a number is longer than it has to be")
        else:
            values.append(value)
            value = shift = 0
        if shift > 63:
            raise UnreadableMap("corrupt", "a number is above 2**63")
    if shift or not values or len(values) % 2:
        raise UnreadableMap("corrupt", "its run lengths are not complete")
    ranges, expected = [], base
    for gap, more in zip(values[::2], values[1::2], strict=True):
        start = expected + gap
        ranges.append((start, start + more + 1))
        expected = start + more + 2
    return tuple(ranges)


def _read_bitmap(plain: bytes, base: int) -> Ranges:
    if not plain or not plain[-1]:
        raise UnreadableMap("corrupt", "its bitmap does not end with a completed offset")
    digits = f"{int.from_bytes(plain, 'little'):b}"[::-1]
    return tuple((base + ones.start(), base + ones.end()) for ones in _ONES.finditer(digits))
