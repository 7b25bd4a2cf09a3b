"""Reads the conversations of a run in the end: the log itself, and what fresh clients are given of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import msgspec

from chaos.device import PAGE, Address, Rest, items_of
from chaos.history import MESSAGE, History, Item, Received, Whole, now
from chat.vocabulary import render
from storage.model.keys import log_bounds
from storage.mongo.client import Database, connect
from storage.mongo.documents import entry_of
from storage.mongo.schema import MESSAGES
from support.waiting import eventually
from support.wire_client import WireClient, wire_client

ENTRIES: Final = 500
RESUMED: Final = 800
"""Entries that a fresh client asks for; below what a resume gives at most."""
WITHIN_S: Final = 20.0


def item_of(publication: Any) -> Item:
    """An entry as it is told: by the server API, or to a client."""
    data = publication["data"]
    kind, message = data["type"], data.get("message", {})
    if kind == MESSAGE:
        return Item(publication["offset"], kind, message["sender"], message.get("idempotency_key") or "")
    users: tuple[str, ...] = ()
    if kind == "member.joined":
        users = tuple(one["user"] for one in data["members"])
    elif kind == "member.left":
        users = (data["user"],)
    return Item(publication["offset"], kind, data.get("by", ""), "", users)


async def whole_log(http: str, api_key: str, conv: str) -> tuple[str, tuple[Item, ...]]:
    """The epoch and every entry, by the server API. Raises aiohttp.ClientError, LookupError."""
    items: list[Item] = []
    epoch = ""
    headers = {"X-API-Key": api_key}
    async with aiohttp.ClientSession(http, headers=headers, timeout=aiohttp.ClientTimeout(total=10)) as session:
        while True:
            since = {"since": {"offset": items[-1].offset if items else 0, "epoch": epoch}}
            asked = {"channel": f"conv:{conv}", "limit": ENTRIES, **since}
            async with session.post("/api/history", json=asked) as response:
                answer = await response.json()
            if "result" not in answer:
                raise LookupError(str(answer.get("error")))
            result = answer["result"]
            epoch = result["epoch"]
            items += [item_of(publication) for publication in result["publications"]]
            if not result["publications"] or items[-1].offset >= result["offset"]:
                return epoch, tuple(items)


async def all_pages(rest: Rest, hub: Address, user: str, conv: str) -> tuple[Item, ...]:
    """Every message, page by page as a client reads. Raises LookupError."""
    items: list[Item] = []
    after = 0
    while True:
        outcome = await rest.page(hub, user, conv, after=after, limit=PAGE)
        if outcome.type != "ok":
            raise LookupError(str(outcome))
        items += items_of(outcome.answer)
        page = outcome.answer["page"]
        if not page["has_after"]:
            return tuple(items)
        after = max(page.get("newest") or 0, items[-1].offset if items else 0)


async def resumed(hub: Address, token: str, epoch: str, heads: dict[str, int]) -> dict[str, tuple[Item, ...]]:
    """What a fresh connection is given of each conversation that it says it has from before. TimeoutError, OSError."""
    since = {conv: max(0, head - RESUMED) for conv, head in heads.items()}
    subs = {f"conv:{conv}": {"recover": True, "epoch": epoch, "offset": offset} for conv, offset in since.items()}
    async with wire_client(hub.websocket) as client:
        reply = await client.connect(token, subs=subs)
        given = {conv: reply["subs"].get(f"conv:{conv}", {}) for conv in heads}
        taken = [conv for conv in heads if given[conv].get("recovered")]

        def publications(conv: str) -> list[Any]:
            within = given[conv].get("publications", [])
            return [one for one in (*within, *client.publications(f"conv:{conv}")) if one.get("offset")]

        def complete() -> bool:
            return all(
                (found := publications(conv)) and found[-1]["offset"] >= heads[conv]
                for conv in taken
                if heads[conv] > since[conv]
            )

        await eventually(complete, within_s=WITHIN_S)
        return {conv: tuple(item_of(one) for one in publications(conv)) for conv in taken}


async def stored_log(database: Database, conv: str) -> tuple[Item, ...]:
    """Every entry as MongoDB has it on a majority, past all that the product makes sure of when it reads."""
    first, last = log_bounds(conv)
    found = database[MESSAGES].find({"_id": {"$gte": first, "$lte": last}}, sort=[("_id", 1)])
    entries = [entry_of(document) async for document in found]
    publications = [render.publication(entry) for entry in entries]
    return tuple(item_of({"offset": one.offset, "data": msgspec.json.decode(one.data)}) for one in publications)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads everything back, from all sides. `api` are the hubs' own addresses."""

    history: History
    hubs: Sequence[Address]
    api: Sequence[str]
    api_key: str
    rest: Rest
    token: Callable[[str], str]
    acked: Callable[[str], int]
    """The highest offset that has been acknowledged in a conversation."""

    async def read(self, members: Mapping[str, str], mongodb_url: str, database: str) -> list[str]:
        """Write down each conversation whole; `members` has somebody who was in it all the time.

        Returns what could not be read.
        """
        failed: list[str] = []
        epoch, heads = "", dict[str, int]()
        for number, (conv, user) in enumerate(members.items()):
            hub = self.hubs[(number + 1) % len(self.hubs)]
            acked = self.acked(conv)
            try:
                epoch, items = await whole_log(self.api[number % len(self.api)], self.api_key, conv)
                self._add(conv, f"the API of {self.hubs[number % len(self.api)].name}", items, acked)
                heads[conv] = items[-1].offset if items else 0
                self._add(conv, f"rest by {hub.name}", await all_pages(self.rest, hub, user, conv), acked)
            except (aiohttp.ClientError, LookupError, OSError, TimeoutError) as error:
                failed.append(f"{conv}: {error!r}")
        failed += await self._resume(members, epoch, heads)
        # Last: whatever was told before has to be in it.
        async with connect(mongodb_url, database) as db:
            for conv in members:
                self._add(conv, "log", await stored_log(db, conv))
        return failed

    async def _resume(self, members: Mapping[str, str], epoch: str, heads: Mapping[str, int]) -> list[str]:
        """As a fresh client of each member that was asked for."""
        failed: list[str] = []
        for number, user in enumerate(sorted(set(members.values()))):
            hub = self.hubs[number % len(self.hubs)]
            mine = {conv: heads[conv] for conv, member in members.items() if member == user and conv in heads}
            try:
                for conv, given in (await resumed(hub, self.token(user), epoch, mine)).items():
                    self._add(conv, f"a resume by {hub.name}", given, mine[conv])
            except (aiohttp.ClientError, OSError, TimeoutError, AssertionError, KeyError) as error:
                failed.append(f"a resume by {hub.name}: {error!r}")
        return failed

    def _add(self, conv: str, source: str, items: tuple[Item, ...], acked: int = 0) -> None:
        self.history.add(Whole(now(), conv, source, items, acked))


def note_pushes(client: WireClient, history: History, user: str, hub: str) -> None:
    """Write down what a bare client was told of conversations."""
    for push in client.pushes:
        publication = push.get("pub")
        if publication and publication.get("offset") and push["channel"].startswith("conv:"):
            item = item_of(publication)
            conv = push["channel"].removeprefix("conv:")
            history.add(Received(now(), user, user, hub, conv, item.offset, item.kind, item.sender, item.key, "resume"))
