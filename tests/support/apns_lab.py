"""Both environments of APNs on loopback, and a client for them."""

import dataclasses
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chat.push.apns import Apns, ApnsSettings, App, ConnectionSettings, Key, Place, open_apns, tls
from chat.push.lab.apns import HOST, ApnsEmulator, open_apns_emulator
from chat.push.lab.apns_rules import Environment, Registry
from chat.push.lab.apns_tls import ThrowAwayAuthority
from chat.push.lab.screen import Screen
from chat.push.sending import Address, Kind, Notification, Provider, Push, Verdict

TEAM = "TEAM000001"
KEY_ID = "KEY0000001"
TOPIC = "org.example.chat"
NOW_S = 1_800_000_000.0


@dataclass
class Clock:
    """Wall clock and monotonic clock of the client's tokens and of the emulators. Moved by hand."""

    now_s: float = NOW_S

    def __call__(self) -> float:
        return self.now_s


@cache
def pem_pair(name: str) -> tuple[str, str]:
    """A private key and its public one; another for each name."""
    key = ec.generate_private_key(ec.SECP256R1())
    return (
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode(),
    )


@cache
def authority() -> ThrowAwayAuthority:
    return ThrowAwayAuthority()


def key_of(team: str = TEAM, key_id: str = KEY_ID, name: str = "") -> Key:
    return Key(team, key_id, pem_pair(name)[0])


def notification(**changes: Any) -> Notification:
    plain = Notification(
        kind=Kind.ALERT,
        job_id=secrets.token_hex(8),
        collapse_id="c" * 32,
        conversation="conversation-1",
        upto=7,
        title="Ada",
        body="Hello",
        badge=3,
    )
    return dataclasses.replace(plain, **changes)


def push_to(token: str, environment: Environment = "production", **changes: Any) -> Push:
    address = Address(f"device-{token[:8]}", Provider.APNS, "app", "token", token, environment)
    return Push(address, notification(**changes), NOW_S + 3600)


@dataclass
class Lab:
    registry: Registry
    production: ApnsEmulator
    sandbox: ApnsEmulator
    apns: Apns
    clock: Clock

    def sender(
        self, environment: Environment = "production", topic: str = TOPIC, key: Key | None = None
    ) -> Callable[[Push], Coroutine[Any, Any, Verdict]]:
        return self.apns.sender(App(key or key_of(), topic), environment).send

    def device(self, environment: Environment = "production", topic: str = TOPIC) -> str:
        token = secrets.token_hex(32)
        self.registry.add_device(token, topic, environment)
        return token

    def gone(self, at: int) -> str:
        token = self.device()
        self.registry.devices[token].gone_at = at
        return token


QUICK = ConnectionSettings(deadline_s=20, reconnect_s=0.05, max_reconnect_s=0.2, drain_s=5)
"""Patient where a test waits for success, quick where it waits for a second attempt."""


@asynccontextmanager
async def apns_lab(
    connection: ConnectionSettings = QUICK,
    *,
    settings: ApnsSettings | None = None,
    initial_window: int = 65535,
    max_streams: int = 1000,
    per_host: bool = False,
    screen: Screen | None = None,
) -> AsyncIterator[Lab]:
    """Ends with the check that the client kept to HTTP/2."""
    clock = Clock()
    registry = Registry(clock, per_host=per_host)
    registry.add_key(TEAM, KEY_ID, pem_pair("")[1], topics=[TOPIC, "org.example.other"])
    async with AsyncExitStack() as stack:
        emulators: dict[Environment, ApnsEmulator] = {}
        places: dict[Environment, Place] = {}
        environments: tuple[Environment, ...] = ("production", "sandbox")
        for environment in environments:
            emulator = await stack.enter_async_context(
                open_apns_emulator(
                    registry,
                    environment,
                    authority=authority(),
                    screen=screen,
                    initial_window=initial_window,
                    max_streams=max_streams,
                )
            )
            emulators[environment] = emulator
            places[environment] = Place(HOST, emulator.port, tls(authority().client()), "127.0.0.1")
        whole = dataclasses.replace(settings or ApnsSettings(), connection=connection)
        apns = await stack.enter_async_context(open_apns(whole, places=places, clock=clock))
        yield Lab(registry, emulators["production"], emulators["sandbox"], apns, clock)
        assert emulators["production"].violations == []
        assert emulators["sandbox"].violations == []
