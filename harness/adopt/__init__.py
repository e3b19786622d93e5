"""Makes a dataset of a backup of your own: its schema, and its ground truth.

The truth comes by a path that is independent of the engines: Python's own JSON reader, the
documented rules of ``docs/formats.md`` written anew, and ``json_populate_record`` on a scratch
database. What that path cannot decide is left out of the verification, and said.
"""
