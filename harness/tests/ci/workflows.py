"""Runs the jobs of a workflow as GitHub does: steps in order, each in its own shell.

The actions that are used (checkout, artifacts, pages) are done by hand, as far as the steps see it.
nox runs the real sessions, in the Python that runs the tests instead of environments of its own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

CHECKOUT = Path(__file__).parents[3]
WORKFLOWS = CHECKOUT / ".github" / "workflows"
INSTALL = re.compile(r"python -m pip install (--constraint constraints\.txt )?nox")
TOKEN = "token-of-the-workflow"


def load(name: str) -> dict[str, Any]:
    """Read a workflow; YAML takes its key ``on`` for a boolean."""
    found: dict[Any, Any] = yaml.safe_load((WORKFLOWS / f"{name}.yml").read_text(encoding="utf-8"))
    return {"on" if key is True else key: value for key, value in found.items()}


def git(*words: str | Path, cwd: Path | None = None) -> str:
    """Run git, and return what it prints."""
    identity = ("-c", "user.name=t", "-c", "user.email=t@localhost")
    command = ["git", *identity, "-c", "protocol.file.allow=always", *words]
    made = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True)
    return made.stdout.strip()


@dataclass
class Machine:
    """What a job finds: a remote repository, the artifacts so far, and where it may work."""

    remote: Path
    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def artifacts(self) -> Path:
        """Return the folder of artifacts, one folder each."""
        return self.folder / "artifacts"

    def make_nox(self) -> Path:
        """Write a ``nox`` that uses this Python for all sessions, and return its folder."""
        path = self.folder / "bin" / "nox"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nox --no-venv --no-install "$@"\n')
        path.chmod(0o755)
        return path.parent


@dataclass
class Job:
    """A job of a workflow on a fresh machine."""

    workflow: str
    name: str
    machine: Machine
    ref: str
    output: str = ""
    is_ok: bool = True

    def run(self, **env: str) -> Job:
        """Run its steps; after one that failed, only those that ask for it."""
        workflow = load(self.workflow)
        job = workflow["jobs"][self.name]
        number = len(list(self.machine.folder.iterdir()))
        folder = self.machine.folder / f"{self.workflow}-{self.name}-{number}"
        for step in job["steps"]:
            if not self.is_ok and "!cancelled()" not in str(step.get("if", "")):
                continue
            if "uses" in step:
                self._use(step, folder)
            elif not INSTALL.fullmatch(step["run"]):
                own = {**workflow.get("env", {}), **job.get("env", {}), **step.get("env", {})}
                values = {
                    key: value.replace("${{ github.token }}", TOKEN) for key, value in own.items()
                }
                assert not [value for value in values.values() if "${{" in value]
                self._shell(step["run"], folder, {**values, **env})
        return self

    def _shell(self, command: str, folder: Path, env: dict[str, str]) -> None:
        summary = self.machine.folder / "summary.md"
        path = os.pathsep.join(
            [str(self.machine.make_nox()), str(Path(sys.executable).parent), os.environ["PATH"]]
        )
        made = subprocess.run(
            ["bash", "-e", "-c", command],
            cwd=folder,
            env={
                **{key: value for key, value in os.environ.items() if not key.startswith("GIT")},
                "PATH": path,
                "GITHUB_STEP_SUMMARY": str(summary),
                "GITHUB_SERVER_URL": "https://github.example",
                **self.machine.env,
                **env,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.output += f"$ {command}\n{made.stdout}"
        self.is_ok = self.is_ok and made.returncode == 0

    def _use(self, step: dict[str, Any], folder: Path) -> None:
        """Do what an action does to the files of the job."""
        action, given = step["uses"].split("@")[0], step.get("with", {})
        artifacts = self.machine.artifacts
        match action.removeprefix("actions/"):
            case "checkout":
                depth = f"--depth={given.get('fetch-depth', 1)}"
                git(
                    "clone",
                    "--quiet",
                    depth,
                    "--branch",
                    self.ref,
                    self.machine.remote.as_uri(),
                    folder,
                )
                git("checkout", "--quiet", "--detach", cwd=folder)
            case "upload-artifact":
                for path in folder.glob(given["path"]):
                    (artifacts / given["name"]).mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, artifacts / given["name"])
            case "download-artifact":
                (folder / given["path"]).mkdir(parents=True, exist_ok=True)
                for path in artifacts.glob(f"{given['pattern']}/*"):
                    shutil.copy(path, folder / given["path"])
            case "upload-pages-artifact":
                shutil.copytree(folder / given["path"], self.machine.folder / "pages")
            case "setup-python" | "deploy-pages":
                pass
            case _:
                raise AssertionError(f"{action} is not known here")


def sessions() -> set[str]:
    """Return the names of the sessions of the noxfile."""
    text = (CHECKOUT / "noxfile.py").read_text(encoding="utf-8")
    named = re.findall(r'^@nox\.session\([^)]*?name="([^"]+)"', text, re.MULTILINE)
    return {*named, *re.findall(r"^def (\w+)\(session: nox\.Session\)", text, re.MULTILINE)}
