"""``python -m harness selftest``: does the harness find what is put in, and nothing else?

Simulations on recorded trials say how often it would cry wolf, and how often it would find a
slowdown. Real trials, on small data, of an engine beside itself and of the same engine spoiled in
every way that must be noticed, say that what it measures is what happens.
"""
