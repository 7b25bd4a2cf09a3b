"""What the examples of the documentation are about: alice and what she has, made anew for each page."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import aiohttp

from support.app import App
from support.push_keys import kept_web_push

TEXT = "An example of the documentation"


class Documented:
    """Fills in what a page names with `$`. Made when it is first asked for, so that a page depends on what it uses."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._values: dict[str, object] = {}

    async def fresh(self) -> None:
        """Have alice as she was before other pages: she shows everything, and blocks nobody. Browsers can subscribe."""
        store = self._app.running.process.store
        if not await store.push_apps.of("webpush", "default"):
            await kept_web_push(store)
        await self._call("alice", "user.update", name="Alice", privacy={"receipts": True, "presence": True})
        for user in ("bob", "carol"):
            await self._call(user, "user.update", name=user.capitalize())
            await self._call("alice", "user.unblock", user=user)

    async def values(self, names: set[str]) -> Mapping[str, object]:
        """Values for these names. `key` is another one each time. Raises KeyError for a name that there is not."""
        values: dict[str, object] = {}
        for name in sorted(names):
            if name == "key":
                values[name] = str(uuid4())
                continue
            if name not in self._values:
                self._values[name] = await getattr(self, f"_{name}")() if hasattr(self, f"_{name}") else _unknown(name)
            values[name] = self._values[name]
        return values

    async def _one(self, name: str) -> object:
        return (await self.values({name}))[name]

    async def _conversation(self) -> object:
        return await self._made(kind="group", members=["bob", "carol"], title="Lunch")

    async def _direct(self) -> object:
        return await self._made(kind="direct", members=["bob"])

    async def _channel(self) -> object:
        return await self._made(kind="channel", members=["bob"], title="News")

    async def _offset(self) -> object:
        return await self._sent("alice", await self._one("conversation"))

    async def _other(self) -> object:
        return await self._sent("bob", await self._one("conversation"))

    async def _thread(self) -> object:
        thread = f"{await self._one('conversation')}~{await self._one('offset')}"
        await self._sent("bob", thread)
        return thread

    async def _code(self) -> object:
        made = await self._call("alice", "invite.create", conversation=await self._one("conversation"))
        self._values["invite"] = made["invite"]["id"]
        return made["invite"]["code"]

    async def _invite(self) -> object:
        await self._one("code")
        return self._values["invite"]

    async def _upload(self) -> object:
        """Its bytes are there; `upload.complete` has not been called."""
        data = TEXT.encode()
        made = await self._call(
            "alice", "upload.create", name="notes.txt", size_bytes=len(data), content_type="text/plain"
        )
        put = made["put"]
        url = put["url"] if put["url"].startswith("http") else self._app.http + put["url"]
        async with (
            aiohttp.ClientSession() as session,
            session.request(put["method"], url, data=data, headers=put["headers"]) as answer,
        ):
            assert answer.status < 300, await answer.text()
        return made["upload"]["id"]

    async def _made(self, **params: Any) -> object:
        return (await self._call("alice", "conversation.create", **params))["conversation"]["id"]

    async def _sent(self, user: str, conversation: object) -> object:
        sent = await self._call(
            user, "message.send", conversation=conversation, idempotency_key=str(uuid4()), text=TEXT
        )
        return sent["message"]["offset"]

    async def _call(self, user: str, method: str, /, **params: Any) -> Any:
        async with self._app.rest(user) as session, session.post(f"/v1/rpc/{method}", json=params) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()


def _unknown(name: str) -> object:
    raise KeyError(f"${name} is no variable; there are conversation, direct, channel, offset, other, thread, key, …")
