"""Benchmarks: each scenario is a module, prints its figures next to a baseline of the same run, and can write JSON."""
