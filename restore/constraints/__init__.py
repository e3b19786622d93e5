"""Constraints and indexes: dropped, recreated, and the rows that break them."""
