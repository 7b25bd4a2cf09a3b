"""Appenders for tests: one is one hub process as far as the log is concerned."""

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry
from pymongo.monitoring import CommandListener

from storage.append.schedule import LaneSettings
from storage.model import Appended, Entry, Position
from storage.mongo.appender import DEADLINE_S, Appender
from storage.mongo.client import Database, connect
from storage.mongo.health import Health
from storage.mongo.log import Log
from storage.mongo.writer import Writer
from storage.stats import Stats


class Commands(CommandListener):
    """Collects the names of the commands that a client sends; pings of the health probe left out."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def started(self, event: Any) -> None:
        if event.command_name not in {"ping", "hello", "endSessions"}:
            self.names.append(event.command_name)

    def succeeded(self, event: object) -> None: ...

    def failed(self, event: object) -> None: ...


@dataclass
class Hub:
    """An appender and what its hooks were told."""

    appender: Appender
    db: Database
    health: Health
    stats: Stats
    commands: Commands
    committed: list[Appended] = field(default_factory=list)
    examined: list[Entry] = field(default_factory=list)
    skipped: list[tuple[str, int]] = field(default_factory=list)


async def no_heads(_conversations: Sequence[str]) -> Mapping[str, Position]:
    """No summaries: every cold conversation's tail is read from the log."""
    return {}


@asynccontextmanager
async def a_hub(
    url: str,
    database: str,
    *,
    app_name: str = "hub",
    settings: LaneSettings | None = None,
    deadline_s: float = DEADLINE_S,
) -> AsyncIterator[Hub]:
    """A hub process: a client of its own, with nothing known of any conversation."""
    commands, stats = Commands(), Stats(CollectorRegistry())
    async with connect(url, database, app_name=app_name, listeners=[commands]) as db, Health(db) as health:
        appender = Appender(
            Writer(db, no_heads),
            health=health,
            stats=stats,
            random=secrets.token_bytes,
            settings=settings,
            deadline_s=deadline_s,
        )
        hub = Hub(appender, db, health, stats, commands)
        appender.on_committed = hub.committed.extend
        appender.on_examined = lambda _conversation, entries: hub.examined.extend(entries)
        appender.on_skipped = lambda conversation, upto: hub.skipped.append((conversation, upto))
        async with appender:
            yield hub


async def whole_log(db: Database, conversation: str) -> list[Entry]:
    """All entries; fails on a hole, a wrong `n` or an identity that is there twice."""
    log, entries, after = Log(db), list[Entry](), 0
    while True:
        page = await log.range(conversation, after, limit=1000)
        entries += page.entries
        if page.complete:
            break
        after = entries[-1].offset
    assert [entry.offset for entry in entries] == list(range(1, len(entries) + 1))
    n = 0
    for entry in entries:
        n += entry.kind.counts
        assert entry.n == n
    identities = [(entry.by, entry.key) for entry in entries if entry.key is not None]
    assert len(set(identities)) == len(identities)
    return entries
