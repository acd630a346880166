"""Play scenarios on a real broker and write down what was seen.

    python -m tests.scenarios.record [--afresh] [ROUNDS] [SCENARIO ...]

Of the scenarios that are named, or of all, what was seen is added to what was recorded, or replaces it (``--afresh``).
Reasons (``varies``, ``differs``) and what the simulator does instead stay. Look at the difference before you keep it.
"""

from __future__ import annotations

import sys

import trio

from . import recordings
from .observe import Case, Notes, cases, observe


def main(rounds: int, names: list[str], *, afresh: bool) -> None:
    rows = recordings.read()
    seen: dict[Case, list[Notes]] = {} if afresh else {case: list(row.observed) for case, row in rows.items()}
    for _ in range(rounds):
        for case, notes in trio.run(observe, cases(names)).items():
            if "error" in notes:
                print(f"{case[0]} under {case[1].value} failed, and is left as it was:", *notes["error"], sep="\n")  # noqa: T201
            elif notes not in seen.setdefault(case, []):
                seen[case].append(notes)
    known = cases()
    for case, found in seen.items():
        if case not in known:
            continue
        before = rows.get(case, recordings.Row(()))
        varies = before.varies or ("" if len(found) == 1 else "UNEXPLAINED")
        rows[case] = recordings.Row(tuple(found), varies if len(found) > 1 else "", before.simulated, before.differs)
    recordings.write(rows)


if __name__ == "__main__":
    given = [one for one in sys.argv[1:] if one != "--afresh"]
    rounds_given = int(given.pop(0)) if given and given[0].isdigit() else 1
    main(rounds_given, given, afresh="--afresh" in sys.argv)
