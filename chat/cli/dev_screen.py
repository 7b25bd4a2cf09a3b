"""What `hubbub dev` says: steps and links for people, or one JSON line for programs."""

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console
from rich.markup import escape

from storage.local.restarts import Event


@dataclass(frozen=True, slots=True)
class Ready:
    """All that one can open or connect to. `phones` is empty without demo phones. `tokens` by demo user; `pids` of the
    hub, the worker and the servers.
    """

    http: str
    websocket: str
    admin: str
    play: str
    phones: str
    docs: str
    api_key: str
    tokens: Mapping[str, str]
    mongodb_url: str
    redis_url: str
    pids: Mapping[str, int]
    data: str
    stays: bool
    open_to_others: bool


class Screen(Protocol):
    """Where the progress goes."""

    def step(self, name: str, detail: str) -> None:
        """Something is done."""

    def event(self, event: Event) -> None:
        """Something happened to a process."""

    def ready(self, ready: Ready) -> None:
        """Everything runs."""

    def stopping(self) -> None:
        """Everything is being stopped."""

    def failed(self, line: str, last_lines: tuple[str, ...] = ()) -> None:
        """It does not go on: one line, and the end of a log if there is more to know."""


class ForPeople:
    """Steps with the seconds they took, then the links."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        # Never folded: a link that was broken in two cannot be clicked.
        self._out = Console(highlight=False, soft_wrap=True)
        self._err = Console(highlight=False, soft_wrap=True, stderr=True)
        self._monotonic = monotonic
        self._started = monotonic()
        self._is_ready = False

    def step(self, name: str, detail: str) -> None:
        took_s = self._monotonic() - self._started
        self._out.print(f"  [green]✔[/] {escape(name):<10} {escape(detail)}  [dim]{took_s:.1f} s[/]")

    def event(self, event: Event) -> None:
        if event.kind == "ready" and not self._is_ready:
            detail = f" · {event.detail}" if event.detail else ""
            self.step(event.name, f"pid {event.pid}{detail}")
        else:
            self._err.print(f"  [yellow]![/] {escape(happened(event))}")
            self._tail(event.last_lines if event.kind == "failed" else ())

    def ready(self, ready: Ready) -> None:
        self._is_ready = True
        users = list(ready.tokens)
        rows = [
            ("Chat", ready.play),
            *(("", f"{ready.http}/play?as={user}") for user in users[1:2]),
            *([("Phones", ready.phones)] if ready.phones else []),
            *([("Admin", ready.admin)] if ready.admin else []),
            ("Docs", ready.docs),
            ("WebSocket", ready.websocket),
            ("API key", ready.api_key),
        ]
        self._out.print()
        for name, text in rows:
            self._out.print(f"  [bold]{name:<10}[/] [cyan]{escape(text)}[/]")
        self._out.print("\n  Open the two chat links in two tabs and talk. The admin link works once.")
        if ready.open_to_others:
            self._out.print("  [yellow]Whoever can reach this address can sign in as a demo user.[/]")
        data = f"The data stays in {ready.data}" if ready.stays else "The data goes with it"
        self._out.print(f"  [dim]Ctrl-C ends it. {escape(data)}.[/]\n")

    def stopping(self) -> None:
        self._out.print("\n  [dim]Stopping…[/]")

    def failed(self, line: str, last_lines: tuple[str, ...] = ()) -> None:
        self._err.print(f"[red]hubbub dev:[/] {escape(line)}")
        self._tail(last_lines)

    def _tail(self, lines: tuple[str, ...]) -> None:
        for line in lines:
            self._err.print(f"    [dim]{escape(line)}[/]")


class ForPrograms:
    """One JSON line on standard output when everything runs; what happens later as text on standard error."""

    def __init__(self) -> None:
        self._is_ready = False

    def step(self, name: str, detail: str) -> None:
        """Nobody reads it."""

    def event(self, event: Event) -> None:
        if event.kind != "ready" or self._is_ready:
            self._say(happened(event))

    def ready(self, ready: Ready) -> None:
        self._is_ready = True
        line = {
            "ready": True,
            "http": ready.http,
            "websocket": ready.websocket,
            "admin": ready.admin,
            "play": ready.play,
            "phones": ready.phones,
            "docs": ready.docs,
            "api_key": ready.api_key,
            "tokens": dict(ready.tokens),
            "mongodb_url": ready.mongodb_url,
            "redis_url": ready.redis_url,
            "pids": dict(ready.pids),
        }
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    def stopping(self) -> None:
        """Nobody reads it."""

    def failed(self, line: str, last_lines: tuple[str, ...] = ()) -> None:
        self._say(f"hubbub dev: {line}")
        for text in last_lines:
            self._say(f"    {text}")

    def _say(self, text: str) -> None:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def happened(event: Event) -> str:
    """An event that was not asked for, in words."""
    if event.kind == "ready":
        return f"{event.name} is back (pid {event.pid})"
    again = f"in {event.again_in_s:g} s"
    if event.kind == "died":
        return f"{event.name} died ({event.detail}) and is started again {again}"
    return f"{event.name} could not be started again ({event.detail}); the next attempt is {again}"
