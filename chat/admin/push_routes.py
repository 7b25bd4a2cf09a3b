"""The HTTP side of what the admin page shows of push, and lets an operator do."""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Final

import msgspec
import structlog
from aiohttp import web
from msgspec import Meta

from chat.admin.http import Refused, answering, json, read_json
from chat.admin.pushes import Pushes
from chat.admin.sessions import Session
from storage.errors import StorageError

_CONVERSATION: Final = re.compile(r"[a-z2-7]{26}(~[1-9][0-9]{0,12})?")
_USER: Final = re.compile(r"[\x21-\x7e]{1,64}")
_MAX_ID: Final = 128
_MAX_LANE: Final = 200
_MAX_TIME: Final = 2**53 - 1

_log = structlog.get_logger(__name__)

Require = Callable[[web.Request], Session]
"""Who is signed in. Raises Refused."""


class _Letter(msgspec.Struct, forbid_unknown_fields=True):
    id: str


class _Lane(msgspec.Struct, forbid_unknown_fields=True):
    lane: Annotated[str, Meta(max_length=_MAX_LANE)]


class _Since(_Lane, forbid_unknown_fields=True):
    since: Annotated[int, Meta(ge=0, le=_MAX_TIME)]


class _Test(msgspec.Struct, forbid_unknown_fields=True):
    device: str


def push_routes(pushes: Pushes, *, read: Require, change: Require) -> list[web.RouteDef]:
    """Below `/admin/api/push`. `read` and `change` say who may."""
    handlers = _Handlers(pushes, read, change)
    return [
        web.get("/admin/api/push", answering(handlers.get_overview)),
        web.post("/admin/api/push/replay", answering(handlers.replay)),
        web.post("/admin/api/push/discard", answering(handlers.discard)),
        web.post("/admin/api/push/reset", answering(handlers.reset)),
        web.post("/admin/api/push/undo", answering(handlers.undo)),
        web.get("/admin/api/push/devices", answering(handlers.get_devices)),
        web.post("/admin/api/push/test", answering(handlers.test)),
        web.get("/admin/api/push/trace", answering(handlers.get_trace)),
    ]


class _Handlers:
    def __init__(self, pushes: Pushes, read: Require, change: Require) -> None:
        self._pushes = pushes
        self._read = read
        self._change = change

    async def get_overview(self, request: web.Request) -> web.Response:
        self._read(request)
        after = request.query.get("after", "")
        if len(after) > _MAX_ID:
            raise Refused(400, "bad_request", f"after: at most {_MAX_ID} characters")
        async with _stored():
            return json(await self._pushes.overview(after=after))

    async def replay(self, request: web.Request) -> web.Response:
        session = self._change(request)
        letter = (await read_json(request, _Letter)).id
        async with _stored():
            found = await self._pushes.replay(letter)
        _log.info("admin_replayed_push", found=found, session=session.id[:8])
        return _done(found, "dead letter")

    async def discard(self, request: web.Request) -> web.Response:
        session = self._change(request)
        letter = (await read_json(request, _Letter)).id
        async with _stored():
            found = await self._pushes.discard(letter)
        _log.info("admin_discarded_push", found=found, session=session.id[:8])
        return _done(found, "dead letter")

    async def reset(self, request: web.Request) -> web.Response:
        session = self._change(request)
        lane = (await read_json(request, _Lane)).lane
        async with _stored():
            with _named():
                jobs = await self._pushes.reset(lane)
        _log.info("admin_reset_push_lane", lane=lane, jobs=jobs, session=session.id[:8])
        return json({"jobs": jobs})

    async def undo(self, request: web.Request) -> web.Response:
        session = self._change(request)
        body = await read_json(request, _Since)
        async with _stored():
            with _named():
                devices = await self._pushes.undo(body.lane, since=body.since)
        _log.info("admin_undid_tombstones", lane=body.lane, since=body.since, devices=devices, session=session.id[:8])
        return json({"devices": devices})

    async def get_devices(self, request: web.Request) -> web.Response:
        self._read(request)
        async with _stored():
            return json({"items": await self._pushes.devices(_query(request, "user", _USER))})

    async def test(self, request: web.Request) -> web.Response:
        session = self._change(request)
        device = (await read_json(request, _Test)).device
        async with _stored():
            began = await self._pushes.test(device)
        _log.info("admin_tested_push", device=device[:64], found=began is not None, session=session.id[:8])
        if began is None:
            raise Refused(404, "not_found", "there is no such device, or nothing is sent to it any more")
        return json({"conversation": began[0], "offset": began[1]})

    async def get_trace(self, request: web.Request) -> web.Response:
        self._read(request)
        conversation = _query(request, "conversation", _CONVERSATION)
        offset = request.query.get("offset", "")
        if not (offset.isascii() and offset.isdigit() and len(offset) <= 15):
            raise Refused(400, "bad_request", "offset: is that of a message")
        user = _query(request, "user", _USER) if request.query.get("user") else ""
        async with _stored():
            return json({"items": await self._pushes.trace(conversation, int(offset), user=user)})


@asynccontextmanager
async def _stored() -> AsyncIterator[None]:
    try:
        yield
    except StorageError:
        raise Refused(503, "unavailable", "MongoDB does not answer just now", retry_after_s=2) from None


@contextmanager
def _named() -> Iterator[None]:
    try:
        yield
    except ValueError:
        raise Refused(400, "bad_request", "lane: none is called that") from None


def _done(found: bool, what: str) -> web.Response:
    if not found:
        raise Refused(404, "not_found", f"this {what} is gone")
    return json({})


def _query(request: web.Request, name: str, form: re.Pattern[str]) -> str:
    given = request.query.get(name, "")
    if not form.fullmatch(given):
        raise Refused(400, "bad_request", f"{name}: is missing or malformed")
    return given
