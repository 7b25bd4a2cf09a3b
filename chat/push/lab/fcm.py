"""An emulator of Firebase Cloud Messaging: its token endpoint and `messages:send`, strict, and wrong on demand.

It shares no code with the sender: what it refuses, it refuses by Google's own description. It serves plain HTTP on
loopback.
"""

import asyncio
import base64
import binascii
import hashlib
import re
import secrets
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Literal, Self

import orjson
from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from chat.push.lab import fcm_answers as answers
from chat.push.lab.fcm_schema import Refusal, check_request
from chat.push.lab.screen import Screen

_SCOPE: Final = "https://www.googleapis.com/auth/firebase.messaging"
_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_KEPT: Final = 10_000
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{8,}:[A-Za-z0-9_-]{20,}")
_FID: Final = re.compile(r"[cdef][A-Za-z0-9_-]{21}")


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to a request instead of what should. `taken`: the message is accepted nevertheless.

    `answer` makes another one (`fcm_answers` has them). `reset_after_bytes`: the connection breaks in the middle of the
    right one. `hang`: no answer comes.
    """

    answer: Callable[[], web.Response] | None = None
    reset_after_bytes: int | None = None
    hang: bool = False
    taken: bool = False


@dataclass(slots=True)
class Installation:
    """An app on a device. `project`: which it belongs to. `apple`: Firebase hands it on to APNs."""

    project: str
    kind: Literal["token", "fid"]
    registered: bool = True
    apple: bool = False


@dataclass(slots=True)
class Bucket:
    """`left` requests may pass, and `refill_per_s` more each second; None: no limit."""

    left: float
    refill_per_s: float = 0.0


@dataclass(slots=True)
class _Access:
    ends_at_s: float
    revoked: bool = False


@dataclass(slots=True)
class Counts:
    """What has happened so far. `answered`: by status. `peers`: the other ends of connections."""

    tokens: int = 0
    requests: int = 0
    validated: int = 0
    answered: Counter[int] = field(default_factory=Counter)
    peers: set[object] = field(default_factory=set)


class FcmLab:
    """An async context manager. Everything about it may be changed while it runs.

    `token_lifetime_s`: of access tokens from now on. `enabled`: the API is enabled for the project. `apple_keys`: the
    keys for APNs that Firebase was given are good. `screen`: where accepted messages are shown. `accepted`: the last
    messages that were taken, oldest first.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        screen: Screen | None = None,
        project: str = "hubbub-lab",
        port: int = 0,
        key: rsa.RSAPrivateKey | None = None,
    ) -> None:
        """`key`: the account's; to make one takes a good part of a second. `port`: 0 is any that is free."""
        self.screen = screen
        self.token_lifetime_s = 3599.0
        self.enabled = True
        self.apple_keys = True
        self.quota: Bucket | None = None
        self.accepted: Final[deque[dict[str, Any]]] = deque(maxlen=_KEPT)
        self.counts: Final = Counts()
        self.project: Final = project
        self._clock: Final = clock
        self._monotonic: Final = monotonic
        self._port = port
        self._key: Final = key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self._key_id: Final = hashlib.sha256(public).hexdigest()[:40]
        self._email: Final = f"push@{project}.iam.gserviceaccount.com"
        self._access: Final[dict[str, _Access]] = {}
        self._installations: Final[dict[str, Installation]] = {}
        self._faults: Final[deque[Fault]] = deque()
        self._token_faults: Final[deque[Fault]] = deque()
        self._quota_at_s = monotonic()
        self._going: Final = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1024**2)
        app.router.add_post("/token", self._token)
        app.router.add_post("/v1/projects/{project}/messages:send", self._send)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._going.set()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def service_account(self) -> str:
        """The JSON file of an account that may send here."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return orjson.dumps(
            {
                "type": "service_account",
                "project_id": self.project,
                "private_key_id": self._key_id,
                "private_key": pem.decode(),
                "client_email": self._email,
                "client_id": "1" * 21,
                "token_uri": f"{self.url}/token",
            }
        ).decode()

    def register(
        self,
        kind: Literal["token", "fid"] = "token",
        *,
        address: str | None = None,
        project: str | None = None,
        apple: bool = False,
    ) -> str:
        """A new installation; its address. `address`: one that an emulator before this one has given out."""
        if address is None and kind == "token":
            address = f"{secrets.token_urlsafe(16)}:APA91b{secrets.token_urlsafe(100)}"
        elif address is None:
            address = "d" + secrets.token_urlsafe(16)[:21]
        self._installations[address] = Installation(project or self.project, kind, apple=apple)
        return address

    def reregister(self, address: str, kind: Literal["token", "fid"]) -> str:
        """The same installation asks for an address of this kind: what it had is no longer registered."""
        before = self._installations[address]
        before.registered = False
        return self.register(kind, project=before.project, apple=before.apple)

    def unregister(self, address: str) -> None:
        """The app was removed."""
        self._installations[address].registered = False

    def fail(self, fault: Fault, times: int = 1) -> None:
        """The next requests to send, after those that are to fail already."""
        self._faults.extend([fault] * times)

    def fail_token(self, fault: Fault, times: int = 1) -> None:
        """The next requests for an access token."""
        self._token_faults.extend([fault] * times)

    def mend(self) -> None:
        """No more faults."""
        self._faults.clear()
        self._token_faults.clear()

    def revoke_tokens(self) -> None:
        """All access tokens that were given out are refused from now on."""
        for access in self._access.values():
            access.revoked = True

    async def _token(self, request: web.Request) -> web.StreamResponse:
        self.counts.tokens += 1
        form = await request.post()
        fault = self._token_faults.popleft() if self._token_faults else None
        return await self._answer(request, fault, lambda: self._exchange(form))

    def _exchange(self, form: Mapping[str, Any]) -> web.Response:
        if form.get("grant_type") != _GRANT:
            return answers.oauth(400, "unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type', '')}")
        if wrong := self._wrong_with(str(form.get("assertion", ""))):
            return answers.oauth(400, *wrong)
        value = f"ya29.{secrets.token_urlsafe(40)}"
        self._access[value] = _Access(self._monotonic() + self.token_lifetime_s)
        return answers.json(
            200, {"access_token": value, "expires_in": int(self.token_lifetime_s), "token_type": "Bearer"}
        )

    def _wrong_with(self, assertion: str) -> tuple[str, str] | None:
        try:
            head, body, signature = assertion.split(".")
            header, claims = orjson.loads(_decode(head)), orjson.loads(_decode(body))
            signed = f"{head}.{body}".encode()
            if header["alg"] != "RS256" or header.get("kid") not in (None, self._key_id):
                return "invalid_grant", "Invalid JWT Signature."
            self._key.public_key().verify(_decode(signature), signed, padding.PKCS1v15(), hashes.SHA256())
            issuer, audience, scope = claims["iss"], claims["aud"], claims["scope"]
            issued, ends = int(claims["iat"]), int(claims["exp"])
        except (ValueError, KeyError, TypeError, binascii.Error):
            return "invalid_grant", "Invalid JWT: Failed to parse."
        except InvalidSignature:
            return "invalid_grant", "Invalid JWT Signature."
        now = self._clock()
        if issuer != self._email:
            return "invalid_grant", "Invalid grant: account not found"
        if audience != f"{self.url}/token":
            return "invalid_grant", "Invalid JWT: The audience is wrong."
        if scope != _SCOPE:
            return "invalid_scope", "Invalid OAuth scope or ID token audience provided."
        # A clock may differ by a few minutes, the length of the time may not.
        if ends - issued > 3600 or ends <= issued or not issued - 300 <= now < ends + 300:
            return (
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.",
            )
        return None

    async def _send(self, request: web.Request) -> web.StreamResponse:
        self.counts.requests += 1
        if request.transport is not None:
            self.counts.peers.add(request.transport.get_extra_info("peername"))
        body = await request.read()
        fault = self._faults.popleft() if self._faults else None
        response = await self._answer(request, fault, lambda: self._judge(request, body))
        self.counts.answered[response.status] += 1
        return response

    def _judge(self, request: web.Request, body: bytes) -> web.Response:
        if not self._has_access(request):
            return answers.unauthenticated()
        if request.match_info["project"] != self.project:
            return answers.not_found()
        if not self.enabled:
            return answers.permission_denied(self.project)
        if not self._within_quota():
            return answers.quota_exceeded()
        try:
            asked = check_request(body, request.content_type)
        except Refusal as refusal:
            return answers.refused(refusal)
        message = asked["message"]
        kind = "fid" if "fid" in message else "token"
        if wrong := self._wrong_address(kind, message[kind]) if kind in message else None:
            return wrong
        if asked.get("validate_only"):
            self.counts.validated += 1
            return answers.json(200, {"name": f"projects/{self.project}/messages/fake_message_id"})
        self.accepted.append(message)
        if self.screen is not None and kind in message:
            self.screen.show("fcm", message[kind], {}, orjson.dumps(message))
        name = f"0:{int(self._clock() * 1_000_000)}%{secrets.token_hex(8)}"
        return answers.json(200, {"name": f"projects/{self.project}/messages/{name}"})

    def _wrong_address(self, kind: str, address: str) -> web.Response | None:
        if not (_FID if kind == "fid" else _TOKEN).fullmatch(address):
            return answers.invalid_token()
        installation = self._installations.get(address)
        if installation is None or not installation.registered or installation.kind != kind:
            return answers.unregistered()
        if installation.project != self.project:
            return answers.sender_id_mismatch()
        if installation.apple and not self.apple_keys:
            return answers.third_party_auth_error()
        return None

    def _has_access(self, request: web.Request) -> bool:
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        access = self._access.get(value)
        return scheme == "Bearer" and access is not None and not access.revoked and self._monotonic() < access.ends_at_s

    def _within_quota(self) -> bool:
        if self.quota is None:
            return True
        now_s = self._monotonic()
        self.quota.left += (now_s - self._quota_at_s) * self.quota.refill_per_s
        self._quota_at_s = now_s
        if self.quota.left < 1:
            return False
        self.quota.left -= 1
        return True

    async def _answer(
        self, request: web.Request, fault: Fault | None, judged: Callable[[], web.Response]
    ) -> web.StreamResponse:
        if fault is None:
            return judged()
        if fault.reset_after_bytes is not None:
            return await _broken(request, judged(), fault.reset_after_bytes)
        if fault.taken:
            judged()
        if fault.hang:
            await self._going.wait()
        return answers.unavailable() if fault.answer is None else fault.answer()


async def _broken(request: web.Request, response: web.Response, after_bytes: int) -> web.StreamResponse:
    """Says how long the answer is, gives less of it, and is gone."""
    body = response.body if isinstance(response.body, bytes) else b""
    begun = web.StreamResponse(status=response.status, headers={"Content-Type": response.content_type})
    begun.content_length = len(body)
    await begun.prepare(request)
    await begun.write(body[:after_bytes])
    if request.transport is not None:
        request.transport.abort()
    return begun


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
