"""The commands: restore, retry, repair."""
