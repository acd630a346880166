"""The bound of a workload as a candidate, to be compared with those that run. Computed, not measured.

Options of the job, besides ``handler``, ``concurrency`` and ``order``: ``workload`` has those fields of the `Workload`
that a job does not tell.
"""

from __future__ import annotations

from ..bounds import makespan_seconds
from ..model import Job, Measurement, Workload


def rate(job: Job) -> Measurement:
    """Records per second, at best."""
    options = job.options
    workload = Workload(records=job.records, partitions=len(job.counts), **options["workload"])
    seconds = makespan_seconds(workload, options["handler"], concurrency=options["concurrency"], order=options["order"])
    return Measurement(value=job.records / seconds, detail={"seconds": seconds})
