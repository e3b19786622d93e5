"""The commands: restore, retry, repair, infer."""
