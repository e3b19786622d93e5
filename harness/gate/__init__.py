"""Regression gate: judges a run against a baseline of earlier runs.

Two commits are compared in one run. A run by itself is judged by earlier runs, each of them one
observation: its time on the same machine and server, memory and completeness as they are.
"""
