"""Benchmarks of speed and memory against baselines; run them with `make bench`."""
