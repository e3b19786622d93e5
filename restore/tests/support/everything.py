"""A table with a column of each type, and values for them as PostgreSQL writes and reads them.

``ANY`` are strategies for the text of any value that the type holds; ``EDGES`` are values that go
wrong first. ``COMMON`` narrows a type to what Python's and JavaScript's drivers can hold too.
"""

from __future__ import annotations

import json
import string
from typing import Any

from hypothesis import strategies as st

TYPES = """
    CREATE TYPE mood_of_all AS ENUM ('calm', 'Wild', 'a,b', 'say "x"', 'back\\slash', '');
    CREATE DOMAIN even AS int CHECK (VALUE % 2 = 0);
    CREATE TYPE pair AS (n int, "T" text)
"""

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12) | st.text(
    "\"\\'{}[]:,\n\t NULL", max_size=10
)


def quoted(text: str) -> str:
    """Return a member of an array or of a composite in its literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def array(member: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    members = st.lists(member.map(quoted) | st.just("NULL"), max_size=4)
    return members.map(lambda texts: f"{{{','.join(texts)}}}")


def matrix(member: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Arrays of two dimensions."""
    return st.tuples(st.integers(1, 3), st.integers(1, 3)).flatmap(
        lambda size: st.lists(
            st.lists(member, min_size=size[1], max_size=size[1]).map(
                lambda row: f"{{{','.join(row)}}}"
            ),
            min_size=size[0],
            max_size=size[0],
        ).map(lambda rows: f"{{{','.join(rows)}}}")
    )


def integers(bits: int) -> st.SearchStrategy[str]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1).map(str)


def decimals(digits: int, places: int) -> st.SearchStrategy[str]:
    whole = 10 ** (digits - places) - 1
    return st.decimals(-whole, whole, allow_nan=False, places=places).map(lambda d: f"{d:f}")


DATES = st.dates().map(str)
TIMES = st.times().map(str)
INSTANTS = st.datetimes().map(lambda value: f"{value.isoformat(' ')}+00")
LOCAL = st.datetimes().map(lambda value: value.isoformat(" "))
MILLISECONDS = st.datetimes().map(lambda value: value.isoformat(" ", "milliseconds"))
SHORT_INTERVALS = st.integers(0, 86_399_999_999).map(lambda us: f"{us} microseconds")
INTERVALS = st.tuples(*[st.integers(-2_000, 2_000)] * 2, st.integers(-(10**14), 10**14)).map(
    lambda parts: f"{parts[0]} months {parts[1]} days {parts[2]} microseconds"
)
DOUBLES = st.floats(allow_nan=False, allow_infinity=False).map(repr)
SINGLES = st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr)

SCALARS: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value + 0.0)
    | TEXT
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
).filter(lambda value: value is not None)  # null alone is SQL's NULL
JSON = DOCUMENTS.map(lambda value: json.dumps(value, ensure_ascii=False))
OBJECTS = st.dictionaries(TEXT, SCALARS, max_size=3).map(json.dumps)

ADDRESSES = st.ip_addresses().map(str)
NETWORKS = st.ip_addresses(v=4).map(lambda address: f"{address}/32")
HEX = st.binary(max_size=20).map(lambda data: f"\\x{data.hex()}")
UUIDS = st.uuids().map(str)
BITS = st.text("01", min_size=8, max_size=8)
WORDS = st.lists(st.text(string.ascii_lowercase + "'\\ ", min_size=1, max_size=4), max_size=3)


def vector(words: list[str]) -> str:
    escaped = [word.replace("\\", "\\\\").replace("'", "''") for word in words]
    return " ".join(f"'{word}':{n}" for n, word in enumerate(escaped, 1))


def bounds(value: st.SearchStrategy[str], key: Any = str) -> st.SearchStrategy[str]:
    """Ranges between two values of which the lower one stands first."""
    pairs = st.tuples(value, value).map(lambda pair: sorted(pair, key=key))
    ends = st.tuples(st.sampled_from("[("), st.sampled_from("])"))
    return st.builds(
        lambda pair, end: f'{end[0]}"{pair[0]}","{pair[1]}"{end[1]}', pairs, ends
    ) | st.sampled_from(["empty", "(,)"])


INT_RANGES = bounds(st.integers(-1000, 1000).map(str), int)

ANY: dict[str, st.SearchStrategy[str]] = {
    "smallint": integers(16),
    "int": integers(32),
    "bigint": integers(64),
    "numeric": decimals(40, 15) | st.integers().map(str),
    "numeric(20,6)": decimals(20, 6),
    "real": SINGLES,
    "double precision": DOUBLES,
    "boolean": st.sampled_from(["true", "false"]),
    "text": TEXT,
    "varchar(40)": TEXT,
    "char(5)": st.text(string.ascii_letters + 'é\\"', max_size=5),
    "bytea": HEX,
    "uuid": UUIDS,
    "date": DATES,
    "time": TIMES,
    "time(3)": st.times().map(lambda value: value.isoformat("milliseconds")),
    "timetz": st.builds(
        lambda value, hours: f"{value.isoformat()}{hours:+03d}", st.times(), st.integers(-12, 12)
    ),
    "timestamp": LOCAL,
    "timestamp(3)": MILLISECONDS,
    "timestamptz": INSTANTS,
    "interval": INTERVALS,
    "json": JSON,
    "jsonb": JSON,
    "inet": ADDRESSES,
    "cidr": NETWORKS,
    "macaddr": st.binary(min_size=6, max_size=6).map(lambda data: data.hex(":")),
    "mood_of_all": st.sampled_from(["calm", "Wild", "a,b", 'say "x"', "back\\slash", ""]),
    "even": st.integers(-(2**30), 2**30 - 1).map(lambda number: str(2 * number)),
    "int[]": array(integers(32)),
    "text[]": array(TEXT),
    "timestamptz[]": array(INSTANTS),
    "numeric[]": array(decimals(30, 10)),
    "uuid[]": array(UUIDS),
    "jsonb[]": array(OBJECTS),
    "int[][]": matrix(integers(32) | st.just("NULL")),
    "int4range": INT_RANGES,
    "tstzrange": bounds(INSTANTS),
    "daterange": bounds(DATES),
    "int4multirange": st.lists(INT_RANGES, max_size=3).map(lambda r: f"{{{','.join(r)}}}"),
    "bit(8)": BITS,
    "varbit": st.text("01", max_size=20),
    "tsvector": WORDS.map(vector),
    "point": st.tuples(DOUBLES, DOUBLES).map(lambda pair: f"({pair[0]},{pair[1]})"),
    "money": decimals(15, 2),
    "pair": st.builds(lambda n, text: f"({n},{quoted(text)})", integers(32) | st.just(""), TEXT),
}
OPTIONAL: dict[str, st.SearchStrategy[str]] = {
    "citext": TEXT,
    "hstore": st.dictionaries(TEXT, TEXT | st.none(), max_size=3).map(
        lambda pairs: ",".join(
            f"{quoted(key)}=>{'NULL' if value is None else quoted(value)}"
            for key, value in pairs.items()
        )
    ),
    "xml": st.text(string.ascii_letters + "é ", max_size=8).map(
        lambda text: f'<a b="\\&quot;">{text}</a>'
    ),
}

# What the drivers of Python and of JavaScript can hold, and their usual JSON keeps.
_SAFE_JSON = OBJECTS
COMMON: dict[str, st.SearchStrategy[str]] = {
    "interval": SHORT_INTERVALS,
    "json": _SAFE_JSON,
    "jsonb": _SAFE_JSON,
}
JAVASCRIPT = COMMON | {
    # JSON.stringify writes -0 as 0.
    "real": st.floats(width=32, allow_nan=False, allow_infinity=False).map(lambda x: repr(x + 0.0)),
    "double precision": DOUBLES.map(lambda text: repr(float(text) + 0.0)),
    "point": st.tuples(*[st.integers(-(10**6), 10**6)] * 2).map(lambda p: f"({p[0]},{p[1] / 8})"),
    "timestamp": MILLISECONDS,
    "timestamptz": MILLISECONDS.map(lambda text: f"{text}+00"),
    "timestamptz[]": array(MILLISECONDS.map(lambda text: f"{text}+00")),
}

_DEEP = '{"a": ' * 80 + "[]" + "}" * 80
_HUGE = "1" + "0" * 400
_TEXTS = [
    "",
    " ",
    "\\",
    '"',
    "'",
    "\\N",
    "\\.",
    "NULL",
    "null",
    "{}",
    "\U0001f600",
    "\u2028",
    "\x7f",
    "a\tb\r\n",
]
EDGES: dict[str, list[str]] = {
    "smallint": ["32767", "-32768", "0"],
    "int": ["2147483647", "-2147483648"],
    "bigint": [str(2**63 - 1), str(-(2**63)), str(2**53 + 1)],
    "numeric": [
        *("123456789012345678901234567890.123456789012345678901234567890", "1.50", "0.00", _HUGE),
        *("NaN", "Infinity", "-Infinity", "1e-30", "-0.1"),
    ],
    "numeric(20,6)": ["99999999999999.999999", "NaN", "0.000001"],
    "real": ["NaN", "Infinity", "-Infinity", "-0", "1e-45", "3.4028235e38", "0.1"],
    "double precision": ["NaN", "Infinity", "-Infinity", "-0", "5e-324", "1.7976931348623157e308"],
    "text": _TEXTS,
    "varchar(40)": [*_TEXTS, "x" * 40, "\U0001f600" * 40],
    "bytea": ["\\x", "\\x00", "\\x" + bytes(range(256)).hex()],
    "date": ["0001-01-01", "9999-12-31", "0044-03-15 BC", "infinity", "-infinity", "5874897-12-31"],
    "time": ["00:00:00", "24:00:00", "23:59:59.999999"],
    "timetz": ["24:00:00-15:59", "00:00:00+15:59"],
    "timestamp": [
        *("0001-01-01 00:00:00", "9999-12-31 23:59:59.999999", "infinity", "-infinity"),
        *("4713-01-01 00:00:00 BC", "294276-12-31 23:59:59.999999"),
    ],
    "timestamptz": [
        *("0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00", "infinity", "-infinity"),
        *("4713-01-02 00:00:00+00 BC", "294276-12-30 00:00:00+00"),
    ],
    "interval": ["178000000 years", "-1 mon 1 day -00:00:00.000001", "0"],
    "json": ['{"a" :1.0,"a":[ ]}', "1e400", '"\\u0000"', '"\\u00e9"', "[null]", '""', _DEEP],
    "jsonb": ["1.0", "1e400", '{"a": null}', "[null]", '"{\\"a\\": 1}"', '"null"', _DEEP, "false"],
    "inet": ["10.0.0.1/8", "::1", "::ffff:1.2.3.4/96"],
    "cidr": ["10.0.0.0/8", "::/0"],
    "text[]": ["{}", '{NULL,"NULL","","a,b","\\\\","\\"","{}"}', "{{a,b},{c,NULL}}"],
    "timestamptz[]": ['{infinity,NULL,"0044-03-15 12:00:00+00 BC"}'],
    "numeric[]": ["{NaN,1.50,NULL}"],
    "int4range": ["empty", "(,)", "[1,)", "(,1]"],
    "tstzrange": ['["0044-03-15 12:00:00+00 BC",infinity]'],
    "int4multirange": ["{}", "{[1,3),[5,)}"],
    "money": ["92233720368547758.07", "-92233720368547758.08"],
    "pair": ["(,)", '(,"")', '(1,"a,""b""\\\\ ()")'],
}
# Not in the reach of datetime, of floats, or of JSON as these languages write it.
BEYOND_PYTHON = {
    "date": {"0044-03-15 BC", "infinity", "-infinity", "5874897-12-31"},
    "time": {"24:00:00"},
    "timetz": {"24:00:00-15:59"},
    "timestamp": {
        *("infinity", "-infinity", "4713-01-01 00:00:00 BC", "294276-12-31 23:59:59.999999"),
    },
    "timestamptz": {
        *("infinity", "-infinity", "4713-01-02 00:00:00+00 BC", "294276-12-30 00:00:00+00"),
    },
    "interval": {"178000000 years", "-1 mon 1 day -00:00:00.000001"},
    "json": {'{"a" :1.0,"a":[ ]}', "1e400", '"\\u0000"'},
    "jsonb": {"1e400"},
    "timestamptz[]": {'{infinity,NULL,"0044-03-15 12:00:00+00 BC"}'},
    "tstzrange": {'["0044-03-15 12:00:00+00 BC",infinity]'},
    "numeric[]": {"{NaN,1.50,NULL}"},  # bare tokens stand for no member of an array
}
BEYOND_JAVASCRIPT = {
    **BEYOND_PYTHON,
    "timestamp": BEYOND_PYTHON["timestamp"] | {"9999-12-31 23:59:59.999999"},
    "timestamptz": BEYOND_PYTHON["timestamptz"] | {"9999-12-31 23:59:59.999999+00"},
    "real": {"NaN", "Infinity", "-Infinity", "-0"},
    "double precision": {"NaN", "Infinity", "-Infinity", "-0"},
    "jsonb": {"1e400", "1.0"},
}
