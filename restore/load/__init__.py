"""The load of one shard on one connection."""
