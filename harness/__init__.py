"""The harness: generates datasets, starts PostgreSQL, runs engines, measures, records, compares.

It runs engines by command line and never imports them.
"""
