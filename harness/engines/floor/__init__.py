"""The engine ``floor``: the least time that these rows can take to be in this PostgreSQL.

The rows of a dataset lie there encoded as binary COPY files (``encode``, once per dataset and not
timed). ``python -m harness.engines.floor`` is the engine: it reads nothing, checks nothing and
keeps no journal; it only sends these files over ``--jobs`` connections, and has the server do what
any restore of the same rows leaves it to do. Every other engine is told as a multiple of it.
"""
