"""One trial: one engine, one process, metered and verified."""
