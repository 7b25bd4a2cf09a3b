"""`send` and `tail`: a person in a terminal takes part in a conversation."""

import asyncio
import sys
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chat.cli.client import Client, Refused, open_client, printable
from chat.cli.loading import base_url, load_running
from chat.cli.minting import TokenOptions, make_token
from chat.cli.outcome import EXIT_USAGE, Failed, put, put_json, say

_TOKEN_TTL: Final = "1h"  # noqa: S105 - how long one is good
_MAX_NAMES: Final = 1000


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who speaks where. `token_file` has a token of one's own instead of one signed with the configured secret."""

    user: str
    config: Path | None = None
    url: str | None = None
    token_file: Path | None = None


def send(conversation: str, text: str, speaker: Speaker, *, as_json: bool) -> None:
    """Send one message; `-` reads it from stdin. Prints the message's id once it is stored."""
    if text == "-":
        text = sys.stdin.read().rstrip("\n")
    if not text:
        raise Failed("the message is empty", EXIT_USAGE)
    result = asyncio.run(_send(conversation, text, speaker))
    if as_json:
        put_json(result)
    else:
        put(result["message"]["id"])


def tail(conversation: str, speaker: Speaker, *, limit: int, follow: bool, as_json: bool) -> None:
    """Print the newest messages, then new ones as they come until Ctrl-C."""
    try:
        asyncio.run(_tail(conversation, speaker, limit=limit, follow=follow, as_json=as_json))
    except KeyboardInterrupt:
        return


async def _send(conversation: str, text: str, speaker: Speaker) -> dict[str, Any]:
    async with _client(speaker) as client:
        found = await client.find(conversation)
        return await client.send(found["id"], text)


async def _tail(conversation: str, speaker: Speaker, *, limit: int, follow: bool, as_json: bool) -> None:
    async with _client(speaker) as client:
        found = await client.find(conversation)
        names = _Names(client)
        position = found["head"]["offset"]
        for message in await client.newest(found["id"], limit) if limit else ():
            await _print(message, names, as_json=as_json)
            position = max(position, message["offset"])
        if not follow:
            return
        async for live in client.follow(found["id"], position, say):
            if live.event.get("type") == "message.created" and "message" in live.event:
                await _print(live.event["message"], names, as_json=as_json)


@asynccontextmanager
async def _client(speaker: Speaker) -> AsyncIterator[Client]:
    config = load_running(speaker.config).config
    async with open_client(base_url(config, speaker.url), _tokens(speaker, config)) as client:
        yield client


def _tokens(speaker: Speaker, config: Any) -> Callable[[], str]:
    """Gives a token that is good now, each time it is asked."""
    if speaker.token_file is not None:
        try:
            text = speaker.token_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Failed(f"--token-file: {speaker.token_file} cannot be read: {error}", EXIT_USAGE) from error
        return lambda: text
    options = TokenOptions(speaker.user, ttl=_TOKEN_TTL)
    return lambda: make_token(config, options)


class _Names:
    """Users' names, asked once each."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._names: OrderedDict[str, str] = OrderedDict()

    async def of(self, user: str) -> str:
        if user not in self._names:
            try:
                name = (await self._client.call("user.get", {"user": user}))["user"].get("name") or user
            except Refused:
                name = user
            self._names[user] = printable(name)
            if len(self._names) > _MAX_NAMES:
                self._names.popitem(last=False)
        return self._names[user]


async def _print(message: Mapping[str, Any], names: _Names, *, as_json: bool) -> None:
    if as_json:
        put_json(message)
        return
    at = time.strftime("%H:%M:%S", time.localtime(message["created_at"] / 1000))
    text = printable(message.get("text") or "(no text)").replace("\n", "\n" + " " * 10)
    put(f"{at}  {await names.of(message['sender'])}: {text}")
