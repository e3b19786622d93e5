"""The naive restorer: load each file whole, insert it in one go.

It is kept as what the streaming restorer is measured against. This is how people write the script
for the day when a database is gone: ``json.load``, dates into datetimes, one insert of all records
per table through SQLAlchemy, all of it in one transaction so that foreign keys which wait until the
end hold. It is right as long as the data is small and clean. It is frozen: neither its memory nor
what it does with a bad record is to be improved, or comparisons with older runs lose their meaning.
"""
