"""What a run was, as text: to tell whether two runs of one seed were the same, and where they first were not.

A trail has a line for each step of a task and each event of the history, in the order of time. Texts in it hold no
addresses: ``<Task 'x' at 0x7f...>`` differs from run to run, and decides nothing. Sets are sorted.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from heapq import merge
from typing import Any, NamedTuple

ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


class Divergence(NamedTuple):
    """The first difference of two trails: a line number from 0, and the lines; ``""`` where one had ended."""

    line: int
    first: str
    second: str

    def __str__(self) -> str:
        return f"line {self.line}:\n  {self.first or '(the end)'}\n  {self.second or '(the end)'}"


def trail(moments: Iterable[tuple[float, Any]], steps: Iterable[tuple[float, str]] = ()) -> list[str]:
    """One line for each event and step.

    Args:
        moments: `History.moments`, or any pairs of a time and an event.
        steps: `Steps.recorded`.
    """
    told = ((time, 0, f"{type(event).__name__} {_text(event)}") for time, event in moments)
    taken = ((time, 1, f"step {name}") for time, name in steps)
    ordered = merge(told, taken, key=lambda line: line[:2])
    return [ADDRESS.sub("", f"{time:.9f} {text}") for time, _, text in ordered]


def digest(moments: Iterable[tuple[float, Any]], steps: Iterable[tuple[float, str]] = ()) -> str:
    """SHA-256 of the trail, in hexadecimal: equal for equal runs, in any process, under any hash seed."""
    return digest_of(trail(moments, steps))


def digest_of(lines: Iterable[str]) -> str:
    """The same of a trail that is there already."""
    sha = hashlib.sha256()
    for line in lines:
        sha.update(line.encode("utf-8", "backslashreplace"))
        sha.update(b"\n")
    return sha.hexdigest()


def first_divergence(a: Sequence[str], b: Sequence[str]) -> Divergence | None:
    """Where two trails first differ; ``None`` if they do not."""
    for number, (left, right) in enumerate(zip(a, b, strict=False)):
        if left != right:
            return Divergence(number, left, right)
    if len(a) == len(b):
        return None
    shorter = min(len(a), len(b))
    return Divergence(shorter, a[shorter] if len(a) > shorter else "", b[shorter] if len(b) > shorter else "")


def _text(value: Any) -> str:
    """As `repr`, but alike under every hash seed: sets are sorted, the order of mappings is that of their making."""
    if isinstance(value, tuple):
        names = getattr(type(value), "_fields", None)
        if names is not None:
            return "(" + ", ".join(f"{name}={_text(part)}" for name, part in zip(names, value, strict=True)) + ")"
        return "(" + ", ".join(map(_text, value)) + ")"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(key)}: {_text(part)}" for key, part in value.items()) + "}"
    if isinstance(value, Set):
        return "{" + ", ".join(sorted(map(_text, value))) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_text, value)) + "]"
    return repr(value)
