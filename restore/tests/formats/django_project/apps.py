"""The app of the models, under the name that their tables begin with."""

from __future__ import annotations

from django.apps import AppConfig


class Blog(AppConfig):  # type: ignore[misc] # Django ships no types
    name = "restore.tests.formats.django_project"
    label = "blog"
