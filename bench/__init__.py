"""Benchmarks: `python3 dev.py bench [name …]`. They measure and compare within one run; no time is ever asserted."""
