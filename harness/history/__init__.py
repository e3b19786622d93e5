"""The history of runs: stored, read back, indexed."""
