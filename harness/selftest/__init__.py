"""Self-test: checks that the harness finds known differences, and reports no others.

Simulations on recorded trials measure how often a verdict is a false alarm, and how often a
slowdown is found. Real trials on a small dataset run one engine beside itself and beside copies of
it with an injected fault, and check that each is measured as it should be.
"""
