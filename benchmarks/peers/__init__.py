"""Other parallel consumers, measured beside ours. README.md tells what each runs, at which settings and why.

Each peer runs in an environment of its own, which `environments` sets up. What runs there imports the standard library,
attrs, the peer's packages, and of `benchmarks` only what needs no more than these; never `trio_consumer`.
"""
