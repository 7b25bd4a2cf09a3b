"""A small client for people in a terminal, on the public protocol: methods over REST, a conversation over WebSocket."""

import asyncio
import json
import random
import re
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from chat.cli.outcome import EXIT_ERROR, Failed, Unreachable

_TIMEOUT: Final = aiohttp.ClientTimeout(total=10.0)
_SEND_ATTEMPTS: Final = 5
_FIRST_RETRY_S: Final = 0.2
_MAX_RETRY_S: Final = 10.0
_SILENCE_MARGIN_S: Final = 10.0
_MAX_PAGES: Final = 20
_PAGE: Final = 200
_ID: Final = re.compile(r"[0-9a-z]{26}(~[0-9]+)?")


class Refused(Failed):
    """The server understood and said no. `code` is its slug, such as `permission_denied`."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}" if detail else code, EXIT_ERROR)
        self.status: Final = status
        self.slug: Final = code

    @property
    def temporary(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status == 429 or self.status >= 500


@dataclass(frozen=True, slots=True)
class Live:
    """One event of a conversation as it comes: `offset` is 0 for those that are in no log (typing, receipts)."""

    offset: int
    event: Mapping[str, Any]


class Client:
    """One user at one server. Made by `open_client`."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, token: Callable[[], str]) -> None:
        self._session = session
        self._base_url = base_url
        self._token = token

    async def call(self, method: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Call a method. Raises Refused, Unreachable."""
        url = f"{self._base_url}/v1/rpc/{method}"
        headers = {"Authorization": f"Bearer {self._token()}"}
        try:
            async with self._session.post(url, json=parameters, headers=headers) as response:
                return await _result(response)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(error) from error

    async def send(self, conversation: str, text: str) -> dict[str, Any]:
        """Send a message, again with the same key while the server is away for a moment: it is stored once."""
        parameters = {"conversation": conversation, "text": text, "idempotency_key": str(uuid.uuid4())}
        for attempt in range(1, _SEND_ATTEMPTS + 1):
            try:
                return await self.call("message.send", parameters)
            except (Refused, Unreachable) as error:
                if attempt == _SEND_ATTEMPTS or (isinstance(error, Refused) and not error.temporary):
                    raise
            await asyncio.sleep(_FIRST_RETRY_S * 2**attempt)
        raise AssertionError("unreachable")

    async def find(self, wanted: str) -> dict[str, Any]:
        """The conversation with this id, external id or title. Raises Failed when there is none, or more than one."""
        if _ID.fullmatch(wanted):
            try:
                found: dict[str, Any] = (await self.call("conversation.get", {"conversation": wanted}))["conversation"]
            except Refused as error:
                if error.slug not in ("permission_denied", "not_found"):
                    raise
            else:
                return found
        candidates = [one async for one in self._conversations() if _is_meant(one, wanted)]
        exact = [one for one in candidates if wanted in (one.get("external_id"), one["title"])]
        chosen = exact or candidates
        if not chosen:
            raise Failed(f"no conversation has the id, external id, title or other member {wanted!r}")
        if len(chosen) > 1:
            several = "\n".join(f"  {one['id']}  {printable(one['title'])}" for one in chosen[:10])
            raise Failed(f"{len(chosen)} conversations are called {wanted!r}, name one by its id:\n{several}")
        return chosen[0]

    async def _conversations(self) -> AsyncIterator[dict[str, Any]]:
        before: dict[str, str] = {}
        for _ in range(_MAX_PAGES):
            page = await self.call("conversation.list", {"limit": _PAGE, **before})
            for conversation in page["conversations"]:
                yield conversation
            if not page.get("next"):
                return
            before = {"before": page["next"]}

    async def newest(self, conversation: str, limit: int) -> list[dict[str, Any]]:
        """The newest messages, ascending."""
        page = await self.call("history.page", {"conversation": conversation, "limit": limit})
        items: list[dict[str, Any]] = page["items"]
        return items

    async def follow(self, conversation: str, after: int, on_gap: Callable[[str], None]) -> AsyncIterator[Live]:
        """What comes after an offset, in order, once, over as many sockets as it takes. Ends when access ends.

        `on_gap` is told, for people, when the connection is lost and what could not be recovered.
        """
        position = _Position(after)
        delay_s = _FIRST_RETRY_S
        while True:
            try:
                async with self._session.ws_connect(
                    f"{self._base_url}/connection/websocket", max_msg_size=4 * 1024 * 1024
                ) as socket:
                    async for live in self._events(socket, f"conv:{conversation}", position, on_gap):
                        delay_s = _FIRST_RETRY_S
                        yield live
            except (aiohttp.ClientError, TimeoutError, _Lost) as error:
                on_gap(f"connection lost ({_reason(error)}), trying again")
            # Not all who were cut off may come back at the same moment.
            await asyncio.sleep(delay_s * (1 + random.random()))  # noqa: S311 - spreads load, guards nothing
            delay_s = min(delay_s * 2, _MAX_RETRY_S)

    async def _events(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        channel: str,
        position: "_Position",
        on_gap: Callable[[str], None],
    ) -> AsyncIterator[Live]:
        """The events of one connection, until it ends (_Lost)."""
        await socket.send_json({"id": 1, "connect": {"token": self._token(), "data": {"conversations": "none"}}})
        silence_s = 2 * _SILENCE_MARGIN_S
        while True:
            for message in await _receive(socket, silence_s):
                if not message:
                    await socket.send_str("{}")
                elif message.get("id") == 1:
                    silence_s = _result_of(message, "connect").get("ping", 25) + _SILENCE_MARGIN_S
                    await socket.send_json({"id": 2, "subscribe": position.subscribe(channel)})
                elif message.get("id") == 2:
                    subscribed = _result_of(message, "subscribe")
                    if subscribed.get("was_recovering") and not subscribed.get("recovered"):
                        on_gap("too much was missed to be recovered: read the history")
                        position.offset = subscribed.get("offset", position.offset)
                    position.epoch = subscribed.get("epoch", "")
                    for publication in subscribed.get("publications", ()):
                        if live := position.accept(publication):
                            yield live
                elif (push := message.get("push", {})).get("channel") == channel:
                    if "unsubscribe" in push:
                        raise Failed(f"the server ended it: {printable(push['unsubscribe'].get('reason', ''))}")
                    if "pub" in push and (live := position.accept(push["pub"])):
                        yield live

    def _unreachable(self, error: Exception) -> Unreachable:
        return Unreachable(f"{self._base_url} does not answer ({_reason(error)}): is hubbub serve running there?")


@asynccontextmanager
async def open_client(base_url: str, token: Callable[[], str]) -> AsyncIterator[Client]:
    """A client with its own HTTP session. `token` is asked before each request and each connect."""
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
        yield Client(session, base_url, token)


def printable(text: str) -> str:
    """Somebody else's text without what a terminal would obey: escapes, control characters, direction marks."""
    return "".join(char if char.isprintable() or char == "\n" else "�" for char in text)


class _Lost(Exception):
    """The connection ended in a way that one comes back from."""


class _Position:
    """How far we are: what to ask for after the next connect, and what was seen before."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.epoch = ""

    def subscribe(self, channel: str) -> dict[str, Any]:
        return {"channel": channel, "recover": True, "epoch": self.epoch, "offset": self.offset}

    def accept(self, publication: Mapping[str, Any]) -> Live | None:
        offset = int(publication.get("offset", 0))
        if offset and offset <= self.offset:
            return None
        self.offset = offset or self.offset
        return Live(offset, publication.get("data") or {})


async def _receive(socket: aiohttp.ClientWebSocketResponse, silence_s: float) -> list[dict[str, Any]]:
    """The messages of the next frame. Raises _Lost when the connection ends or nothing comes for `silence_s`."""
    frame = await socket.receive(timeout=silence_s)
    if frame.type is aiohttp.WSMsgType.TEXT:
        return [json.loads(line) for line in frame.data.splitlines() if line]
    code = socket.close_code or 1006
    reason = printable(str(frame.extra or "")) or f"code {code}"
    if 3500 <= code <= 3999 or 4500 <= code <= 4999:
        raise Failed(f"the server closed the connection: {reason}")
    raise _Lost(reason)


def _result_of(message: Mapping[str, Any], command: str) -> dict[str, Any]:
    error = message.get("error")
    if error and error.get("temporary"):
        raise _Lost(str(error.get("message")))
    if error:
        raise Failed(f"{command}: {printable(str(error.get('message')))} ({error.get('code')})")
    result: dict[str, Any] = message.get(command) or {}
    return result


async def _result(response: aiohttp.ClientResponse) -> dict[str, Any]:
    body = await response.read()
    try:
        document = json.loads(body) if body else {}
    except ValueError:
        document = {}
    if not isinstance(document, dict):
        document = {}
    if response.ok:
        return document
    code = document.get("code") or f"HTTP {response.status}"
    raise Refused(response.status, printable(str(code)), printable(str(document.get("detail") or "")))


def _is_meant(conversation: Mapping[str, Any], wanted: str) -> bool:
    peer = conversation.get("peer") or {}
    names = (conversation.get("external_id"), conversation["title"], peer.get("id"), peer.get("name"))
    return wanted.casefold() in [name.casefold() for name in names if name]


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or type(error.os_error).__name__
    return str(error) or type(error).__name__
