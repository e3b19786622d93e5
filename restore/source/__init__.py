"""The files of a backup, as batches of raw records."""
