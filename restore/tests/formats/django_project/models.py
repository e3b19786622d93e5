"""Models with every kind of field and relation that ends up in a dump."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.models import User
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField, IntegerRangeField
from django.db import models


class Country(models.Model):  # type: ignore[misc]
    """A key that is a text, and one that others refer to besides."""

    code = models.CharField(max_length=2, primary_key=True)
    number = models.IntegerField(unique=True)


class Tag(models.Model):  # type: ignore[misc]
    name = models.CharField(max_length=20, unique=True)


class Author(models.Model):  # type: ignore[misc]
    user = models.OneToOneField(User, models.CASCADE)
    uid = models.UUIDField(unique=True)
    mentor = models.ForeignKey("self", models.SET_NULL, null=True)
    home = models.ForeignKey(Country, models.CASCADE, null=True, db_column="lives_in")
    born_in = models.ForeignKey(Country, models.CASCADE, null=True, to_field="number")
    friends = models.ManyToManyField("self")
    follows = models.ManyToManyField("self", symmetrical=False, related_name="followers")


class Post(models.Model):  # type: ignore[misc]
    author = models.ForeignKey(Author, models.CASCADE)
    parent = models.ForeignKey("self", models.CASCADE, null=True)
    tags = models.ManyToManyField(Tag)
    title = models.CharField(max_length=200)
    price = models.DecimalField(max_digits=30, decimal_places=10, null=True)
    ratio = models.FloatField(null=True)
    took = models.DurationField(null=True)
    published = models.DateTimeField(null=True)
    day = models.DateField(null=True)
    at = models.TimeField(null=True)
    meta = models.JSONField(null=True)
    raw = models.BinaryField(null=True)
    big = models.BigIntegerField(null=True)
    ok = models.BooleanField(null=True)
    address = models.GenericIPAddressField(null=True)
    picture = models.FileField(null=True)
    words = ArrayField(models.CharField(max_length=20), null=True)
    numbers = ArrayField(ArrayField(models.IntegerField()), null=True)
    pages = IntegerRangeField(null=True)
    valid = DateTimeRangeField(null=True)


class Team(models.Model):  # type: ignore[misc]
    name = models.CharField(max_length=20)
    members = models.ManyToManyField(Author, through="Membership")


class Membership(models.Model):  # type: ignore[misc]
    team = models.ForeignKey(Team, models.CASCADE)
    author = models.ForeignKey(Author, models.CASCADE)
    since = models.DateField()


class Place(models.Model):  # type: ignore[misc]
    name = models.CharField(max_length=20)


class Restaurant(Place):
    serves_pizza = models.BooleanField()


class Bar(Restaurant):
    beers = models.IntegerField()


class Note(models.Model):  # type: ignore[misc]
    """A note on anything."""

    content_type = models.ForeignKey(ContentType, models.CASCADE)
    object_id = models.PositiveIntegerField()
    about = GenericForeignKey()
    text = models.TextField()


class Invoice(models.Model):  # type: ignore[misc]
    tags = models.ManyToManyField(Tag)

    class Meta:
        db_table = "billing"


class OrderLine(models.Model):  # type: ignore[misc]
    pk = models.CompositePrimaryKey("order", "line")
    order = models.IntegerField()
    line = models.IntegerField()
    text = models.TextField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["text"], name="line_text")]
