"""The process of one candidate: a `Job` as JSON on the standard input, a `Measurement` as JSON on the last line out.

The process is fresh for each measurement: what an earlier one left behind (threads of librdkafka, a grown heap, warmed
caches, a changed collector) cannot help or hurt the next.
"""

from __future__ import annotations

import importlib
import json
import sys

import attrs

from .model import Job, Measurement


def measure(job: Job) -> Measurement:
    """Call the function that the job names."""
    module, _, function = job.entry.partition(":")
    result = getattr(importlib.import_module(f"{__package__}.{module}"), function)(job)
    if not isinstance(result, Measurement):
        raise TypeError(f"{job.entry} returned {type(result).__name__}: return a Measurement")
    return result


if __name__ == "__main__":
    print(json.dumps(attrs.asdict(measure(Job(**json.load(sys.stdin))))))
