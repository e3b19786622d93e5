"""Judges a recorded run against others: by name, by commit, or the last ones.

Time is judged as a multiple of the floor's and of legacy's in the same run, so that it holds when
the machine changes; memory and success are judged as they are.
"""
