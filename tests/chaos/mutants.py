"""Hubs that break a promise each, by patching the real one before it runs: what the checker has to find.

Only `mutant_hub.py` installs them, in a process of its own. Nothing in the product knows of them.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Mutant:
    """`under` names the fault it runs under (`mutants_run.py`), `breaks` the invariants of which one has to catch it.

    `mongods` of the cluster that it needs.
    """

    does: str
    install: Callable[[], None]
    breaks: Sequence[str]
    under: str = "nothing"
    mongods: int = 1


def _ack_before_write() -> None:
    from storage.append.work import Insert, InsertOutcome
    from storage.mongo.writer import Writer

    real = Writer.insert
    running: set[asyncio.Task[Any]] = set()

    async def insert(self: Writer, work: Insert) -> list[InsertOutcome]:
        task = asyncio.create_task(real(self, work))
        running.add(task)
        task.add_done_callback(running.discard)
        return [InsertOutcome.INSERTED for run in work.runs for _ in run.items]

    Writer.insert = insert  # type: ignore[method-assign]


def _not_durable() -> None:
    from storage.mongo import client

    # Acknowledged by one member, before its journal is on disk; read from wherever it is.
    client._ALWAYS.update({"w": 1, "journal": False, "readConcernLevel": "local"})


def _publishes_lost() -> None:
    from realtime.channel import Channel
    from realtime.hub import Member
    from realtime.redis.bus import RedisBus
    from realtime.repair import Repair

    real = RedisBus.publish

    def publish(self: RedisBus, delivery: Any, *, echo: bool = True) -> None:
        if random.random() >= 1 / 50:
            real(self, delivery, echo=echo)

    async def no_fill(self: Repair, channel: Channel[Member]) -> bool:
        # What came is delivered, whatever is missing before it.
        if channel.held and channel.cursor is not None:
            channel.cursor.skip_to(min(channel.held) - 1)
            channel._release()
            self._hub._touch(channel)
        return True

    async def no_poll(self: Repair) -> None:
        await asyncio.Event().wait()

    RedisBus.publish = publish  # type: ignore[method-assign]
    Repair._fill = no_fill  # type: ignore[method-assign]
    Repair._poll = no_poll  # type: ignore[method-assign]


def _publish_before_insert() -> None:
    from storage.append.work import Insert
    from storage.model import Appended
    from storage.mongo.appender import Appender

    real = Appender._insert

    async def insert(self: Appender, work: Insert) -> None:
        for run in work.runs:
            self.on_committed([Appended(entry, duplicate=False) for entry in run.entries])
        await real(self, work)

    Appender._insert = insert  # type: ignore[method-assign]


def _no_idempotency() -> None:
    import chat.process
    import storage.store
    from storage.mongo.client import Database, connect
    from storage.mongo.schema import KEY_INDEX, MESSAGES, META
    from storage.store import Store, open_store

    async def unverified(db: Database) -> str:
        schema = await db[META].find_one({"_id": "schema"})
        return str((schema or {})["epoch"])

    @asynccontextmanager
    async def opened(url: str, database: str, **options: Any) -> AsyncIterator[Store]:
        async with open_store(url, database, **options) as store:
            async with connect(url, database) as db:
                if KEY_INDEX in await db[MESSAGES].index_information():
                    await db[MESSAGES].drop_index(KEY_INDEX)
            yield store

    storage.store.verify = unverified  # type: ignore[attr-defined]
    chat.process.open_store = opened  # type: ignore[attr-defined]
    _without_joining()


def _without_joining() -> None:
    """Repeats that wait together are no longer joined either."""
    from storage.append.unanswered import Unanswered
    from storage.append.work import Pending

    real = Unanswered.add

    def add(self: Unanswered, item: Pending) -> bool:
        conversation, by, key = item.identity
        item.identity = (conversation, by, key + os.urandom(4)) if isinstance(key, bytes) else item.identity
        return real(self, item)

    Unanswered.add = add  # type: ignore[method-assign]


def _swapped() -> None:
    from realtime.channel import Channel, Told

    real = Channel.flush
    kept: dict[int, list[Any]] = {}

    def flush(self: Channel[Any]) -> Told:
        back = kept.pop(id(self), [])
        if not back and len(self.pending) == 1 and self.pending[0].publication.offset and random.random() < 0.05:
            kept[id(self)], self.pending = self.pending, []
            return Told()
        self.pending = [*self.pending, *back]
        return real(self)

    Channel.flush = flush  # type: ignore[method-assign]


def _holes() -> None:
    from storage.append import schedule
    from storage.append.work import Pending
    from storage.model import Entry
    from storage.mongo import log

    real = schedule._placed

    def placed(item: Pending, offset: int, n: int) -> Entry:
        return real(item, offset + (random.random() < 0.05), n)

    schedule._placed = placed
    log._assert_consecutive = lambda conversation, found: None


def _foreign_duplicate() -> None:
    from chat.usecases.messages import Messages
    from chat.vocabulary import render
    from chat.vocabulary.messages import MessageSend, MessageSent
    from storage.mongo.documents import entry_of, key_identity, stored_key

    real = Messages.send

    async def send(self: Messages, user: str, request: MessageSend) -> "asyncio.Future[MessageSent]":
        key = stored_key(key_identity(request.idempotency_key))
        found = await self._store.log._messages.find_one({"c": request.conversation, "k": key})
        if found is None:
            return await real(self, user, request)
        answer: asyncio.Future[MessageSent] = asyncio.get_running_loop().create_future()
        answer.set_result(MessageSent(render.message(entry_of(found)), True))
        return answer

    Messages.send = send  # type: ignore[method-assign]


def _still_told() -> None:
    from realtime.control import UnsubscribeSessions
    from realtime.operations import Operations

    real = Operations.apply

    def apply(self: Operations, operation: Any) -> None:
        if not isinstance(operation, UnsubscribeSessions):
            real(self, operation)

    Operations.apply = apply  # type: ignore[method-assign]


def _open_door() -> None:
    from chat.backend.conversing import Chosen, ConversationChannels
    from realtime.protocol.messages import Resume
    from storage.model import ORIGIN

    real = ConversationChannels.choose

    async def choose(self: ConversationChannels, user: str, named: Mapping[str, Resume]) -> Chosen:
        chosen = await real(self, user, named)
        strange = {}
        for name in named.keys() - chosen.subscribed.keys():
            head = await self._store.log.tail(name.removeprefix("conv:"))
            strange[name] = self._grant(head, ORIGIN, oldest=1, verify=False)
        return replace(chosen, subscribed={**chosen.subscribed, **strange})

    ConversationChannels.choose = choose  # type: ignore[method-assign]


def _partial_resume() -> None:
    from realtime.catchup import CatchUp

    real = CatchUp._send

    def send(self: CatchUp, session: Any, channel: Any, publications: list[Any]) -> int:
        if len(publications) > 1 and random.random() < 0.5:
            publications = publications[1:]
        return real(self, session, channel, publications)

    CatchUp._send = send  # type: ignore[method-assign]


def _never_answers() -> None:
    from chat.usecases.messages import Messages
    from chat.vocabulary.messages import MessageSend, MessageSent

    real = Messages.send

    async def send(self: Messages, user: str, request: MessageSend) -> "asyncio.Future[MessageSent]":
        answer = await real(self, user, request)
        return asyncio.get_running_loop().create_future() if random.random() < 0.04 else answer

    Messages.send = send  # type: ignore[method-assign]


def _leaks() -> None:
    from realtime.websocket import WebSocketEndpoint

    real = WebSocketEndpoint.handle

    async def handle(self: WebSocketEndpoint, *arguments: Any, **options: Any) -> Any:
        try:
            return await real(self, *arguments, **options)
        finally:
            os.dup(0)

    WebSocketEndpoint.handle = handle  # type: ignore[method-assign]


MUTANTS: Final[Mapping[str, Mutant]] = {
    "ack-before-write": Mutant(
        "acknowledges before the insert is answered", _ack_before_write, ["I1"], "mongod-killed"
    ),
    "not-durable": Mutant("acknowledges with w:1 and no journal", _not_durable, ["I1"], "mongod-killed"),
    "rolled-back": Mutant(
        "acknowledges what a new primary does not have", _not_durable, ["I1", "I4", "I5"], "primary-isolated", 3
    ),
    "publishes-lost": Mutant("loses 1 publish in 50, and repairs no gap", _publishes_lost, ["I1", "I3"]),
    "publish-before-insert": Mutant("publishes before the insert", _publish_before_insert, ["I4", "I5"]),
    "no-idempotency": Mutant("has no unique key; acknowledgements are lost", _no_idempotency, ["I2"], "clients-reset"),
    "swapped": Mutant("delivers two publications in the wrong order", _swapped, ["I3"]),
    "holes": Mutant("leaves a hole in the offsets now and then", _holes, ["I3"]),
    "foreign-duplicate": Mutant("answers a key with another user's message", _foreign_duplicate, ["I2"]),
    "still-told": Mutant("goes on telling whoever was removed", _still_told, ["I6"]),
    "open-door": Mutant("lets anybody resume any conversation", _open_door, ["I6"]),
    "partial-resume": Mutant("leaves an entry out of a resume", _partial_resume, ["I1", "I3"], "clients-reset"),
    "never-answers": Mutant("never answers 1 send in 25", _never_answers, ["I7"]),
    "leaks": Mutant("keeps a descriptor of every socket", _leaks, ["I8"], "clients-reset"),
}


def break_promise(name: str) -> None:
    """Install a mutant in this process. `none` is the real thing. Raises KeyError."""
    if name != "none":
        MUTANTS[name].install()
