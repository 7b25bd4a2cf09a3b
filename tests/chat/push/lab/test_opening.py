"""The whole lab, by the file that says where it is: real senders, with the credentials of `hubbub dev`."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from chat.cli.dev_phones import APP, credentials_of, device_of
from chat.push.credentials import AppKey, checked, provider_of
from chat.push.emulated import vendors_at
from chat.push.lab.opening import Lab, open_lab
from chat.push.lab.whereabouts import LAB_VARIABLE, NoWhereabouts, whereabouts
from chat.push.sending import Accepted, Address, Push, Verdict, WebKeys
from chat.push.vendors import open_vendors
from support.push_words import notification


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with open_lab() as lab:
        yield lab


async def sent(lab: Lab, path: Path) -> dict[str, Verdict]:
    """One to each phone, as a worker would that knows the file alone."""
    where = whereabouts({LAB_VARIABLE: str(path)})
    assert where is not None
    verdicts: dict[str, Verdict] = {}
    async with open_vendors(vendors_at(where)) as openers:
        for credentials in credentials_of(lab):
            name, _ = checked(credentials, emulated=True)
            provider = provider_of(credentials)
            (installed,) = (one for one in lab.installed if one.brought_by == provider)
            device = device_of(installed, at=0)
            keys = WebKeys(device.keys.p256dh, device.keys.auth) if device.keys else None
            to = Address(
                device.id, provider, APP, device.address_kind, device.address, keys=keys, vapid_key=device.vapid_key
            )
            async with openers[provider]((AppKey(provider, APP, name, credentials, 0),), "production") as sender:
                verdicts[provider] = await sender.send(Push(to, notification(), time.time() + 60))
    return verdicts


async def test_every_phone_is_reached_by_who_knows_the_file_alone(lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "lab.json"
    path.write_text(lab.whereabouts.dumped())
    verdicts = await sent(lab, path)
    assert all(isinstance(verdict, Accepted) for verdict in verdicts.values()), verdicts
    seen = lab.phones.seen().phones
    assert {phone.platform for phone in seen} == {"ios", "android", "web"}
    for phone in seen:
        assert [(banner.title, banner.body) for banner in phone.banners] == [("Ada", "Tea at five?")]
        assert (phone.badge, phone.rings) == (4, 1)


async def test_the_phones_are_for_whoever_has_the_secret(lab: Lab) -> None:
    where = lab.whereabouts
    headers = {"Authorization": f"Bearer {where.phones_secret}"}
    async with aiohttp.ClientSession(where.phones_url) as session:
        async with session.get("/phones") as response:
            assert response.status == 401
        async with session.post("/phones/demo-iphone", json={"switch": "offline"}, headers=headers) as response:
            assert response.status == 204
        async with session.post("/phones/demo-iphone", json={"switch": "dozing"}, headers=headers) as response:
            assert response.status == 400
        async with session.post("/phones/nobody", json={"switch": "offline"}, headers=headers) as response:
            assert response.status == 404
        async with session.get("/phones", headers=headers) as response:
            seen = await response.json()
    assert seen["phones"][0]["switches"]["offline"] is True


def test_a_file_that_is_none_is_one_line(tmp_path: Path) -> None:
    assert whereabouts({}) is None
    path = tmp_path / "lab.json"
    with pytest.raises(NoWhereabouts, match="cannot read"):
        whereabouts({LAB_VARIABLE: str(path)})
    path.write_text("{}")
    with pytest.raises(NoWhereabouts, match="is not what"):
        whereabouts({LAB_VARIABLE: str(path)})


async def test_nothing_of_it_prints_a_secret(lab: Lab) -> None:
    where = lab.whereabouts
    said = f"{where!r} {lab.apple_key!r} {lab.vapid!r} {lab.installed!r}"
    secrets = [where.phones_secret, lab.apple_key.private_key, lab.vapid.private]
    assert not any(secret in said for secret in [*secrets, *(one.address for one in lab.installed)])
