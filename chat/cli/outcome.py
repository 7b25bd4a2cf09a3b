"""How commands speak and end: data on stdout, words for people on stderr, one exit code for each kind of failure."""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

import typer

from chat.config import ConfigError, Problem

EXIT_OK: Final = 0
EXIT_ERROR: Final = 1
EXIT_USAGE: Final = 2
EXIT_CONFIG: Final = 3
EXIT_UNREACHABLE: Final = 4


class Failed(Exception):
    """A command that ends with a message of one or more lines, and `code`."""

    def __init__(self, message: str, code: int = EXIT_ERROR) -> None:
        super().__init__(message)
        self.code: Final = code


class Unreachable(Failed):
    """A server that the command needs does not answer."""

    def __init__(self, message: str) -> None:
        super().__init__(message, EXIT_UNREACHABLE)


@contextmanager
def reporting() -> Iterator[None]:
    """Turn what a command raises on purpose into lines on stderr and an exit code. Anything else is a traceback."""
    try:
        yield
    except ConfigError as error:
        _end([str(problem) for problem in error.problems], EXIT_CONFIG)
    except Failed as failed:
        _end(str(failed).splitlines(), failed.code)
    except BrokenPipeError:
        # Whoever read our output has seen enough (`| head`). Nothing more may be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(EXIT_OK) from None


def put(line: str) -> None:
    """A line of data."""
    typer.echo(line)


def put_json(value: object) -> None:
    """Data as one line of JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def say(line: str) -> None:
    """A line for people."""
    typer.echo(line, err=True)


def say_problems(problems: Iterable[Problem], mark: str) -> None:
    for problem in problems:
        say(f"{mark} {problem}")


def colored(text: str, color: str) -> str:
    """The text in a color where a person at a terminal reads stderr and did not ask for none (NO_COLOR)."""
    wanted = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    return typer.style(text, fg=color) if wanted else text


def _end(lines: Iterable[str], code: int) -> NoReturn:
    for line in lines:
        say(f"{colored('hubbub:', 'red')} {line}")
    raise typer.Exit(code)
