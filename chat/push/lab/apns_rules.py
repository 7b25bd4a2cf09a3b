"""What APNs accepts, as an emulator's own reading of the vendor's rules: keys, devices, headers, sizes, tokens. Pure,
but for the clock that it is given.

It shares nothing with the client: a provider token is taken apart and verified here, with the public key.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

Environment: TypeAlias = Literal["production", "sandbox"]

MAX_PAYLOAD_BYTES: Final = 4096
MAX_VOIP_BYTES: Final = 5120
MAX_COLLAPSE_BYTES: Final = 64
TOKEN_LASTS_S: Final = 3600.0
TOKEN_MIN_AGE_S: Final = 20 * 60.0

_TYPES: Final = frozenset(
    {
        "alert",
        "background",
        "complication",
        "controls",
        "fileprovider",
        "liveactivity",
        "location",
        "mdm",
        "pushtotalk",
        "voip",
        "widgets",
    }
)
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TOKEN: Final = re.compile(r"[0-9a-fA-F]{64}")
_TOPIC: Final = re.compile(r"[A-Za-z0-9.-]{1,255}")
_SHOWN: Final = frozenset({"alert", "badge", "sound"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer. `delivers`: what was accepted is of a kind that arrives; the vendor drops some without a word."""

    status: int
    reason: str = ""
    timestamp: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    delivers: bool = True


@dataclass(slots=True)
class Device:
    """`gone_at`: since when it is unregistered, ms UTC. `limited`: too many for it at the moment."""

    topic: str
    environment: Environment
    gone_at: int | None = None
    gone_reason: str = "Unregistered"
    limited: bool = False


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A team's key. `topics` and `environment` where it is for some only."""

    public: EllipticCurvePublicKey
    topics: frozenset[str] | None = None
    environment: Environment | None = None


@dataclass(slots=True)
class Seen:
    """The provider token that was used last, and since when."""

    token: str
    since_s: float


@dataclass(slots=True)
class Session:
    """What the vendor remembers of a connection."""

    team: str = ""
    wedged: bool = False
    trusted: bool = False
    seen: dict[tuple[str, str], Seen] = field(default_factory=dict)


@dataclass(slots=True)
class Registry:
    """All that the vendor knows, for both environments. `per_host`: changes of provider tokens are counted for the
    host and not for the connection alone; two workers without a shared token fail then.
    """

    clock: Callable[[], float]
    per_host: bool = False
    keys: dict[tuple[str, str], SigningKey] = field(default_factory=dict)
    topics: dict[str, set[str]] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)
    hosts: dict[str, dict[tuple[str, str], Seen]] = field(default_factory=dict)

    def add_key(
        self,
        team: str,
        key_id: str,
        public_pem: str,
        *,
        topics: Sequence[str] = (),
        environment: Environment | None = None,
        only: Sequence[str] | None = None,
    ) -> None:
        """`topics`: the apps of the team. `only`, `environment`: where this key is for some of them."""
        public = load_pem_public_key(public_pem.encode())
        if not isinstance(public, EllipticCurvePublicKey):
            raise TypeError("an ES256 key is needed")
        self.keys[team, key_id] = SigningKey(public, None if only is None else frozenset(only), environment)
        self.topics.setdefault(team, set()).update(topics)

    def add_device(self, token: str, topic: str, environment: Environment = "production") -> Device:
        device = self.devices[token] = Device(topic, environment)
        return device

    def judge(
        self,
        environment: Environment,
        session: Session,
        host: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
    ) -> Verdict:
        """The answer to one request."""
        names = [name for name, _ in headers]
        known = dict(headers)
        if known.get(":method") != "POST":
            return Verdict(405, "MethodNotAllowed")
        path = known.get(":path", "")
        if not path.startswith("/3/device/"):
            return Verdict(404, "BadPath")
        if len(names) != len(known):
            return Verdict(400, "DuplicateHeaders")
        refused, team = self._authorized(environment, session, host, known)
        if refused is not None:
            return refused
        return (
            self._topic(team, known)
            or _headers_checked(known)
            or _sized(known, body)
            or self._addressed(environment, path.removeprefix("/3/device/"), known)
            or Verdict(200, delivers=_arrives(known, body))
        )

    def _authorized(
        self, environment: Environment, session: Session, host: str, known: Mapping[str, str]
    ) -> tuple[Verdict | None, str]:
        if session.wedged:
            return Verdict(403, "ExpiredProviderToken"), ""
        kind, _, token = known.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            return Verdict(403, "MissingProviderToken"), ""
        claims = _claims(token)
        if claims is None:
            return Verdict(403, "InvalidProviderToken"), ""
        team, key_id, issued_at = claims
        key = self.keys.get((team, key_id))
        if key is None or not _verified(token, key.public):
            return Verdict(403, "InvalidProviderToken"), ""
        now = self.clock()
        if abs(now - issued_at) > TOKEN_LASTS_S:
            session.wedged = True
            return Verdict(403, "ExpiredProviderToken"), ""
        if session.team and session.team != team:
            return Verdict(403, "InvalidProviderToken"), ""
        session.team = team
        memories = [session.seen] + ([self.hosts.setdefault(host, {})] if self.per_host else [])
        if any(_hasty(memory.get((team, key_id)), token, now) for memory in memories):
            return Verdict(429, "TooManyProviderTokenUpdates"), ""
        for memory in memories:
            if (seen := memory.get((team, key_id))) is None or seen.token != token:
                memory[team, key_id] = Seen(token, now)
        if key.environment not in {None, environment}:
            return Verdict(403, "BadEnvironmentKeyIdInToken"), ""
        if key.topics is not None and known.get("apns-topic") not in key.topics:
            return Verdict(403, "UnrelatedKeyIdInToken"), ""
        session.trusted = True
        return None, team

    def _topic(self, team: str, known: Mapping[str, str]) -> Verdict | None:
        topic = known.get("apns-topic")
        if not topic:
            return Verdict(400, "MissingTopic")
        if not _TOPIC.fullmatch(topic):
            return Verdict(400, "BadTopic")
        if topic not in self.topics.get(team, ()):
            return Verdict(400, "TopicDisallowed")
        return None

    def _addressed(self, environment: Environment, token: str, known: Mapping[str, str]) -> Verdict | None:
        if not token:
            return Verdict(400, "MissingDeviceToken")
        device = self.devices.get(token)
        if device is None or not _TOKEN.fullmatch(token) or device.environment != environment:
            return Verdict(400, "BadDeviceToken")
        if device.topic != known["apns-topic"]:
            return Verdict(400, "DeviceTokenNotForTopic")
        if device.gone_at is not None:
            return Verdict(410, device.gone_reason, device.gone_at)
        if device.limited:
            return Verdict(429, "TooManyRequests")
        return None


def _headers_checked(known: Mapping[str, str]) -> Verdict | None:
    kind = known.get("apns-push-type", "alert")
    if kind not in _TYPES:
        return Verdict(400, "InvalidPushType")
    if "apns-id" in known and not _UUID.fullmatch(known["apns-id"]):
        return Verdict(400, "BadMessageId")
    if not re.fullmatch(r"[0-9]{1,12}", known.get("apns-expiration", "0")):
        return Verdict(400, "BadExpirationDate")
    allowed = {"1", "5"} if kind == "background" else {"1", "5", "10"}
    if known.get("apns-priority", "5" if kind == "background" else "10") not in allowed:
        return Verdict(400, "BadPriority")
    if len(known.get("apns-collapse-id", "").encode()) > MAX_COLLAPSE_BYTES:
        return Verdict(400, "BadCollapseId")
    return None


def _sized(known: Mapping[str, str], body: bytes) -> Verdict | None:
    if not body:
        return Verdict(400, "PayloadEmpty")
    if len(body) > (MAX_VOIP_BYTES if known.get("apns-push-type") == "voip" else MAX_PAYLOAD_BYTES):
        return Verdict(413, "PayloadTooLarge")
    return None


def _arrives(known: Mapping[str, str], body: bytes) -> bool:
    """A payload that is none, or of another kind than its header says, is accepted and dropped."""
    try:
        aps = json.loads(body)["aps"]
        shown = bool(_SHOWN & aps.keys())
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    return shown if known.get("apns-push-type", "alert") == "alert" else not shown and "content-available" in aps


def _hasty(seen: Seen | None, token: str, now: float) -> bool:
    return seen is not None and seen.token != token and now - seen.since_s < TOKEN_MIN_AGE_S


def _claims(token: str) -> tuple[str, str, float] | None:
    """Team, key id and when it was issued, not verified."""
    try:
        head, body, _ = token.split(".")
        header, claims = _object(head), _object(body)
        team, key_id, issued_at = claims["iss"], header["kid"], claims["iat"]
    except (ValueError, KeyError, TypeError):
        return None
    if header.get("alg") != "ES256" or not isinstance(team, str) or not isinstance(key_id, str):
        return None
    if isinstance(issued_at, bool) or not isinstance(issued_at, int | float):
        return None
    return team, key_id, float(issued_at)


def _verified(token: str, public: EllipticCurvePublicKey) -> bool:
    signed, _, signature = token.rpartition(".")
    try:
        raw = _decoded(signature)
    except (ValueError, binascii.Error):
        return False
    if len(raw) != 64:
        return False
    pair = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    try:
        public.verify(pair, signed.encode(), ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _object(part: str) -> dict[str, Any]:
    found = json.loads(_decoded(part))
    if not isinstance(found, dict):
        raise TypeError
    return found


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
