"""Which shards load when, and the state of each table."""
