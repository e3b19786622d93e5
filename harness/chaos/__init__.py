"""Fault injection: checks that a restore can be resumed after a fault at any time.

A campaign restores a dataset repeatedly, and meanwhile kills processes, sessions, the server and
connections, and fills disks. Each restore is resumed until it finishes, and its database is then
checked: every record is in its table or in the rejects, exactly once, and nothing else has changed.
"""
