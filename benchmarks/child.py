"""The process of one candidate: a `Job` as JSON on the standard input, a `Measurement` as JSON on the last line out.

The process is fresh for each measurement: what an earlier one left behind (threads of librdkafka, a grown heap, warmed
caches, a changed collector) cannot help or hurt the next.
"""

from __future__ import annotations

import gc
import importlib
import json
import sys
import time

import attrs

from .model import Job, Measurement


def measure(job: Job) -> Measurement:
    """Call the function that the job names."""
    module, _, name = job.entry.partition(":")
    function = getattr(importlib.import_module(f"{__package__}.{module}"), name)
    collector = CollectorClock()
    if job.profile:
        gc.callbacks.append(collector)
    result = function(job)
    if not isinstance(result, Measurement):
        raise TypeError(f"{job.entry} returned {type(result).__name__}: return a Measurement")
    if not job.profile:
        return result
    return attrs.evolve(result, detail={**result.detail, "gc_seconds": collector.seconds})


class CollectorClock:
    """Called by the garbage collector when it begins and when it ends.

    Attributes:
        seconds: How long it has run.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began = 0.0

    def __call__(self, phase: str, info: object) -> None:
        now = time.perf_counter()
        if phase == "start":
            self._began = now
        else:
            self.seconds += now - self._began


if __name__ == "__main__":
    print(json.dumps(attrs.asdict(measure(Job(**json.load(sys.stdin))))))
