"""Runs `hubbub` in this process, away from this machine's configuration."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from typer.testing import CliRunner

from chat.cli.main import app


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@contextmanager
def logs_restored() -> Iterator[None]:
    """A command sets up logging for its process, which is this one: afterwards it is as before."""
    handlers, level = logging.root.handlers[:], logging.root.level
    try:
        yield
    finally:
        structlog.reset_defaults()
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)


def hubbub(*arguments: str, env: Mapping[str, str] | None = None, stdin: str = "") -> Ran:
    """Run a command to its end. What it raises by a fault of its own is raised here."""
    with logs_restored():
        result = CliRunner().invoke(app, arguments, env=dict(env or {}), input=stdin, catch_exceptions=False)
    return Ran(result.exit_code, result.stdout, result.stderr)
