"""Everything storage offers, opened together on one database."""

import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry
from pymongo.monitoring import CommandListener

from storage.model import Entry
from storage.mongo.amending import Amending
from storage.mongo.appender import Appender
from storage.mongo.blocks import Blocks
from storage.mongo.circles import Circles
from storage.mongo.client import connect
from storage.mongo.conversations import Conversations
from storage.mongo.devices import Devices
from storage.mongo.due import DueMarks
from storage.mongo.expiring import Expiring
from storage.mongo.flusher import Flusher
from storage.mongo.follower import Follower, OnEntries, OnStartedOver
from storage.mongo.heads import read_heads
from storage.mongo.health import Health
from storage.mongo.hidden import Hidden
from storage.mongo.inbox import Inbox
from storage.mongo.invites import Invites
from storage.mongo.log import Log
from storage.mongo.members import Members
from storage.mongo.mentions import Mentions
from storage.mongo.migrate import migrate, verify
from storage.mongo.newcomers import Newcomers
from storage.mongo.notifying import Notifying
from storage.mongo.pages import Pages
from storage.mongo.preferring import Preferring
from storage.mongo.push_apps import PushApps
from storage.mongo.push_jobs import PushJobs
from storage.mongo.push_pauses import PushPauses
from storage.mongo.push_traces import PushTraces
from storage.mongo.reactions import ReactionRows
from storage.mongo.reading import Reading
from storage.mongo.restrictions import Restrictions
from storage.mongo.retention import Retention
from storage.mongo.rewording import Rewording
from storage.mongo.sealing import Sealing
from storage.mongo.searching import Searching
from storage.mongo.summaries import Summaries
from storage.mongo.sweep import Sweep
from storage.mongo.tails import Tails
from storage.mongo.telling import Telling
from storage.mongo.threads import Threads
from storage.mongo.tidying import Tidying
from storage.mongo.uploads import Uploads
from storage.mongo.users import Users
from storage.mongo.writer import Writer
from storage.stats import Stats


def clock_ms() -> int:
    """Now, in integer milliseconds UTC."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Store:
    """The stores of one process. `epoch` names the generation of the database: it changes only when one is restored."""

    epoch: str
    log: Log
    tails: Tails
    pages: Pages
    appender: Appender
    amending: Amending
    rewording: Rewording
    hidden: Hidden
    conversations: Conversations
    members: Members
    newcomers: Newcomers
    preferring: Preferring
    invites: Invites
    blocks: Blocks
    inbox: Inbox
    users: Users
    circles: Circles
    uploads: Uploads
    reading: Reading
    reactions: ReactionRows
    threads: Threads
    mentions: Mentions
    searching: Searching
    expiring: Expiring
    retention: Retention
    restrictions: Restrictions
    devices: Devices
    notifying: Notifying
    push_apps: PushApps
    push_jobs: PushJobs
    push_pauses: PushPauses
    push_traces: PushTraces
    sealing: Sealing
    summaries: Summaries
    stats: Stats
    health: Health

    async def ping_ms(self) -> float:
        """Round trip to MongoDB's primary. Raises Unavailable within about a second."""
        return await self.health.ping_ms()


@asynccontextmanager
async def open_store(
    url: str,
    database: str,
    *,
    app_name: str = "hubbub",
    registry: CollectorRegistry | None = None,
    clock: Callable[[], int] = clock_ms,
    random: Callable[[int], bytes] = secrets.token_bytes,
    listeners: Sequence[CommandListener] = (),
    sweep_as: str = "",
    default_retention_s: int = 0,
    process: str = "",
) -> AsyncIterator[Store]:
    """The stores of a migrated database. Leaving commits what is queued and writes summaries, within about 8 s.

    `listeners` see every command that goes to MongoDB. `sweep_as`: under this name, unique over all time, also settle
    what killed processes have left, delete what has expired, and remove what is older than retention says
    (`default_retention_s` for conversations that say nothing; 0: keep). `process` is the name by which other processes
    hear of what this one has written (`Appender.heard`). Raises NotMigrated, Unavailable, ValueError
    (not a URL).
    """
    stats = Stats(registry or CollectorRegistry())
    async with connect(url, database, app_name=app_name, listeners=listeners) as db:
        epoch = await verify(db)
        async with Health(db) as health, Summaries(db, stats=stats) as summaries, Users(db) as users:

            def noted(entries: Sequence[Entry]) -> None:
                summaries.note(entries)
                flusher.note_entries(entries)

            appender = Appender(
                Writer(db, partial(read_heads, db), clock=clock),
                health=health,
                stats=stats,
                random=random,
                note=noted,
                process=process,
            )
            amending, marks = Amending(db, appender), DueMarks(db, random)
            reactions = ReactionRows(db, marks, clock)
            telling = Telling(db, amending, marks, reactions, clock)
            flusher = Flusher(telling)
            reactions.on_changed = flusher.note
            members = Members(db, appender, users)
            conversations = Conversations(db, appender, members, random=random)
            reading = Reading(db, users, tail=appender.tail, clock=clock, stats=stats)
            sweep = Sweep(db, telling, marks, owner=sweep_as, clock=clock) if sweep_as else nullcontext()
            rewording = Rewording(db, amending, marks, flusher.note)
            expiring, retention = Expiring(db), Retention(db, appender)
            tidying = (
                Tidying(
                    db,
                    expiring,
                    retention,
                    rewording,
                    owner=sweep_as,
                    default_retention_s=default_retention_s,
                    clock=clock,
                )
                if sweep_as
                else nullcontext()
            )
            hidden = Hidden(db, users)
            threads = Threads(db, appender, users)
            log = Log(db, clock=clock)
            async with (
                appender,
                flusher,
                reactions,
                threads,
                sweep,
                tidying,
                reading,
                members,
                conversations,
                Restrictions(db) as restrictions,
                Tails(log) as tails,
                Pages(log) as pages,
                Inbox(db) as inbox,
            ):
                yield Store(
                    epoch=epoch,
                    log=log,
                    tails=tails,
                    pages=pages,
                    appender=appender,
                    amending=amending,
                    rewording=rewording,
                    hidden=hidden,
                    conversations=conversations,
                    members=members,
                    preferring=Preferring(db, users),
                    invites=Invites(db, appender, members),
                    blocks=Blocks(db, users),
                    inbox=inbox,
                    users=users,
                    circles=Circles(db),
                    newcomers=Newcomers(db),
                    uploads=Uploads(db),
                    reading=reading,
                    reactions=reactions,
                    threads=threads,
                    mentions=Mentions(db, hidden, clock=clock),
                    searching=Searching(db, clock=clock),
                    expiring=expiring,
                    retention=retention,
                    restrictions=restrictions,
                    devices=Devices(db),
                    notifying=Notifying(db),
                    push_apps=PushApps(db),
                    push_jobs=PushJobs(db),
                    push_pauses=PushPauses(db),
                    push_traces=PushTraces(db),
                    sealing=Sealing(db),
                    summaries=summaries,
                    stats=stats,
                    health=health,
                )


async def migrate_database(
    url: str, database: str, *, app_name: str = "hubbub", random: Callable[[int], bytes] = secrets.token_bytes
) -> str:
    """Lay the database out as this version needs it; returns its epoch. Raises Unavailable, NotMigrated, ValueError."""
    async with connect(url, database, app_name=app_name) as db:
        return await migrate(db, random=random)


@asynccontextmanager
async def open_uploads(url: str, database: str, *, app_name: str = "hubbub-worker") -> AsyncIterator[Uploads]:
    """The uploads of a migrated database. Raises NotMigrated, Unavailable, ValueError (not a URL)."""
    async with connect(url, database, app_name=app_name) as db:
        await verify(db)
        yield Uploads(db)


@asynccontextmanager
async def open_follower(
    url: str,
    database: str,
    *,
    owner: str,
    on_entries: OnEntries | None = None,
    on_started_over: OnStartedOver | None = None,
    app_name: str = "hubbub-worker",
    registry: CollectorRegistry | None = None,
) -> AsyncIterator[Follower]:
    """The follower of a migrated database, running until the block ends; see there. `owner` names this process and run.

    Raises NotMigrated, Unavailable, ValueError (not a URL).
    """
    async with connect(url, database, app_name=app_name) as db:
        await verify(db)
        stats = Stats(registry or CollectorRegistry())
        following = Follower(db, owner=owner, stats=stats, on_entries=on_entries, on_started_over=on_started_over)
        async with following as follower:
            yield follower
