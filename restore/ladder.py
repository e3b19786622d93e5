"""What happens to records on their way into a table: the fast way, and what to do when it fails.

1. A batch of the usual shape is sent as one COPY.
2. Records of another shape are decoded one by one and sent in runs of equal shape, in file order.
3. A COPY that fails is split at the row that PostgreSQL names, or in halves where it names none.
4. A record that fails alone is inserted as literals, which the server casts (other spellings of
   dates, numbers as strings). What it refuses then is rejected.

The order of the file is kept throughout, so that of two records with one key the first wins.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
from psycopg import sql

from restore.copy import CopyFailure, copy_rows, copy_statement
from restore.decode import Codecs
from restore.errors import LoadError
from restore.rejects import Reason
from restore.scan import DECODE_ERRORS
from restore.values import literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restore.catalog import Column, Table
    from restore.decode import Codec
    from restore.read import Batch, Damage, RawRecord
    from restore.rejects import RejectFile
    from restore.report import TableReport

# SQLSTATE classes that speak of the data and not of the server or the connection: data exception,
# integrity constraint, WITH CHECK OPTION, raised by a trigger, a value over a limit of the program.
_DATA_ERRORS = ("22", "23", "44", "P0", "54")
_UNIQUE_VIOLATION = "23505"

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows with the codec that they were decoded by."""

    codec: Codec
    rows: list[Any]

    def __len__(self) -> int:
        return len(self.rows)


class Ladder:
    """Loads one table's batches, and counts what becomes of each record in ``report``.

    Args:
        conn: a connection that commits each statement.
        table: the target.
        rejects: where records go that cannot be restored.
        report: the table's counts.
    """

    def __init__(
        self, conn: psycopg.Connection, table: Table, rejects: RejectFile, report: TableReport
    ) -> None:
        self._conn = conn
        self._table = table
        self._rejects = rejects
        self._report = report
        self._codecs = Codecs(table)
        self._usual = self._codecs.usual()
        self._columns = {c.name: c for c in table.columns if not c.generated}
        self._named = {c.name for c in table.columns}
        self._statements: dict[tuple[str, ...], sql.Composed] = {}

    def decode(self, data: bytes) -> Rows:
        """Decode a JSON array of records of the usual shape. Another thread may call this.

        Raises:
            msgspec.DecodeError: some record is not of that shape.
        """
        codec = self._usual
        if codec is None:
            raise msgspec.DecodeError("no shape is usual in this table")
        return Rows(codec, codec.decode(data))

    def load(self, batch: Batch) -> None:
        """Load a batch; afterwards each of its records is counted as loaded or kept as a reject.

        Raises:
            LoadError: the server or the connection failed, or the table as a whole is refused.
        """
        self._report.read += batch.count
        if isinstance(batch.rows, Rows):
            usual, rows = batch.rows.codec, batch.rows.rows
            failure = self._copy(usual, rows)
            if failure is not None:
                self._isolate(usual, rows, batch.records(), failure)
            return
        for codec, rows, records in self._runs(batch):
            if codec is None:
                for record in records:
                    self._insert(record)
            else:
                self._load_run(codec, rows, records)

    def damage(self, damage: Damage) -> None:
        """Keep bytes that are no record."""
        self._report.read += 1
        self._reject(damage.record, Reason(level="read", message=damage.reason))

    def _runs(self, batch: Batch) -> Iterator[tuple[Codec | None, list[Any], list[RawRecord]]]:
        """Part a batch, in its order, into runs of one codec; None: records for the last rung."""
        current: Codec | None = None
        rows: list[Any] = []
        records: list[RawRecord] = []
        for record in batch.records():
            codec, row = self._decode_one(record)
            if records and codec is not current:
                yield current, rows, records
                rows, records = [], []
            current = codec
            rows.append(row)
            records.append(record)
        yield current, rows, records
        if current is not None:
            # The next batch most likely looks as this one ended.
            self._usual = current

    def _decode_one(self, record: RawRecord) -> tuple[Codec | None, Any]:
        data = b"[%b]" % record.raw
        usual = self._usual
        if usual is not None:
            with contextlib.suppress(*DECODE_ERRORS):
                return usual, usual.decode(data)[0]
        try:
            codec = self._codecs.of(_fields.decode(record.raw))
            return (codec, codec.decode(data)[0]) if codec is not None else (None, None)
        except DECODE_ERRORS:
            return None, None

    def _load_run(self, codec: Codec, rows: list[Any], records: list[RawRecord]) -> None:
        failure = self._copy(codec, rows)
        if failure is not None:
            self._isolate(codec, rows, records, failure)

    def _isolate(
        self, codec: Codec, rows: list[Any], records: list[RawRecord], failure: CopyFailure
    ) -> None:
        """Bring every row in that can come, after a COPY of all of them has failed."""
        while True:
            if len(rows) == 1:
                self._insert(records[0])
                return
            if failure.row is None:
                half = len(rows) // 2
                self._load_run(codec, rows[:half], records[:half])
                self._load_run(codec, rows[half:], records[half:])
                return
            if failure.row > 0:
                self._load_run(codec, rows[: failure.row], records[: failure.row])
            self._insert(records[failure.row])
            rows, records = rows[failure.row + 1 :], records[failure.row + 1 :]
            again = self._copy(codec, rows) if rows else None
            if again is None:
                return
            failure = again

    def _copy(self, codec: Codec, rows: list[Any]) -> CopyFailure | None:
        statement = self._statements.get(codec.columns)
        if statement is None:
            statement = self._statements[codec.columns] = copy_statement(self._table, codec)
        failure = copy_rows(self._conn, statement, codec, rows)
        if failure is None:
            self._report.count_loaded("batch", len(rows))
            self._count_unknown(codec, rows)
        elif failure.error is not None:
            self._stop_unless_data(failure.error)
        return failure

    def _count_unknown(self, codec: Codec, rows: list[Any]) -> None:
        for name, attribute in codec.unknown:
            there = sum(getattr(row, attribute) is not None for row in rows)
            self._report.unknown_fields[name] = self._report.unknown_fields.get(name, 0) + there

    def _insert(self, record: RawRecord) -> None:
        """The last rung: one record, its values as literals for the server to cast."""
        try:
            fields = _fields.decode(record.raw)
            columns = [self._columns[name] for name in fields if name in self._columns]
            values = [literal(column, fields[column.name]) for column in columns]
            self._conn.execute(self._insert_statement(columns), values)
        except psycopg.Error as error:
            if error.sqlstate is not None:
                self._stop_unless_data(error)
            elif not isinstance(error, psycopg.DataError):
                raise LoadError(_one_line(error)) from error
            self._reject(record, _reason(error))
        except (*DECODE_ERRORS, ValueError) as error:
            self._reject(record, Reason(level="row", message=str(error)))
        else:
            self._report.count_loaded("literal", 1)
            for name in fields.keys() - self._named:
                self._report.unknown_fields[name] = self._report.unknown_fields.get(name, 0) + 1

    def _insert_statement(self, columns: list[Column]) -> sql.Composed:
        table = _identifier(self._table.schema, self._table.name)
        if not columns:
            return sql.SQL("INSERT INTO {} DEFAULT VALUES").format(table)
        return sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})").format(
            table,
            sql.SQL(", ").join(_identifier(column.name) for column in columns),
            sql.SQL(", ").join(map(_placeholder, columns)),
        )

    def _reject(self, record: RawRecord, reason: Reason) -> None:
        self._rejects.add(record, reason)
        if reason.duplicate:
            self._report.duplicates += 1
        else:
            self._report.rejected += 1

    def _stop_unless_data(self, error: psycopg.Error) -> None:
        if is_data_error(error):
            return
        raise LoadError(f"table {self._table.name}: {_one_line(error)}") from error


def is_data_error(error: psycopg.Error) -> bool:
    """Tell whether an error speaks of the data, rather than of the server or the connection."""
    return (error.sqlstate or "").startswith(_DATA_ERRORS)


def _identifier(*names: str) -> sql.Identifier:
    """Quote names for a statement with parameters, in which psycopg reads ``%%`` as ``%``."""
    return sql.Identifier(*(name.replace("%", "%%") for name in names))


def _placeholder(column: Column) -> sql.Composable:
    if column.type.name == "timestamp":
        # PostgreSQL drops an offset in a literal of this type in silence; ours is converted to UTC.
        return sql.SQL("CAST(CAST(%s AS timestamptz) AS timestamp)")
    return sql.SQL("%s")


def _reason(error: psycopg.Error) -> Reason:
    return Reason(
        level="row",
        message=_one_line(error),
        duplicate=error.sqlstate == _UNIQUE_VIOLATION,
        sqlstate=error.sqlstate,
        constraint=error.diag.constraint_name,
    )


def _one_line(error: psycopg.Error) -> str:
    primary = error.diag.message_primary or str(error)
    detail = error.diag.message_detail
    return " ".join(f"{primary}: {detail}".split() if detail else primary.split())
