"""Fault injection: a restore that is stopped at any instant, by anything, can be continued.

A campaign restores a dataset again and again, and while it does so kills processes, sessions, the
server and connections, and fills disks. Each database is brought to its end and then checked:
every record is in its table or in the rejects, exactly once, and all else is as it was.
"""
