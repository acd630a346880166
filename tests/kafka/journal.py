"""What the handlers of several members did with the records of a topic, and what that means for the promise.

A journal is one list of entries in the order in which they happened, whoever wrote them. Where records are, and in
which order each lane has them, is told by the producer; nothing that a consumer says is believed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import attrs

from trio_consumer import Partition

At = tuple[Partition, int]
"""Partition and offset."""

BEGUN, DONE, LEFT, DIED = "begun", "done", "left", "died"
"""A handler began, returned, or was left by an exception; a member died with all its handlers."""


@attrs.frozen
class Entry:
    what: str
    member: str
    at: At

    def __str__(self) -> str:
        (topic, number), offset = self.at
        return f"{self.what} {self.member} {topic} {number} {offset}"

    @classmethod
    def parse(cls, line: str) -> Entry:
        what, member, topic, number, offset = line.split()
        return cls(what, member, (Partition(topic, int(number)), int(offset)))


class Journal:
    """See the module. Asking for sets costs nothing, so that tests can wait for what they say."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.entries: list[Entry] = []
        self._sets: defaultdict[tuple[str, str | None], set[At]] = defaultdict(set)
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)
        self._sets[entry.what, None].add(entry.at)
        self._sets[entry.what, entry.member].add(entry.at)

    def note(self, what: str, member: str, at: At) -> None:
        self.add(Entry(what, member, at))

    def begun(self, member: str | None = None) -> set[At]:
        """Records that a handler of this member, or of any, has begun."""
        return self._sets[BEGUN, member]

    def done(self, member: str | None = None) -> set[At]:
        """Records that a handler of this member, or of any, has finished."""
        return self._sets[DONE, member]

    def repeats(self) -> Counter[At]:
        """How often each record was handled in vain."""
        counts = Counter(entry.at for entry in self.entries if entry.what == DONE)
        return Counter({at: count - 1 for at, count in counts.items() if count > 1})

    def violations(self, lanes: Mapping[At, object]) -> list[str]:
        """Every breach of the order, given the lane of each record; ``None`` for a record without order.

        Within a lane handlers never overlap, and each begins with the next record, or goes back to one that was begun
        before; and never before all earlier ones were handled.
        """
        places = _places(lanes)
        running: dict[object, Entry] = {}
        last: dict[object, int] = {}
        handled: dict[object, set[int]] = {}
        found = []
        for entry in self.entries:
            if entry.what == DIED:
                running = {lane: other for lane, other in running.items() if other.member != entry.member}
                continue
            if entry.at not in places:
                continue
            lane, place = places[entry.at]
            if entry.what != BEGUN:
                running.pop(lane, None)
                if entry.what == DONE:
                    handled.setdefault(lane, set()).add(place)
                continue
            if lane in running:
                found.append(f"{entry} while {running[lane]}")
            if place > last.get(lane, -1) + 1:
                found.append(f"{entry} skips {place - last.get(lane, -1) - 1} records of its lane")
            if place and place - 1 not in handled.get(lane, ()):
                found.append(f"{entry} before its predecessor was handled")
            running[lane] = entry
            last[lane] = place
        return found


def _places(lanes: Mapping[At, object]) -> dict[At, tuple[object, int]]:
    counts: Counter[object] = Counter()
    places: dict[At, tuple[object, int]] = {}
    for at in sorted(lanes):
        if lanes[at] is not None:
            lane = (at[0], lanes[at])
            places[at] = (lane, counts[lane])
            counts[lane] += 1
    return places


def check(journal: Journal, lanes: Mapping[At, object], *, repeats_max: int = 0) -> None:
    """Nothing is lost, the order is kept, nothing that was not produced was handled, and repeats are few."""
    done = journal.done()
    assert sorted(set(lanes) - done) == [], "lost"
    assert sorted(done - set(lanes)) == [], "never produced"
    assert journal.violations(lanes) == []
    repeats = journal.repeats()
    assert repeats.total() <= repeats_max, f"repeated: {list(repeats)[:10]}"
