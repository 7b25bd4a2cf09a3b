"""Reads the conversations of a run in the end: the log itself, and what fresh clients are given of it."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import aiohttp

from chaos.device import PAGE, Address, Rest, items_of
from chaos.history import MESSAGE, History, Item, Received, Whole, now
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


async def read_everything(
    history: History,
    hubs: Sequence[Address],
    api: Sequence[str],
    api_key: str,
    rest: Rest,
    token: Callable[[str], str],
    members: dict[str, str],
) -> list[str]:
    """Write down each conversation whole, from all sides; `members` has somebody who was in it all the time.

    `api` are the hubs' own addresses. Returns what could not be read.
    """
    failed: list[str] = []
    epoch, heads = "", {}
    for number, (conv, user) in enumerate(members.items()):
        try:
            epoch, items = await whole_log(api[number % len(api)], api_key, conv)
        except (aiohttp.ClientError, LookupError, OSError, TimeoutError) as error:
            failed.append(f"the log of {conv}: {error!r}")
            continue
        heads[conv] = items[-1].offset if items else 0
        hub = hubs[(number + 1) % len(hubs)]
        try:
            history.add(Whole(now(), conv, f"rest by {hub.name}", await all_pages(rest, hub, user, conv)))
        except LookupError as error:
            failed.append(f"the pages of {conv} by {hub.name}: {error}")
    for number, user in enumerate(sorted(set(members.values()))):
        hub = hubs[number % len(hubs)]
        mine = {conv: heads[conv] for conv, member in members.items() if member == user and conv in heads}
        try:
            for conv, given in (await resumed(hub, token(user), epoch, mine)).items():
                history.add(Whole(now(), conv, f"a resume by {hub.name}", given))
        except (aiohttp.ClientError, OSError, TimeoutError, AssertionError, KeyError) as error:
            failed.append(f"a resume by {hub.name}: {error!r}")
    # Last: whatever was told before has to be in it.
    for number, conv in enumerate(heads):
        try:
            history.add(Whole(now(), conv, "log", (await whole_log(api[(number + 1) % len(api)], api_key, conv))[1]))
        except (aiohttp.ClientError, LookupError, OSError, TimeoutError) as error:
            failed.append(f"the log of {conv}: {error!r}")
    return failed


def note_pushes(client: WireClient, history: History, user: str, hub: str) -> None:
    """Write down what a bare client was told of conversations."""
    for push in client.pushes:
        publication = push.get("pub")
        if publication and publication.get("offset") and push["channel"].startswith("conv:"):
            item = item_of(publication)
            conv = push["channel"].removeprefix("conv:")
            history.add(Received(now(), user, user, hub, conv, item.offset, item.kind, item.sender, item.key, "resume"))
