"""Statistics and verdicts: pure functions of records."""
