"""What push services check, and what they answer: strict, by their own descriptions. Pure, and no code of the sender's.

Three vendors say the same things in three ways, and are strict about different ones; `ntfy` stands for UnifiedPush
servers, which need no key at all.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

Profile: TypeAlias = Literal["apple", "mozilla", "google", "ntfy"]

MAX_BODY_BYTES: Final = 4096
MAX_TTL_S: Final = 30 * 24 * 3600

_DAY_S: Final = 24 * 3600
_AUTHORIZATION: Final = re.compile(r"vapid t=([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+), ?k=([A-Za-z0-9_-]{87})")
_TOPIC: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_URGENCIES: Final = frozenset({"very-low", "low", "normal", "high"})
_MAIL: Final = re.compile(r"mailto:[^\s<>@]+@([^\s<>@:/]+\.[^\s<>@:/.]+)")
_SITE: Final = re.compile(r"https://([^\s/?#@:]+\.[^\s/?#@:.]+)([/?#:]\S*)?")


class Wrong(StrEnum):
    """What a request has wrong."""

    UNKNOWN = "unknown"
    GONE = "gone"
    TOKEN = "token"  # noqa: S105 (a word, no secret)
    KEY = "key"
    TTL_MISSING = "ttl_missing"
    TTL = "ttl"
    TOPIC = "topic"
    URGENCY = "urgency"
    ENCODING = "encoding"
    SIZE = "size"
    SEALED = "sealed"
    """It cannot be opened. No real service would know; a browser would drop it in silence."""


class Refused(Exception):
    """`why` is for who reads a failed test; it is not answered."""

    def __init__(self, wrong: Wrong, why: str) -> None:
        super().__init__(f"{wrong}: {why}")
        self.wrong = wrong
        self.why = why


@dataclass(frozen=True, slots=True)
class Said:
    """How an answer is worded."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain"


@dataclass(frozen=True, slots=True)
class Request:
    """What the headers of an accepted request ask for."""

    ttl_s: int
    topic: str
    urgency: str


def _apple(status: int, reason: str) -> Said:
    return Said(status, json.dumps({"reason": reason}).encode(), "application/json")


def _mozilla(status: int, errno: int, error: str) -> Said:
    body = {"code": status, "errno": errno, "error": error, "message": error, "more_info": "https://example.com/"}
    return Said(status, json.dumps(body).encode(), "application/json")


def _google(status: int, text: str) -> Said:
    return Said(status, f"{text}\n".encode())


def _ntfy(status: int, text: str) -> Said:
    return Said(
        status, json.dumps({"code": status * 100 + 1, "http": status, "error": text}).encode(), "application/json"
    )


ANSWERS: Final[Mapping[Profile, Mapping[Wrong, Said]]] = MappingProxyType(
    {
        "apple": {
            Wrong.UNKNOWN: _apple(404, "BadPath"),
            Wrong.GONE: _apple(410, "Unregistered"),
            Wrong.TOKEN: _apple(403, "BadJwtToken"),
            Wrong.KEY: _apple(400, "VapidPkHashMismatch"),
            Wrong.TTL_MISSING: _apple(400, "BadTtl"),
            Wrong.TTL: _apple(400, "BadTtl"),
            Wrong.TOPIC: _apple(400, "BadWebPushTopic"),
            Wrong.URGENCY: _apple(400, "BadUrgency"),
            Wrong.ENCODING: _apple(400, "BadContentEncoding"),
            Wrong.SIZE: _apple(413, "PayloadTooLarge"),
            Wrong.SEALED: _apple(400, "BadSealing"),
        },
        "mozilla": {
            Wrong.UNKNOWN: _mozilla(404, 102, "Not Found"),
            Wrong.GONE: _mozilla(410, 106, "Gone"),
            Wrong.TOKEN: _mozilla(401, 109, "Unauthorized"),
            Wrong.KEY: _mozilla(401, 109, "Unauthorized"),
            Wrong.TTL_MISSING: _mozilla(400, 111, "Bad Request"),
            Wrong.TTL: _mozilla(400, 112, "Bad Request"),
            Wrong.TOPIC: _mozilla(400, 113, "Bad Request"),
            Wrong.URGENCY: _mozilla(400, 114, "Bad Request"),
            Wrong.ENCODING: _mozilla(400, 110, "Bad Request"),
            Wrong.SIZE: _mozilla(413, 104, "Payload Too Large"),
            Wrong.SEALED: _mozilla(400, 110, "Bad Request"),
        },
        "google": {
            Wrong.UNKNOWN: _google(404, "A valid push subscription endpoint should be specified in the URL."),
            Wrong.GONE: _google(410, "push subscription has unsubscribed or expired."),
            Wrong.TOKEN: _google(403, "invalid JWT provided"),
            Wrong.KEY: _google(
                403,
                "the VAPID credentials in the authorization header do not correspond to the credentials used to "
                "create the subscriptions.",
            ),
            Wrong.TTL_MISSING: _google(400, "missing TTL"),
            Wrong.TTL: _google(400, "bad TTL"),
            Wrong.TOPIC: _google(400, "bad Topic"),
            Wrong.URGENCY: _google(400, "bad Urgency"),
            Wrong.ENCODING: _google(400, "bad Content-Encoding"),
            Wrong.SIZE: _google(413, "payload too large"),
            Wrong.SEALED: _google(400, "cannot be opened"),
        },
        "ntfy": {
            **dict.fromkeys(Wrong, _ntfy(400, "invalid request")),
            Wrong.UNKNOWN: _ntfy(404, "page not found"),
            Wrong.GONE: _ntfy(404, "page not found"),
            Wrong.SIZE: _ntfy(413, "message too large"),
        },
    }
)


def check_headers(
    headers: Mapping[str, str], *, profile: Profile, origin: str, vapid_key: str, now_s: float
) -> Request:
    """`headers` by name in lower case. `vapid_key`: what the browser subscribed with. Raises Refused."""
    if profile != "ntfy":
        _check_authorization(headers.get("authorization", ""), profile, origin, vapid_key, now_s)
    if headers.get("content-encoding") != "aes128gcm":
        raise Refused(Wrong.ENCODING, "not aes128gcm")
    ttl = headers.get("ttl")
    if ttl is None:
        raise Refused(Wrong.TTL_MISSING, "no TTL")
    if re.fullmatch(r"\d{1,10}", ttl, re.ASCII) is None:
        raise Refused(Wrong.TTL, "not a number of seconds")
    topic, urgency = headers.get("topic", ""), headers.get("urgency", "normal")
    if "topic" in headers and _TOPIC.fullmatch(topic) is None:
        raise Refused(Wrong.TOPIC, "not 1 to 32 characters of base64url")
    if urgency not in _URGENCIES:
        raise Refused(Wrong.URGENCY, "no such urgency")
    return Request(min(int(ttl), MAX_TTL_S), topic, urgency)


def open_sealed(body: bytes, private: ec.EllipticCurvePrivateKey, auth: bytes) -> bytes:
    """What a browser does with a body: RFC 8291, of one record. Raises Refused."""
    if len(body) < 103 or body[20] != 65:
        raise Refused(Wrong.SEALED, "too short, or without a key")
    salt, record_bytes, point = body[:16], int.from_bytes(body[16:20], "big"), body[21:86]
    if len(body) - 86 > record_bytes:
        raise Refused(Wrong.SEALED, "more than one record")
    try:
        theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        raise Refused(Wrong.SEALED, "its key is not on P-256") from None
    ours = private.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    shared = _hkdf(auth, b"WebPush: info\0" + ours + point, 32, private.exchange(ec.ECDH(), theirs))
    key = _hkdf(salt, b"Content-Encoding: aes128gcm\0", 16, shared)
    nonce = _hkdf(salt, b"Content-Encoding: nonce\0", 12, shared)
    try:
        padded = AESGCM(key).decrypt(nonce, body[86:], None).rstrip(b"\0")
    except InvalidTag:
        raise Refused(Wrong.SEALED, "sealed for somebody else, or changed") from None
    if padded[-1:] != b"\x02":
        raise Refused(Wrong.SEALED, "does not end as a last record does")
    return padded[:-1]


def unpacked(text: str) -> bytes:
    """Of base64url. Raises ValueError."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _check_authorization(header: str, profile: Profile, origin: str, vapid_key: str, now_s: float) -> None:
    parts = _AUTHORIZATION.fullmatch(header)
    if parts is None:
        raise Refused(Wrong.TOKEN, "the header is not vapid t=, k=")
    token, key = parts.groups()
    said = _verified(token, key)
    if said.get("aud") != origin:
        raise Refused(Wrong.TOKEN, "aud is not the origin of the URL")
    ends_at_s = said.get("exp")
    if not isinstance(ends_at_s, int) or not now_s < ends_at_s <= now_s + _DAY_S:
        raise Refused(Wrong.TOKEN, "exp is past, or more than a day ahead")
    _check_subject(said.get("sub"), profile)
    if unpacked(key) != unpacked(vapid_key):
        raise Refused(Wrong.KEY, "not the key that the subscription was made with")


def _check_subject(subject: object, profile: Profile) -> None:
    if subject is None and profile == "mozilla":
        return
    if not isinstance(subject, str) or not subject.startswith(("mailto:", "https:")):
        raise Refused(Wrong.TOKEN, "sub is no mailto: or https:")
    if profile != "apple":
        return
    contact = _MAIL.fullmatch(subject) or _SITE.fullmatch(subject)
    if contact is None or contact[1].rpartition(".")[2] in ("localhost", "local", "internal", "invalid", "test"):
        raise Refused(Wrong.TOKEN, "sub is nowhere on the internet")


def _verified(token: str, key: str) -> Mapping[str, Any]:
    head, claims, signature = token.split(".")
    try:
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), unpacked(key))
        raw = unpacked(signature)
        if len(raw) != 64:
            raise Refused(Wrong.TOKEN, "the signature is not r and s")
        pair = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        public.verify(pair, f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))
        header, said = json.loads(unpacked(head)), json.loads(unpacked(claims))
    except (ValueError, binascii.Error, InvalidSignature):
        raise Refused(Wrong.TOKEN, "the token is not signed with that key") from None
    if not isinstance(header, dict) or header.get("alg") != "ES256" or header.get("typ", "JWT") != "JWT":
        raise Refused(Wrong.TOKEN, "not ES256")
    return said if isinstance(said, dict) else {}


def _hkdf(salt: bytes, info: bytes, length: int, key: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(key)
