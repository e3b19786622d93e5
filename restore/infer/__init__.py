"""Infers a schema from a backup: columns, types and keys that take all of its records."""
