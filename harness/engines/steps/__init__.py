"""The way from the naive restorer to the full one: each step is an engine that adds one technique.

    legacy            each file whole, one insert of all records
    step-batches      inserts of 1,000 records
    step-streaming    files parsed as they are read (ijson)
    step-copy-text    COPY in place of INSERT, as text
    step-copy-binary  typed decoding (msgspec), binary COPY
    step-constraints  keys and indexes dropped, and recreated after the load
    restore           all of that in C and in parallel, and no record lost to its neighbours

Each is what a Python developer could write in an afternoon, and no more: it restores clean data, in
one transaction, and fails as a whole on the first bad record. ``harness ablate`` measures them.
"""
