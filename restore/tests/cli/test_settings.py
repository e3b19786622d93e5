"""What the command line, the environment and TOML files come to together."""

from __future__ import annotations

import dataclasses
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from restore.cli.arguments import parse
from restore.cli.option_table import GROUPS, OPTIONS, RESTORE, Option
from restore.cli.settings import LIBPQ, Settings, resolve
from restore.errors import RestoreError, UsageError
from restore.options import MaxRejects, Options
from restore.target import dsn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CHECKOUT = Path(__file__).parents[3]
DSN = "postgresql://me@localhost/shop"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settled(
    *words: str, environment: Mapping[str, str] | None = None, toml: str | None = None
) -> Settings:
    if toml is not None:
        Path("restore.toml").write_text(f"[tool.restore]\n{toml}", encoding="utf-8")
    return resolve(parse(["backup", *words]), environment or {})


def options(*words: str, **rest: Any) -> Options:
    return settled("--dsn", DSN, *words, **rest).options


def test_defaults_are_those_of_the_library() -> None:
    assert options() == Options(backup=Path("backup"), dsn=DSN)


def test_every_option_on_the_command_line() -> None:
    words = shlex.split(
        "--rejects out --schema s --tables a,b --tables c --exclude d --map u.json=public.users"
        " --map x=y --append --on-conflict skip --dry-run --unknown-fields error --max-rejects 2.5%"
        " --on-error stop --triggers --timezone Europe/Berlin --batch-size 500 --chunk-bytes 4096"
        " --lock-timeout 1.5 --jobs 3"
    )
    assert options(*words) == Options(
        backup=Path("backup"),
        dsn=DSN,
        rejects=Path("out"),
        schema="s",
        tables=frozenset("abc"),
        exclude=frozenset("d"),
        map={"u.json": "public.users", "x": "y"},
        append=True,
        on_conflict="skip",
        dry_run=True,
        unknown_fields="error",
        max_rejects=MaxRejects(percent=2.5),
        on_error="stop",
        triggers=True,
        timezone="Europe/Berlin",
        batch_size=500,
        chunk_bytes=4096,
        lock_timeout_s=1.5,
        jobs=3,
    )


TOML = """
clean = true
cascade = true
batch-size = 7
max_rejects = 3
lock_timeout = 2
tables = ["a,b", "c"]
exclude = "x, y"
rejects = "kept"
progress = "plain"
dsn = "postgresql://toml@h/d"
[tool.restore.map]
"u.json" = "users"
"""


def test_every_form_of_value_in_toml() -> None:
    settings = settled(toml=TOML)
    assert settings.progress == "plain"
    assert settings.options == Options(
        backup=Path("backup"),
        dsn="postgresql://toml@h/d",
        clean=True,
        cascade=True,
        batch_size=7,
        max_rejects=MaxRejects(count=3),
        lock_timeout_s=2,
        tables=frozenset(["a,b", "c"]),
        exclude=frozenset("xy"),
        rejects=Path("kept"),
        map={"u.json": "users"},
    )


def test_command_line_goes_before_environment_before_toml() -> None:
    environment = {"RESTORE_BATCH_SIZE": "8", "RESTORE_DSN": "host=env", "RESTORE_TIMEZONE": ""}
    settings = settled(toml=TOML, environment=environment)
    assert (settings.options.batch_size, settings.options.dsn) == (8, "host=env")
    words = ("--batch-size", "auto", "--dsn", "host=line", "--no-clean", "--no-cascade")
    settings = settled(*words, toml=TOML, environment=environment)
    assert (settings.options.batch_size, settings.options.dsn) == (None, "host=line")
    assert not settings.options.clean


def test_the_variables_that_say_where_to_go_in_order() -> None:
    both = {"RESTORE_DSN": "host=ours", "DATABASE_URL": "host=theirs"}
    assert settled(environment=both).options.dsn == "host=ours"
    assert settled(environment=both | {"RESTORE_DSN": ""}).options.dsn == "host=theirs"
    assert settled("--dsn", "", environment=both).options.dsn == ""
    assert settled("--dsn", "service=shop").options.dsn == "service=shop"
    assert settled(environment={"PGSERVICE": "shop"}).options.dsn == ""
    with pytest.raises(UsageError, match="no target database: give --dsn"):
        settled(environment={"PGPASSWORD": "x"})


def test_environment_sets_flags_names_and_maps() -> None:
    environment = {"RESTORE_APPEND": "yes", "RESTORE_MAP": "a=b,c=d", "RESTORE_TABLES": "t,u"}
    told = options(environment=environment)
    assert told.append
    assert told.map == {"a": "b", "c": "d"}
    assert told.tables == {"t", "u"}


def test_a_named_file_goes_before_those_that_are_found(folder: Path) -> None:
    other = folder / "conf" / "other.toml"
    other.parent.mkdir()
    other.write_text('tool.restore = {batch-size = 9, rejects = "kept"}')
    told = options("--config", str(other), toml="batch-size = 7")
    assert told.batch_size == 9
    assert told.rejects == other.parent / "kept"
    assert options(environment={"RESTORE_CONFIG": str(other)}).batch_size == 9


def test_pyproject_is_read_too(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[tool.restore]\njobs = 1\nclean = true\n")
    assert options().clean
    (folder / "pyproject.toml").write_text("[tool.ruff]\n")
    assert not options().clean


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("clean = 'yes'", "clean in restore.toml takes true or false, not 'yes'"),
        ("batch-size = 1.5", "batch-size in restore.toml takes a number of records, or auto"),
        ("batch-size = true", "batch-size in restore.toml takes a number of records, or auto"),
        ("tables = [1]", "tables in restore.toml takes names"),
        ("map = 'a=b'", "map in restore.toml takes names of files and their tables"),
        ("map = {a = 1}", "map in restore.toml takes names of files and their tables"),
        ("on-conflict = 'no'", "on-conflict in restore.toml takes reject, skip or replace"),
        ("dsn = 5", "dsn in restore.toml takes a connection string, not that"),
        ("dsn = 'me:s3cret@h'", "dsn in restore.toml is not a connection string"),
        ("lock_timeout = '5'", "lock_timeout in restore.toml takes a number of seconds"),
        ("max-rejects = '5x'", "max-rejects in restore.toml takes a count"),
        ("progres = 'bar'", "restore.toml: there is no setting 'progres'; did you mean progress?"),
        ("backup = 'x'", "restore.toml: there is no setting 'backup'"),
        ("chunk-bytes = 1", r"--chunk-bytes 1 .* \(it says chunk-bytes in restore.toml\)"),
        ("clean = ", "restore.toml is not valid TOML"),
    ],
)
def test_a_wrong_value_in_toml_is_named(toml: str, message: str) -> None:
    with pytest.raises(RestoreError, match=message) as raised:
        options(toml=toml) if "dsn" not in toml else settled(toml=toml)
    assert raised.value.exit_code == 2
    assert "\n" not in str(raised.value)
    assert "s3cret" not in str(raised.value)


def test_files_that_do_not_serve(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read gone\.toml: No such file"):
        options("--config", "gone.toml")
    (folder / "pyproject.toml").write_text("[tool.restore]\n")
    with pytest.raises(UsageError, match=r"both restore\.toml and pyproject\.toml"):
        options(toml="")
    (folder / "empty.toml").write_text("")
    with pytest.raises(UsageError, match=r"empty\.toml has no table \[tool\.restore\]"):
        options("--config", "empty.toml")
    (folder / "odd.toml").write_text("tool.restore = 1")
    with pytest.raises(UsageError, match=r"odd\.toml: tool\.restore is not a table"):
        options("--config", "odd.toml")


def test_a_retry_appends_and_takes_no_more_than_it_can_use() -> None:
    Path("restore.toml").write_text("[tool.restore]\nclean = true\ntriggers = true\n")
    arguments = parse(["retry", "rejects/x", "--dsn", DSN, "--on-conflict", "skip"])
    assert (arguments.task, arguments.path) == ("retry", Path("rejects/x"))
    told = resolve(arguments, {}).options
    assert (told.append, told.clean, told.triggers, told.on_conflict) == (True, False, True, "skip")
    with pytest.raises(UsageError, match="there is no option --clean"):
        parse(["retry", "rejects/x", "--clean"])
    assert parse(["./retry"]).task == "restore"


@pytest.mark.parametrize(
    ("given", "used", "schema"),
    [
        ("postgresql://u@h/d?schema=app&connection_limit=5", "postgresql://u@h/d", "app"),
        ("postgresql://u@h/d?sslmode=disable", "postgresql://u@h/d?sslmode=disable", None),
        ("postgresql+psycopg://u@h/d", "postgresql://u@h/d", None),
        (
            "postgres://u@h/d?pgbouncer=true&schema=app&pool_timeout=5",
            "postgres://u@h/d",
            "app",
        ),
        ("postgresql://u@h/d?pgbouncer=false", "postgresql://u@h/d", None),
        ("jdbc:postgresql://h/d?user=u&currentSchema=app", "postgresql://h/d?user=u", "app"),
        ("postgresql+asyncpg://u@h/d?supa=x&port=5", "postgresql://u@h/d?port=5", None),
        ("host=h dbname='a b'", "host=h dbname='a b'", None),
    ],
)
def test_urls_as_others_write_them(given: str, used: str, schema: str | None) -> None:
    told = settled("--dsn", given).options
    assert (dsn.to_libpq(told.dsn), told.schema) == (used, schema)
    assert settled("--dsn", given, "--schema", "mine").options.schema == "mine"


@pytest.mark.parametrize(
    ("given", "mode"),
    [
        ("postgresql://h/d?ssl=true", "require"),
        ("postgresql://h/d?ssl=1&sslmode=prefer", "require"),
        ("postgresql://h/d?ssl=verify-full", "verify-full"),
        ("postgresql://h/d?ssl=true&sslmode=verify-ca", "verify-ca"),
        ("postgresql://h/d?sslmode=no-verify&uselibpqcompat=true", "require"),
        ("postgres+ssl://h/d", "require"),
        ("postgresql://h/d?sslmode=prefer&sslaccept=strict", "verify-full"),
        ("postgresql://h/d?sslmode=require&sslaccept=accept_invalid_certs", "require"),
        ("postgresql://h/d?ssl=false", None),
    ],
)
def test_what_a_url_asks_of_tls_is_never_weakened(given: str, mode: str | None) -> None:
    assert conninfo_to_dict(dsn.to_libpq(dsn.check_dsn(given))).get("sslmode") == mode


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("sslmod=verify-full", "the parameter sslmod, .*did you mean sslmode"),
        ("SSLMODE=require", "the parameter SSLMODE, .*did you mean sslmode"),
        ("sslfactory=x", "the parameter sslfactory, .*leave it out"),
        ("hostname=x", "the parameter hostname"),
        ("s3%20cret=x", "not a connection string"),
    ],
)
def test_a_parameter_that_may_steer_is_not_left_out(query: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        settled("--dsn", f"postgresql://u@h/d?{query}")


def test_what_may_be_the_rest_of_a_password_is_not_shown() -> None:
    with pytest.raises(UsageError, match="not a connection string") as caught:
        settled("--dsn", "postgresql://u:12?s3cret=x@h/d")
    assert "s3cret" not in str(caught.value)


def test_what_is_left_out_of_a_url_is_named_once() -> None:
    query = "connection_limit=5&supa=base-pooler.x&supa=y&schema=app&connectTimeout=3"
    assert dsn.dsn_warnings(f"postgresql://u@h/d?{query}") == [
        "left out of the URL, as libpq does not know it: connection_limit, supa, connectTimeout"
    ]
    assert dsn.dsn_warnings("postgresql://u@h/d?schema=app&sslmode=require") == []
    assert dsn.dsn_warnings("service=shop") == []


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("postgresql://me:s3cret@h:5/d?sslmode=disable", "postgresql://me@h:5/d?sslmode=disable"),
        ("postgresql://me@h/d", "postgresql://me@h/d"),
        ("service=shop", "service=shop"),
        ("", ""),
        ("postgresql://me@h/d?password=s3cret", "postgresql://me@h/d"),
        (
            "postgresql://me:s3cret@h/d?pgbouncer=true&schema=a",
            "postgresql://me@h/d?pgbouncer=true&schema=a",
        ),
        (
            "postgresql+psycopg://me@h/d?password=s3cret&pgbouncer=true",
            "postgresql+psycopg://me@h/d?pgbouncer=true",
        ),
        ("host=h password='s3cret rest' user=me", "user=me host=h"),
    ],
)
def test_a_connection_string_without_its_password(given: str, shown: str) -> None:
    assert dsn.mask_password(given) == shown


def reference_table(options: Iterable[Option]) -> str:
    """Write options as docs/restore.md has them."""
    lines = ["| option | meaning | default |", "|---|---|---|"]
    for option in options:
        typed = " ".join(filter(None, [option.flag, option.metavar.replace("|", r"\|")]))
        meaning = re.sub(r"--[a-z][a-z-]+|\$[A-Z_]+", r"`\g<0>`", option.help)
        default = re.sub(r"--[a-z][a-z-]+|\$[A-Z_]+", r"`\g<0>`", option.default or "off")
        lines.append(f"| `{typed}` | {meaning} | {default} |")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("title", GROUPS)
def test_the_reference_has_the_table_of_options(title: str) -> None:
    reference = (CHECKOUT / "docs" / "restore.md").read_text(encoding="utf-8")
    options = [option for option in GROUPS[title] if option.name != "empty"]
    assert reference_table(options) in reference
    assert reference_table([OPTIONS["empty"]]) in reference


def test_the_reference_says_which_options_retry_and_repair_take() -> None:
    reference = (CHECKOUT / "docs" / "restore.md").read_text(encoding="utf-8")
    sentence = reference.partition("`retry` takes all of these but ")[2].partition(":")[0]
    only_restore = {
        o.flag for o in OPTIONS.values() if o.commands & {"restore", "retry"} == RESTORE
    }
    assert set(re.findall("--[a-z-]+", sentence)) == only_restore | {"--report-schema"}
    sentence = reference.partition("`repair` takes ")[2].partition(",\nand an option")[0]
    of_repair = {o.flag for o in OPTIONS.values() if "repair" in o.commands} - {"--empty"}
    assert set(re.findall("--[a-z-]+", sentence)) == of_repair
    sentence = reference.partition("`infer` takes ")[2].partition(".\n")[0]
    of_infer = {o.flag for o in OPTIONS.values() if "infer" in o.commands}
    assert set(re.findall("--[a-z-]+", sentence)) == of_infer


def test_the_reference_names_every_variable() -> None:
    reference = (CHECKOUT / "docs" / "restore.md").read_text(encoding="utf-8")
    assert [name for name in LIBPQ if name not in reference] == []


def test_every_option_of_the_library_can_be_given() -> None:
    fields = {field.name for field in dataclasses.fields(Options)}
    passed_on = {option.field for option in OPTIONS.values() if not option.is_for_command}
    assert fields - {"backup"} == passed_on


def test_which_options_are_at_fault_is_no_matter_of_text() -> None:
    """A value may look like an option."""
    with pytest.raises(RestoreError) as caught:
        options("--timezone=--clean", environment={"RESTORE_CLEAN": "yes"})
    assert "(it says" not in str(caught.value)
    assert caught.value.options == ("timezone",)
