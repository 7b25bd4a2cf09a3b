"""An operator's mistakes with keys: swapped environments, a wrong bundle id. No device is lost, and once they are
mended no message either.
"""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chat.push.credentials import ApnsCredentials
from chat.push.lab.apns_rules import Environment
from chat.push.lab.handset import Handset
from chat.push.lab.opening import TEAM, TOPIC
from support.ringing import Ringing
from support.talking import group, say
from support.waiting import eventually
from support.wire_client import WireClient

pytestmark = pytest.mark.asyncio(loop_scope="module")

OTHER_TOPIC = "org.example.other"
ENVIRONMENTS: tuple[Environment, ...] = ("production", "sandbox")


@dataclass
class Shop:
    """An app of its own, so with lanes of its own, and people who have it on their iPhones."""

    ring: Ringing
    dave: WireClient
    app: str
    phones: dict[str, Handset] = field(default_factory=dict)

    async def sell(self, token_of: Environment = "production", *, said: Environment = "production") -> str:
        """To somebody whose token is of that environment, and whose app says that it is of this one; who it is."""
        user = self.ring.somebody()
        self.phones[user] = await self.ring.get(user, "ios", token_of=token_of, app=self.app, environment=said)
        return user

    def new_key(self, *, only: Environment | None = None) -> dict[str, str]:
        """One that Apple hands out, for both environments or one."""
        private, key_id = ec.generate_private_key(ec.SECP256R1()), secrets.token_hex(5).upper()
        public = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        registry = self.ring.lab.apns["production"].registry
        registry.add_key(TEAM, key_id, public.decode(), topics=[TOPIC], environment=only)
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {"key_id": key_id, "private_key": pem.decode()}

    async def keep(self, key: dict[str, str], *, topic: str = TOPIC, environment: Environment | None = None) -> None:
        """What the operator enters, which may be wrong."""
        await self.ring.apps.add(self.app, ApnsCredentials(TEAM, topic=topic, environment=environment, **key))

    async def forget_keys(self) -> None:
        for row in await self.ring.apps.rows():
            if row.app == self.app:
                await self.ring.store.push_apps.remove(row.provider, row.app, row.name)

    def answers(self, status: int, reason: str) -> int:
        return sum(self.ring.lab.apns[one].answers[status, reason] for one in ENVIRONMENTS)

    async def says(self, text: str) -> tuple[str, int]:
        """In a conversation of its own; that, and the offset."""
        conversation = await group(self.dave, *self.phones, title="Shop")
        return conversation, int((await say(self.dave, conversation, text))["message"]["offset"])

    async def all_are_kept(self) -> None:
        assert all([await self.ring.is_active(user, "ios") for user in self.phones])

    async def all_see(self, *bodies: str, rings: int = 1) -> None:
        for user in self.phones:
            await self.ring.sees(user, *bodies, badge=len(bodies), rings=rings, on=("ios",))


@pytest_asyncio.fixture(loop_scope="module")
async def shop(ring: Ringing) -> AsyncIterator[Shop]:
    async with ring.user(ring.somebody(), called="Dave") as dave:
        yield Shop(ring, dave, f"app-{secrets.token_hex(4)}")


async def test_devices_of_the_other_environment_are_found_there_and_stay(shop: Shop) -> None:
    await shop.keep(shop.new_key())
    sandbox = [await shop.sell("sandbox") for _ in range(3)]
    production = await shop.sell("production")
    before = shop.answers(400, "BadDeviceToken")
    await shop.says("Hello")
    await shop.all_see("Dave: Hello")
    assert shop.answers(400, "BadDeviceToken") == before + 3
    await shop.all_are_kept()
    kept = {user: (await shop.ring.store.devices.of_user(user))[0].environment for user in shop.phones}
    assert kept == {**dict.fromkeys(sandbox, "sandbox"), production: "production"}
    # From now on they are asked for where they are.
    await shop.says("Hello again")
    await shop.all_see("Dave: Hello", "Dave: Hello again", rings=2)
    assert shop.answers(400, "BadDeviceToken") == before + 3


async def test_swapped_keys_lose_no_device_and_no_message(shop: Shop) -> None:
    keys = {environment: shop.new_key(only=environment) for environment in ENVIRONMENTS}
    await shop.keep(keys["production"], environment="sandbox")
    await shop.keep(keys["sandbox"], environment="production")
    for _ in range(4):
        await shop.sell("production")
        await shop.sell("sandbox", said="sandbox")
    before = shop.answers(403, "BadEnvironmentKeyIdInToken")
    await shop.says("Hello")
    await eventually(lambda: shop.answers(403, "BadEnvironmentKeyIdInToken") >= before + 2)
    await shop.all_are_kept()
    await shop.forget_keys()
    for environment, key in keys.items():
        await shop.keep(key, environment=environment)
    await shop.all_see("Dave: Hello")
    await shop.all_are_kept()


@pytest.mark.parametrize(("known", "reason"), [(False, "TopicDisallowed"), (True, "DeviceTokenNotForTopic")])
async def test_a_wrong_bundle_id_loses_no_device_and_no_message(shop: Shop, known: bool, reason: str) -> None:
    topic = OTHER_TOPIC if known else "org.example.nobodys"
    if known:
        shop.ring.lab.apns["production"].registry.topics[TEAM].add(OTHER_TOPIC)
    key = shop.new_key()
    await shop.keep(key, topic=topic)
    for _ in range(6):
        await shop.sell()
    before = shop.answers(400, reason)
    await shop.says("Hello")
    await eventually(lambda: shop.answers(400, reason) > before)
    await shop.all_are_kept()
    await shop.keep(key)
    await shop.all_see("Dave: Hello")
    await shop.all_are_kept()


async def test_a_key_that_apple_has_never_seen_loses_no_device_and_no_message(shop: Shop) -> None:
    wrong = {**shop.new_key(), "key_id": "NOBODYKNOW"}
    await shop.keep(wrong)
    await shop.sell()
    before = shop.answers(403, "InvalidProviderToken")
    await shop.says("Hello")
    await eventually(lambda: shop.answers(403, "InvalidProviderToken") > before)
    await shop.all_are_kept()
    # Beside the wrong one, which the operator has not taken away yet.
    await shop.keep(shop.new_key())
    await shop.all_see("Dave: Hello")


async def test_an_app_whose_keys_come_later_than_its_devices_is_told_then(shop: Shop) -> None:
    user = await shop.sell()
    conversation, offset = await shop.says("Hello")
    await shop.ring.traced(user, conversation, offset, "alert:credentials_at_fault:not_set_up")
    await shop.all_are_kept()
    await shop.keep(shop.new_key())
    await shop.all_see("Dave: Hello")
