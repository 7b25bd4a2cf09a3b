"""An emulator of push services for browsers: strict, and wrong on demand. It opens what it takes.

It shares no code with the sender. It serves TLS on loopback, under the name of this machine, or in place of a vendor:
`resolver` leads every name here, and `trust` believes that it is right.
"""

import asyncio
import secrets
import socket
import ssl
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chat.push.lab.apns_tls import ThrowAwayAuthority
from chat.push.lab.screen import Screen
from chat.push.lab.webpush_rules import (
    ANSWERS,
    MAX_BODY_BYTES,
    Profile,
    Refused,
    Request,
    Said,
    Wrong,
    check_headers,
    open_sealed,
    packed,
    unpacked,
)

_KEPT: Final = 10_000

ORIGINS: Final[Mapping[Profile, str]] = {
    "apple": "https://web.push.apple.com",
    "mozilla": "https://updates.push.services.mozilla.com",
    "google": "https://fcm.googleapis.com",
    "ntfy": "https://ntfy.example.com",
}
"""Where the real ones are; an emulator can stand in for them."""

_PATHS: Final[Mapping[Profile, str]] = {"apple": "/", "mozilla": "/wpush/v2/", "google": "/fcm/send/", "ntfy": "/up"}

Decrypt = Callable[[bytes, ec.EllipticCurvePrivateKey, bytes], bytes]


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to a request instead of what should. `taken`: the message is delivered nevertheless.

    An answer of its own, or `hang`: none comes, or `reset`: the connection breaks.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    hang: bool = False
    reset: bool = False
    taken: bool = False


HANG: Final = Fault(hang=True)
RESET: Final = Fault(reset=True)


def redirect(location: str = "http://169.254.169.254/latest/meta-data/") -> Fault:
    return Fault(307, {"Location": location})


def busy(status: int = 429, after: str = "") -> Fault:
    """`after`: Retry-After, in seconds or as a date; empty: without."""
    return Fault(status, {"Retry-After": after} if after else {})


@dataclass(frozen=True, slots=True)
class Message:
    """One that was accepted, opened. `headers` by name in lower case."""

    endpoint: str
    request: Request
    headers: Mapping[str, str] = field(repr=False)
    payload: bytes = field(repr=False)


@dataclass(slots=True)
class Subscription:
    """A browser's."""

    endpoint: str
    profile: Profile
    origin: str
    vapid_key: str
    private: ec.EllipticCurvePrivateKey = field(repr=False)
    auth: bytes = field(repr=False)
    gone: bool = False

    @property
    def p256dh(self) -> bytes:
        """65 bytes, uncompressed."""
        return self.private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )

    def to_json(self) -> dict[str, Any]:
        """As `PushSubscription.toJSON()` of a browser."""
        keys = {"p256dh": packed(self.p256dh), "auth": packed(self.auth)}
        return {"endpoint": self.endpoint, "expirationTime": None, "keys": keys}

    def saved(self) -> dict[str, str]:
        """All of it, for `WebPushLab.restore`."""
        secret = self.private.private_numbers().private_value.to_bytes(32, "big")
        return {
            "endpoint": self.endpoint,
            "profile": self.profile,
            "vapid_key": self.vapid_key,
            "private": packed(secret),
            "auth": packed(self.auth),
        }


class WebPushLab:
    """An async context manager. Everything about it may be changed while it runs.

    `screen`: where accepted messages are shown. `accepted`: the last messages that were taken, `refused`: why others
    were not, oldest first. `answered` counts by status, `connections` what got as far as a handshake.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        screen: Screen | None = None,
        decrypt: Decrypt = open_sealed,
        port: int = 0,
    ) -> None:
        """`clock`: wall clock in seconds. `decrypt` opens a body with a private key and the 16 bytes of `auth`."""
        self.screen = screen
        self.accepted: Final[deque[Message]] = deque(maxlen=_KEPT)
        self.refused: Final[deque[tuple[Wrong, str]]] = deque(maxlen=_KEPT)
        self.answered: Final[Counter[int]] = Counter()
        self.connections = 0
        self._clock: Final = clock
        self._decrypt: Final = decrypt
        self._port = port
        self._authority: Final = ThrowAwayAuthority()
        self._subscriptions: Final[dict[tuple[str, str], Subscription]] = {}
        self._faults: Final[deque[Fault]] = deque()
        self._faults_of: Final[dict[str, deque[Fault]]] = {}
        self._ending: Final = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1024**2)
        app.router.add_post("/{tail:.*}", self._received)
        context = self._authority.server(["http/1.1"])
        context.sni_callback = self._greeted
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=context).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ending.set()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def host(self) -> str:
        """For a list of allowed hosts, with the port."""
        return f"localhost:{self._port}"

    @property
    def pem(self) -> str:
        """The certificate of the authority that vouches for it."""
        return self._authority.pem

    @property
    def trust(self) -> ssl.SSLContext:
        """For a client of its own: believes this authority alone, under whatever name."""
        context = self._authority.client()
        context.check_hostname = False
        return context

    @property
    def resolver(self) -> AbstractResolver:
        """Leads every name to it, whatever the port."""
        return _Here(self._port)

    def subscribe(self, vapid_key: str, profile: Profile = "google", *, in_place: bool = False) -> Subscription:
        """A new browser's, pinned to the public key (base64url). `in_place`: at the vendor's own origin, which leads
        here by `resolver` alone.
        """
        origin = ORIGINS[profile] if in_place else f"https://{self.host}"
        path = f"{_PATHS[profile]}{secrets.token_urlsafe(48)}{'?up=1' if profile == 'ntfy' else ''}"
        private, auth = ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(16)
        return self._know(Subscription(origin + path, profile, origin, vapid_key, private, auth))

    def restore(self, saved: Mapping[str, str]) -> Subscription:
        """One that an emulator before this one has made, at the same port. Raises ValueError or KeyError for what is
        none.
        """
        profile = {str(one): one for one in ORIGINS}[saved["profile"]]
        origin = "/".join(saved["endpoint"].split("/")[:3])
        private = ec.derive_private_key(int.from_bytes(unpacked(saved["private"]), "big"), ec.SECP256R1())
        auth = unpacked(saved["auth"])
        return self._know(Subscription(saved["endpoint"], profile, origin, saved["vapid_key"], private, auth))

    def unsubscribe(self, subscription: Subscription) -> None:
        """From now on it is gone (410)."""
        subscription.gone = True

    def forget(self, subscription: Subscription) -> None:
        """From now on nobody has heard of it (404)."""
        for place in [place for place, known in self._subscriptions.items() if known is subscription]:
            del self._subscriptions[place]

    def fail(self, *faults: Fault, subscription: Subscription | None = None) -> None:
        """The next requests, one each; to one subscription, or to any."""
        queue = self._faults if subscription is None else self._faults_of.setdefault(subscription.endpoint, deque())
        queue.extend(faults)

    def _know(self, subscription: Subscription) -> Subscription:
        host = subscription.origin.removeprefix("https://")
        self._subscriptions[host, subscription.endpoint.removeprefix(subscription.origin)] = subscription
        return subscription

    def _greeted(self, _socket: object, _name: str | None, _context: ssl.SSLContext) -> None:
        self.connections += 1

    async def _received(self, request: web.Request) -> web.StreamResponse:
        subscription = self._subscriptions.get((request.host, request.raw_path))
        body = await request.read()
        fault = self._fault(subscription)
        if fault is not None and not fault.taken:
            return await self._faulty(request, fault)
        try:
            message = self._taken(subscription, request, body)
        except Refused as refused:
            self.refused.append((refused.wrong, refused.why))
            profile: Profile = "google" if subscription is None else subscription.profile
            return self._answer(ANSWERS[profile][refused.wrong])
        if fault is not None:
            return await self._faulty(request, fault)
        headers = {"TTL": str(message.request.ttl_s), "Location": f"https://{request.host}/m/{secrets.token_hex(16)}"}
        return self._answer(Said(201), headers)

    def _taken(self, subscription: Subscription | None, request: web.Request, body: bytes) -> Message:
        if subscription is None:
            raise Refused(Wrong.UNKNOWN, "no such subscription")
        if subscription.gone:
            raise Refused(Wrong.GONE, "unsubscribed")
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = check_headers(
            headers,
            profile=subscription.profile,
            origin=subscription.origin,
            vapid_key=subscription.vapid_key,
            now_s=self._clock(),
        )
        if len(body) > MAX_BODY_BYTES:
            raise Refused(Wrong.SIZE, f"{len(body)} bytes")
        payload = self._decrypt(body, subscription.private, subscription.auth)
        message = Message(subscription.endpoint, asked, headers, payload)
        self.accepted.append(message)
        if self.screen is not None:
            self.screen.show("webpush", message.endpoint, message.headers, message.payload)
        return message

    def _fault(self, subscription: Subscription | None) -> Fault | None:
        own = self._faults_of.get(subscription.endpoint) if subscription else None
        queue = own or self._faults
        return queue.popleft() if queue else None

    async def _faulty(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if fault.hang:
            await self._ending.wait()
        if (fault.reset or fault.hang) and request.transport is not None:
            request.transport.abort()
        return self._answer(Said(fault.status or 500, fault.body), fault.headers)

    def _answer(self, said: Said, headers: Mapping[str, str] | None = None) -> web.Response:
        self.answered[said.status] += 1
        return web.Response(status=said.status, body=said.body, content_type=said.content_type, headers=headers)


class _Here(AbstractResolver):
    def __init__(self, port: int) -> None:
        self._port: Final = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del port, family
        return [
            ResolveResult(
                hostname=host,
                host="127.0.0.1",
                port=self._port,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        pass
