"""The app of the models, under the name that their tables begin with."""

from __future__ import annotations

from django.apps import AppConfig


class Blog(AppConfig):
    name = "django_project"
    label = "blog"
