"""`device_register`, `device_update`, `device_remove`, `device_list`: in the shapes of Centrifugo PRO.

A device has one id here: made of its user and of the name that it gave itself.
"""

from dataclasses import replace
from typing import Final

from chat.http.deps import HttpDeps
from chat.http.server_api import requests, results
from chat.http.server_api.results import Nothing
from chat.usecases.devices import asked, check_time_zone
from chat.usecases.failures import told
from chat.vocabulary.devices import DeviceRegister
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from realtime.protocol.messages import EMPTY
from storage.model.device import DEVICE_ID_LENGTH, Device, address_digest
from storage.mongo.devices import DeviceQuery

MAX_MOVED: Final = 100
"""Devices that one update gives to another user: each is a transaction."""

_NO_TOPICS: Final = "devices have no topics here: what rings is what their users are members of"


class Devices:
    def __init__(self, deps: HttpDeps) -> None:
        self._deps = deps
        self._store = deps.store
        self._clock_ms = deps.clock_ms

    async def register(self, request: requests.DeviceRegister) -> results.DeviceRegistered:
        """Keep a device as it is now. With the `id` of one, that one; else the address says which it is."""
        if request.topics:
            raise ClientError(codes.NOT_AVAILABLE, _NO_TOPICS, "topics")
        if request.user is None:
            raise ClientError(codes.BAD_REQUEST, "is required: only users are rung", "user")
        service = self._deps.calls.service
        before = await self._before(request)
        device = asked(request.user, _named(request, before), at=self._clock_ms())
        await service.arrivals.arrived(request.user, EMPTY)
        kept = await service.devices.keep(device)
        if before is not None and before.id != kept.id:
            with told():
                await self._store.devices.remove_ids([before.id])
        return results.DeviceRegistered(kept.id)

    async def update(self, request: requests.DeviceUpdate) -> Nothing:
        """Change what is given of all these devices, or of all devices of these users."""
        if request.topics_update is not None:
            raise ClientError(codes.NOT_AVAILABLE, _NO_TOPICS, "topics_update")
        query = _of(request.ids, request.users)
        zone, locale, meta = request.timezone_update, request.locale_update, request.meta_update
        if zone is not None:
            check_time_zone(zone.timezone, "timezone_update.timezone")
        with told():
            await self._store.devices.patch(
                query,
                time_zone=None if zone is None else zone.timezone,
                locale=None if locale is None else locale.locale,
                meta=None if meta is None else tuple(meta.meta.items()),
            )
        if request.user_update is not None:
            await self._give(query, request.user_update.user)
        return Nothing()

    async def remove(self, request: requests.DeviceRemove) -> Nothing:
        """Forget these devices, or all devices of these users. Nothing is sent to them from then on."""
        _of(request.ids, request.users)
        with told():
            if request.ids:
                await self._store.devices.remove_ids(request.ids)
            if request.users:
                await self._store.devices.remove_all(request.users)
        return Nothing()

    async def list(self, request: requests.DeviceList) -> results.Devices:
        """By id, a page at a time."""
        wanted = request.filter or requests.DeviceFilter()
        if wanted.topics:
            raise ClientError(codes.NOT_AVAILABLE, _NO_TOPICS, "filter.topics")
        query = DeviceQuery(
            tuple(wanted.ids or ()),
            tuple(wanted.users or ()),
            tuple(wanted.providers or ()),
            tuple(wanted.platforms or ()),
        )
        limit = request.limit or requests.DEVICES_PAGE
        with told():
            found = await self._store.devices.page(query, after=request.cursor or "", limit=limit + 1)
            total = await self._store.devices.count(query) if request.include_total_count else 0
        page = found[:limit]
        return results.Devices(
            [_result(one, with_meta=bool(request.include_meta)) for one in page],
            next_cursor=page[-1].id if len(found) > limit else "",
            total_count=total,
        )

    async def _before(self, request: requests.DeviceRegister) -> Device | None:
        if not request.id or len(request.id) != DEVICE_ID_LENGTH:
            return None
        with told():
            return await self._store.devices.get(request.id)

    async def _give(self, query: DeviceQuery, user: str) -> None:
        with told():
            found = await self._store.devices.page(query, limit=MAX_MOVED + 1)
        if len(found) > MAX_MOVED:
            raise ClientError(codes.LIMIT_EXCEEDED, f"at most {MAX_MOVED} devices at a time", "user_update")
        service = self._deps.calls.service
        await service.arrivals.arrived(user, EMPTY)
        for device in found:
            # The address moves with it, and takes it from who had it.
            if device.user != user:
                await service.devices.keep(replace(device, user=user))


def _of(ids: list[str] | None, users: list[str] | None) -> DeviceQuery:
    """Raises ClientError where nothing says which: that would be all."""
    if not ids and not users:
        raise ClientError(codes.BAD_REQUEST, "give ids or users", "ids")
    return DeviceQuery(tuple(ids or ()), tuple(users or ()))


def _named(request: requests.DeviceRegister, before: Device | None) -> DeviceRegister:
    """The same as a device would say it of itself."""
    if before is not None:
        name = before.install
    else:
        name = request.id or f"api-{address_digest(request.provider, request.app, request.token)[:DEVICE_ID_LENGTH]}"
    return DeviceRegister(
        device=name,
        provider=request.provider,
        address=request.token,
        app=request.app,
        address_kind=request.address_kind,
        environment=request.environment,
        platform=request.platform,
        keys=request.keys,
        vapid_key=request.vapid_key,
        content_keys=request.content_keys,
        locale=request.locale or "",
        time_zone=request.timezone or "",
        meta=request.meta or {},
    )


def _result(device: Device, *, with_meta: bool) -> results.RegisteredDevice:
    return results.RegisteredDevice(
        id=device.id,
        platform=device.platform,
        provider=device.provider,
        token="",
        user=device.user,
        created_at=device.created_at // 1000,
        updated_at=device.confirmed_at // 1000,
        meta=dict(device.meta) if with_meta else {},
        topics=[],
        app=device.app,
        device=device.install,
        timezone=device.time_zone,
        locale=device.locale,
    )
