r"""Item 7: bytes as base64, as the two ways in which JavaScript writes a buffer, and as hex."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from restore.tests.support.cells import Refused, check

if TYPE_CHECKING:
    from restore.tests.support.target import Target

NO_BYTES = Refused()
ALL = bytes(range(256))


def test_every_way_to_write_bytes(target: Target) -> None:
    check(
        target,
        {
            "bytea": [
                ('"aGVsbG8="', r"\x68656c6c6f"),
                (json.dumps(base64.b64encode(ALL).decode()), rf"\x{ALL.hex()}"),
                (r'"aGk\/"', r"\x68693f"),  # a slash as some write it
                (r'"\u0061GVsbG8="', r"\x68656c6c6f"),
                ('""', r"\x"),
                ("null", None),
                (json.dumps({"type": "Buffer", "data": list(ALL)}), rf"\x{ALL.hex()}"),
                ('{"data": [0, 255], "type": "Buffer"}', r"\x00ff"),
                ('{"type":"Buffer","data":[]}', r"\x"),
                (json.dumps({str(n): byte for n, byte in enumerate(ALL)}), rf"\x{ALL.hex()}"),
                ('{"0": 72}', r"\x48"),
                ("[72, 0, 255]", r"\x4800ff"),
                (r'"\\x4800ff"', r"\x4800ff"),
                (r'"\\x4800FF"', r"\x4800ff"),
                (r'"\\x"', r"\x"),
                ('"aGVsbG8"', r"\x68656c6c6f"),  # without padding
                (r'"aGVs\nbG8=\n"', r"\x68656c6c6f"),  # as PostgreSQL's encode breaks lines
                ('"-_8="', r"\xfbff"),  # base64url
                ('"aGVsbG9"', NO_BYTES),  # its end is missing: bits are left over
                ('"a"', NO_BYTES),
                ('"not base64!"', NO_BYTES),
                (r'"\\x4"', NO_BYTES),
                (r'"\\xzz"', NO_BYTES),
                ('{"type":"Buffer","data":[256]}', NO_BYTES),
                ('{"type":"Buffer","data":[-1]}', NO_BYTES),
                ('{"type":"Buffer","data":[1.5]}', NO_BYTES),
                ('{"type":"Buffer"}', NO_BYTES),
                ('{"0": 1, "2": 3}', NO_BYTES),  # a byte is missing
                ('{"0": 300}', NO_BYTES),
                ('["a"]', NO_BYTES),
                ("12", NO_BYTES),
                ("true", NO_BYTES),
            ],
            "bytea NOT NULL": [('"aGk="', r"\x6869"), ("null", Refused(sqlstate="23502"))],
            "bytea[]": [
                ('["aGk=", null, ""]', r'{"\\x6869",NULL,"\\x"}'),
                (r'["\\x00ff"]', r'{"\\x00ff"}'),
                ('[{"type": "Buffer", "data": [1, 2]}]', r'{"\\x0102"}'),
                ("[]", "{}"),
                ('["?"]', NO_BYTES),
            ],
        },
    )
