"""The vendors' emulators in a process of their own, with as many devices as are asked for, and what has arrived.

    python -m bench.push_lab FILE

FILE is what HUBBUB_LAB is to name. Then it answers, line by line in JSON: `credentials`, `register`, `hang`, `counts`,
`take` (what arrived since it was last asked, by the number that a device was registered under, and when).
"""

import asyncio
import base64
import secrets
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import orjson
import uvloop
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chat.push.lab.apns import ApnsEmulator, open_apns_emulator
from chat.push.lab.apns_faults import NeverAnswer
from chat.push.lab.apns_rules import Registry
from chat.push.lab.apns_tls import ThrowAwayAuthority
from chat.push.lab.fcm import FcmLab
from chat.push.lab.webpush import WebPushLab
from chat.push.lab.whereabouts import Whereabouts
from chat.push.webhook.credentials import new_secret

TEAM: Final = "HUBBUBLAB1"
KEY_ID: Final = "BENCHKEY01"
TOPIC: Final = "org.example.bench"


class Arrivals:
    """What the emulators hand over: a `Screen`."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.counts: Counter[str] = Counter()
        self.arrived: list[tuple[str, int, float]] = []

    def known(self, address: str) -> None:
        self.numbers[address] = len(self.numbers)

    def show(self, brought: str, address: str, headers: Mapping[str, str], payload: bytes) -> None:
        del headers, payload
        self.counts[brought] += 1
        self.arrived.append((brought, self.numbers[address], time.time()))

    def take(self) -> list[tuple[str, int, float]]:
        taken, self.arrived = self.arrived, []
        self.counts.clear()
        return taken


class Lab:
    def __init__(
        self, arrivals: Arrivals, registry: Registry, apns: ApnsEmulator, fcm: FcmLab, web: WebPushLab
    ) -> None:
        self.arrivals = arrivals
        self._registry = registry
        self._apns = apns
        self._fcm = fcm
        self._web = web
        self._apple = ec.generate_private_key(ec.SECP256R1())
        vapid = ec.generate_private_key(ec.SECP256R1())
        self._vapid = packed(vapid.private_numbers().private_value.to_bytes(32, "big"))
        self._vapid_public = packed(point_of(vapid))
        self._secret = new_secret()
        self.hook = ""
        pem = self._apple.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        registry.add_key(TEAM, KEY_ID, pem.decode(), topics=[TOPIC])

    def credentials(self) -> dict[str, Any]:
        """What an app is given by each, by the names of chat.push.credentials."""
        pem = self._apple.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "apns": {"team": TEAM, "key_id": KEY_ID, "topic": TOPIC, "private_key": pem.decode()},
            "fcm": {"account": self._fcm.service_account},
            "webpush": {
                "private": self._vapid,
                "public": self._vapid_public,
                "subject": "mailto:bench@example.org",
                "origins": [self._web.host],
            },
            "webhook": {"url": self.hook, "secret": self._secret, "inside": True},
        }

    def register(self, provider: str, count: int) -> list[dict[str, Any]]:
        """So many new devices; their numbers are those of `take`."""
        return [self._registered(provider) for _ in range(count)]

    def _registered(self, provider: str) -> dict[str, Any]:
        made: dict[str, Any] = {"kind": "token"}
        match provider:
            case "apns":
                made["address"] = secrets.token_hex(32)
                self._registry.add_device(made["address"], TOPIC)
            case "fcm":
                made["address"] = self._fcm.register()
            case "webpush":
                to = self._web.subscribe(self._vapid_public)
                made |= {"kind": "subscription", "address": to.endpoint, "vapid_key": self._vapid_public}
                made |= {"p256dh": packed(to.p256dh), "auth": packed(to.auth)}
            case _:
                made["address"] = secrets.token_hex(16)
        self.arrivals.known(made["address"])
        return {"number": self.arrivals.numbers[made["address"]], **made}

    def hang(self, on: bool) -> None:
        """APNs reads requests and answers none; or answers them again."""
        self._apns.always = NeverAnswer() if on else None

    async def hooked(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        self.arrivals.show("webhook", body["data"]["address"], {}, b"")
        return web.Response()


@asynccontextmanager
async def open_bench_lab() -> AsyncIterator[tuple[Lab, Whereabouts]]:
    arrivals, registry, authority = Arrivals(), Registry(time.time), ThrowAwayAuthority()
    async with AsyncExitStack() as stack:
        apns = await stack.enter_async_context(open_apns_emulator(registry, authority=authority, screen=arrivals))
        sandbox = await stack.enter_async_context(open_apns_emulator(registry, "sandbox", authority=authority))
        fcm = await stack.enter_async_context(FcmLab(clock=time.time, monotonic=time.monotonic, screen=arrivals))
        browsers = await stack.enter_async_context(WebPushLab(clock=time.time, screen=arrivals))
        lab = Lab(arrivals, registry, apns, fcm, browsers)
        app = web.Application()
        app.router.add_post("/hook", lab.hooked)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        lab.hook = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        yield (
            lab,
            Whereabouts(
                apns_ports={"production": apns.port, "sandbox": sandbox.port},
                apns_pem=authority.pem,
                fcm_url=fcm.url,
                webpush_host=browsers.host,
                webpush_pem=browsers.pem,
                phones_url="",
                phones_secret="",
            ),
        )


def answer(lab: Lab, asked: dict[str, Any]) -> Any:
    match asked.pop("do"):
        case "credentials":
            return lab.credentials()
        case "register":
            return lab.register(**asked)
        case "hang":
            return lab.hang(**asked)
        case "counts":
            return lab.arrivals.counts
        case "take":
            return lab.arrivals.take()
        case "cpu":
            return time.process_time()
        case other:
            raise ValueError(other)


def point_of(private: ec.EllipticCurvePrivateKey) -> bytes:
    return private.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


async def main(file: Path) -> None:
    async with open_bench_lab() as (lab, where):
        file.write_text(where.dumped())
        print("ready", flush=True)
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
            sys.stdout.buffer.write(orjson.dumps(answer(lab, orjson.loads(line))) + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))
