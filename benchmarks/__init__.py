"""Benchmarks: candidates side by side in one run, on the same records. See README.md for the method.

Imports point one way: command line → report, harness → scenarios → candidates → model. A scenario is one file in
`scenarios`; the harness knows nothing of what it measures.
"""
