"""Fills a database by Django, dumps it, and loads the dump into another by ``loaddata``.

Arguments: a folder for the dumps, and three databases: the first is filled, the second is loaded,
the third gets the schema alone.
"""

from __future__ import annotations

import datetime as dt
import sys
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from psycopg.conninfo import conninfo_to_dict

FOLDER = Path(sys.argv[1])
NAMES = ("default", "loaded", "restored")
APPS = ("auth", "contenttypes", "blog")


def database(dsn: str) -> dict[str, Any]:
    words = conninfo_to_dict(dsn)
    parts = {name.upper(): words.pop(name) for name in ("host", "port", "user") if name in words}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": words.pop("dbname"),
        "OPTIONS": words,
        **parts,
    }


def configure() -> None:
    sys.path.insert(0, str(Path(__file__).parents[4]))
    settings.configure(
        DATABASES=dict(zip(NAMES, map(database, sys.argv[2:]), strict=True)),
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.postgres",
            "restore.tests.formats.django_project.apps.Blog",
        ],
        MIGRATION_MODULES=dict.fromkeys(APPS),
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        USE_TZ=True,
        TIME_ZONE="Europe/Berlin",
    )
    django.setup()


def fill() -> None:
    from django.contrib.auth.models import Group, Permission, User

    from restore.tests.formats.django_project import models as m

    users = [User.objects.create_user(f"user{n}", f"u{n}@example.org", "x") for n in range(3)]
    groups = [Group.objects.create(name=name) for name in ("eds", "all")]
    groups[0].permissions.set(Permission.objects.all()[:2])
    users[0].groups.add(*groups)
    users[1].user_permissions.set(Permission.objects.all()[:3])
    home = m.Country.objects.create(code="at", number=40)
    authors = [
        m.Author.objects.create(
            user=user, uid=uuid.UUID(int=n), home=home if n else None, born_in=home
        )
        for n, user in enumerate(users)
    ]
    authors[0].mentor = authors[2]
    authors[0].save()
    authors[0].friends.set(authors[1:])
    authors[1].follows.set([authors[2], authors[1]])
    tags = [m.Tag.objects.create(name=name) for name in ("red", 'a "b"\n\\ ☃', "")]
    post = m.Post.objects.create(
        author=authors[0],
        title='x\ny "q" \\ 😀',
        price=Decimal("12345678901234567890.1234567891"),
        ratio=0.1,
        took=dt.timedelta(days=-3, hours=5, microseconds=7),
        published=dt.datetime(2024, 1, 31, 12, 34, 56, 789_000, dt.UTC),
        day=dt.date(1, 2, 3),
        at=dt.time(23, 59, 59, 120_000),
        meta=[1, {"b": None, "c": [1.5, "d"]}],
        raw=b"\0\xffabc",
        big=-(2**63),
        ok=False,
        address="2001:db8::1",
        picture="a/b.png",
        words=["a,b", 'c"d', "", "{NULL}"],
        numbers=[[1, 2], [3, 4]],
        pages=(1, 5),
        valid=(dt.datetime(2024, 1, 1, tzinfo=dt.UTC), None),
    )
    post.tags.set(tags)
    other = m.Post.objects.create(
        author=authors[1], parent=post, title="", meta={}, words=[], pages="empty", numbers=None
    )
    other.tags.set(tags[1:2])
    m.Post.objects.create(author=authors[1], title="nothing", meta="a text")
    team = m.Team.objects.create(name="one")
    m.Membership.objects.create(team=team, author=authors[1], since=dt.date(2020, 2, 29))
    m.Place.objects.create(name="a place")
    m.Restaurant.objects.create(name="r", serves_pizza=True)
    m.Bar.objects.create(name="b", serves_pizza=False, beers=3)
    m.Note.objects.create(about=post, text="a note")
    m.Invoice.objects.create().tags.set(tags[:2])
    m.OrderLine.objects.create(order=1, line=2, text="x")


def main() -> None:
    configure()
    for name in NAMES:
        call_command("migrate", run_syncdb=True, database=name, verbosity=0)
    fill()
    for name in NAMES[1:]:
        call_command("flush", database=name, interactive=False, verbosity=0)
        with connections[name].cursor() as cursor:
            cursor.execute("TRUNCATE auth_permission, django_content_type CASCADE")
    for ending, options in (("json", {"indent": 2}), ("jsonl", {"format": "jsonl"})):
        call_command("dumpdata", output=str(FOLDER / f"dump.{ending}"), verbosity=0, **options)
    for kind in ("primary", "foreign"):
        natural = {f"use_natural_{kind}_keys": True, "output": str(FOLDER / f"{kind}.json")}
        call_command("dumpdata", verbosity=0, **natural)
    call_command("loaddata", str(FOLDER / "dump.json"), database="loaded", verbosity=0)


main()
