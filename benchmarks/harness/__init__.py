"""What the benchmarks share: samples taken by turns, rows with their bounds, and how they are shown."""
