"""Who we are, to a push service: RFC 8292, a token per origin that says so, signed with the app's key.

A subscription is tied to the public key that it was made with. So keys rotate with two in use: new subscriptions are
made with the first one, older ones go on with theirs until the devices have subscribed anew.
"""

import base64
import binascii
import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import jwt
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from yarl import URL

from chat.push.webpush.encryption import POINT_BYTES, new_private_key, public_point

MAX_KEYS: Final = 2
LONGEST_S: Final = 24 * 3600
"""Apple and Mozilla refuse a token that is valid for longer."""

_SCALAR_BYTES: Final = 32
_MAX_SUBJECT_LENGTH: Final = 254
_LOCAL_PART: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_HOST: Final = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])", re.IGNORECASE)
_NOWHERE: Final = frozenset(
    {"example", "home", "internal", "invalid", "lan", "local", "localdomain", "localhost", "test"}
)
"""Top-level names that nobody on the internet has. Apple answers 403 BadJwtToken to such a contact."""


class BadVapid(ValueError):
    """The keys or the contact cannot be used. The text says what is wrong, without any key."""


@dataclass(frozen=True, slots=True)
class VapidKey:
    """A pair on P-256. `public` (base64url) is what browsers subscribe with, and what a service tells us apart by."""

    public: str
    private: EllipticCurvePrivateKey = field(repr=False)

    @property
    def id(self) -> str:
        """Short, for logs and pages."""
        return hashlib.sha256(self.public.encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Vapid:
    """The credentials of an app: one key or two, the present one first, and how its operator can be reached."""

    keys: tuple[VapidKey, ...]
    subject: str

    def key_for(self, public: str) -> VapidKey:
        """The key of a subscription that was made with `public`, else the present one."""
        return next((key for key in self.keys if key.public == plain(public)), self.keys[0])


def generate(random: Callable[[int], bytes]) -> tuple[str, str]:
    """A new pair, private and public, in base64url as other tools write them. `random(k)` gives k unpredictable bytes.

    The private half is 32 bytes, the public one 65, uncompressed.
    """
    key = new_private_key(random)
    return _text(key.private_numbers().private_value.to_bytes(_SCALAR_BYTES, "big")), _text(public_point(key))


def plain(public: str) -> str:
    """A key as it is compared: base64url without padding. Some tools write ordinary base64, or its padding."""
    return public.rstrip("=").replace("+", "-").replace("/", "_")


def parse_vapid(pairs: Sequence[tuple[str, str]], subject: str) -> Vapid:
    """Credentials from pairs of private and public keys (base64url) and a contact. Raises BadVapid.

    A public key may be empty: it follows from the private one. A pair that does not belong together is refused, since
    every subscription made with the public half would be lost.
    """
    if not 0 < len(pairs) <= MAX_KEYS:
        raise BadVapid(f"there must be one key pair, or {MAX_KEYS} while they rotate")
    check_subject(subject)
    keys = tuple(_key(private, public, number) for number, (private, public) in enumerate(pairs, start=1))
    if len({key.public for key in keys}) < len(keys):
        raise BadVapid("the same key is there twice")
    return Vapid(keys, subject)


def check_subject(subject: str) -> None:
    """Whether it is a contact that every service takes: `mailto:` or `https:` at a host of the internet.

    Raises BadVapid. Stricter than the RFC, as Apple is: no spaces, no angle brackets, no `localhost`, no address.
    """
    scheme, colon, rest = subject.partition(":")
    if not colon or len(subject) > _MAX_SUBJECT_LENGTH or not subject.isascii() or not subject.isprintable():
        raise BadVapid("the contact must be mailto:somebody@example.com or https://example.com/")
    if scheme == "mailto":
        local, _, host = rest.rpartition("@")
        fine = _LOCAL_PART.fullmatch(local) is not None
    elif scheme == "https":
        host, fine = _https_host(subject)
    else:
        raise BadVapid("the contact must begin with mailto: or https: in lower case")
    if not fine or _HOST.fullmatch(host) is None:
        raise BadVapid("the contact must be a plain mail address or URL with a host name")
    if host.lower().rpartition(".")[2] in _NOWHERE:
        raise BadVapid("the contact must be at a host of the internet: Apple refuses others")


def check_pairs(vapid: Vapid) -> None:
    """Whether what each key signs can be verified by those who know its public half. Raises BadVapid."""
    for number, key in enumerate(vapid.keys, start=1):
        public = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), _bytes(key.public))
        try:
            public.verify(key.private.sign(b"pair", ECDSA(SHA256())), b"pair", ECDSA(SHA256()))
        except InvalidSignature:
            raise BadVapid(f"the halves of key pair {number} do not belong together") from None


@dataclass(frozen=True, slots=True)
class VapidTimes:
    """A token is valid for `valid_s` from when it was made and used for `reuse_s`; what is between is for clocks that
    differ, on both sides: what is left of a day is for those that are behind.
    """

    valid_s: int = 18 * 3600
    reuse_s: int = 12 * 3600
    origins: int = 256

    def __post_init__(self) -> None:
        if not 0 < self.reuse_s < self.valid_s <= LONGEST_S:
            raise ValueError("0 < reuse_s < valid_s <= 24 h")


DEFAULT_TIMES: Final = VapidTimes()


class Authorizations:
    """The header for each origin and key. A token is signed once and then used for hours; at most `origins` are kept,
    those that were used last.
    """

    def __init__(self, subject: str, *, clock: Callable[[], float], times: VapidTimes = DEFAULT_TIMES) -> None:
        self._subject: Final = subject
        self._clock: Final = clock
        self._times: Final = times
        self._made: Final[OrderedDict[tuple[str, str], tuple[float, str]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._made)

    def header(self, origin: str, key: VapidKey) -> str:
        """For requests to `origin`, scheme and host as in its URLs, and the port unless it is 443."""
        now_s = self._clock()
        made_at_s, header = self._made.get((origin, key.public), (0.0, ""))
        # A clock that was set back makes a new one as well: what it said before may be too far ahead.
        if not header or not made_at_s <= now_s < made_at_s + self._times.reuse_s:
            made_at_s, header = now_s, self._sign(origin, key, int(now_s))
            self._made[origin, key.public] = made_at_s, header
            if len(self._made) > self._times.origins:
                self._made.popitem(last=False)
        self._made.move_to_end((origin, key.public))
        return header

    def forget(self, origin: str) -> None:
        """The next header for `origin` is made anew: it was refused."""
        for known in [known for known in self._made if known[0] == origin]:
            del self._made[known]

    def _sign(self, origin: str, key: VapidKey, now_s: int) -> str:
        claims = {"aud": origin, "exp": now_s + self._times.valid_s, "sub": self._subject}
        return f"vapid t={jwt.encode(claims, key.private, algorithm='ES256')}, k={key.public}"


def _key(private: str, public: str, number: int) -> VapidKey:
    try:
        scalar, point = _bytes(private), _bytes(public)
    except (binascii.Error, ValueError):
        raise BadVapid(f"key pair {number} is not base64url") from None
    if len(scalar) != _SCALAR_BYTES:
        raise BadVapid(f"the private half of key pair {number} must have {_SCALAR_BYTES} bytes")
    try:
        key = derive_private_key(int.from_bytes(scalar, "big"), SECP256R1())
    except ValueError:
        raise BadVapid(f"the private half of key pair {number} is no key on P-256") from None
    if point and len(point) != POINT_BYTES:
        raise BadVapid(f"the public half of key pair {number} must have {POINT_BYTES} bytes")
    if point and point != public_point(key):
        raise BadVapid(f"the halves of key pair {number} do not belong together")
    return VapidKey(_text(public_point(key)), key)


def _https_host(subject: str) -> tuple[str, bool]:
    try:
        url = URL(subject)
    except ValueError:
        return "", False
    return url.raw_host or "", url.user is None and url.password is None and " " not in subject


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    text = plain(text)
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
