"""Backups in object stores and on servers, through fsspec, which the base install lacks."""
