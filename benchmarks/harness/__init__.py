"""Shared code of the benchmarks: samples taken by turns, rows with bounds, and output."""
