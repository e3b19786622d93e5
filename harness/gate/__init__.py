"""Regression gate: judges a run against a baseline of earlier runs.

Time is judged relative to floor and legacy in the same run, so that it holds when the machine
changes; memory and completeness are judged as they are.
"""
