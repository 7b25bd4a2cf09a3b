"""Verification keys: each bound to one algorithm when it is made, chosen by the `kid` of a token, else by algorithm."""

import binascii
import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final, Self

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from chat.config import ConfigError, Problem, TokenSection

HMAC: Final = frozenset({"HS256", "HS384", "HS512"})
RSA: Final = frozenset({"RS256", "RS384", "RS512"})
ALGORITHMS: Final = HMAC | RSA | {"ES256", "ES384", "ES512", "EdDSA"}
_CURVES: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_MIN_RSA_BITS: Final = 2048
_STANDARD: Final = str.maketrans("-_", "+/")
_JWS: Final = jwt.PyJWS(algorithms=sorted(ALGORITHMS))


class KeyUnusable(ValueError):
    """A key that cannot verify what it is meant for. The text is a rule, without the key."""


class VerificationKey:
    """One key and the one algorithm it verifies. Immutable.

    `fingerprint` is the same for the same key under the same name and algorithm, for telling after a change of keys
    which are still there. It stays in this process: of a weak secret it would be something to guess against.
    """

    __slots__ = ("_algorithm", "_prepared", "algorithm", "fingerprint", "kid")

    def __init__(self, algorithm: str, material: Any, kid: str = "") -> None:
        """`material` is what PyJWT takes: a secret, or a public key of `cryptography`. Raises KeyUnusable."""
        if algorithm not in ALGORITHMS:
            raise KeyUnusable("its algorithm is not supported")
        self.algorithm: Final = algorithm
        self.kid: Final = kid
        self.fingerprint: Final = _fingerprint(algorithm, kid, material)
        known = _JWS.get_algorithm_by_name(algorithm)
        try:
            prepared = known.prepare_key(material)
        except (jwt.PyJWTError, TypeError, ValueError):
            raise KeyUnusable(f"is not a key for {algorithm}") from None
        # It verifies by this algorithm alone: no header can choose another one, whatever the caller does.
        self._algorithm: Final = known
        self._prepared: Final = prepared

    def payload(self, token: str) -> bytes | None:
        """The payload, or None if the signature is not this key's. Raises ValueError for a malformed token."""
        # PyJWT's own decoding reads the header once more, and every letter by a line of Python: half of the whole.
        signed, _, signature = token.rpartition(".")
        if not self._algorithm.verify(signed.encode(), self._prepared, _decoded(signature)):
            return None
        return _decoded(signed.partition(".")[2])

    @classmethod
    def from_pem(cls, pem: str, *, algorithm: str = "", kid: str = "") -> Self:
        """A public key. Without `algorithm` the key decides (RSA: RS256). Raises KeyUnusable."""
        if "PRIVATE KEY" in pem:
            raise KeyUnusable("is a private key: put the public one here and keep this one with the application")
        try:
            public = load_pem_public_key(pem.encode())
        except (ValueError, UnsupportedAlgorithm):
            raise KeyUnusable("is not a public key in PEM") from None
        possible = _algorithms_of(public)
        chosen = algorithm or possible[0]
        if chosen not in possible:
            raise KeyUnusable(f"is a key for {' or '.join(possible)}, not for {chosen}")
        return cls(chosen, public, kid)

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any]) -> Self:
        """A public signing key of a key set. Raises KeyUnusable for one that is of no use to us."""
        if jwk.get("kty") not in ("RSA", "EC", "OKP") or "d" in jwk:
            raise KeyUnusable("is not a public key")
        if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
            raise KeyUnusable("is not for signatures")
        try:
            parsed = jwt.PyJWK.from_dict(dict(jwk))
        except (jwt.PyJWTError, TypeError, ValueError, KeyError):
            raise KeyUnusable("cannot be read") from None
        possible = _algorithms_of(parsed.key)
        if parsed.algorithm_name not in possible:
            raise KeyUnusable("its alg does not fit its type")
        kid = jwk.get("kid", "")
        if not isinstance(kid, str):
            raise KeyUnusable("its kid is not a string")
        return cls(parsed.algorithm_name, parsed.key, kid)


class KeyRing:
    """The configured keys. Lookups are dictionary lookups: a `kid` never reaches a file, a database or a URL."""

    __slots__ = ("_by_kid", "_unnamed")

    def __init__(self, keys: Iterable[VerificationKey]) -> None:
        self._by_kid: Final[dict[str, VerificationKey]] = {}
        self._unnamed: Final[dict[str, list[VerificationKey]]] = {}
        for key in keys:
            if key.kid:
                self._by_kid[key.kid] = key
            else:
                self._unnamed.setdefault(key.algorithm, []).append(key)

    def __len__(self) -> int:
        return len(self._by_kid) + sum(len(keys) for keys in self._unnamed.values())

    def __iter__(self) -> Iterator[VerificationKey]:
        yield from self._by_kid.values()
        for keys in self._unnamed.values():
            yield from keys

    def select(self, algorithm: str, kid: str) -> tuple[VerificationKey, ...]:
        """The keys that may have signed: the one named `kid` if it is for this algorithm, else the unnamed ones for it.

        A `kid` that names no key here is ignored where unnamed keys fit: many libraries always write one.
        """
        named = self._by_kid.get(kid) if kid else None
        if named is not None:
            return (named,) if named.algorithm == algorithm else ()
        return tuple(self._unnamed.get(algorithm, ()))

    @classmethod
    def from_config(cls, section: TokenSection, path: str = "token") -> Self:
        """The keys of a table. Raises ConfigError that names each key that cannot be used."""
        problems: list[Problem] = []
        keys: list[VerificationKey] = []
        for name, make in _configured(section):
            try:
                keys.append(make())
            except KeyUnusable as error:
                problems.append(Problem(f"{path}.{name}", str(error)))
        if problems:
            raise ConfigError(problems)
        return cls(keys)


def _decoded(segment: str) -> bytes:
    """Base64url as there is one way to write it. Raises ValueError."""
    decoded = binascii.a2b_base64(segment.translate(_STANDARD) + "=" * (-len(segment) % 4))
    if urlsafe_b64encode(decoded).rstrip(b"=") != segment.encode():
        raise ValueError("is not base64url, or not the shortest")
    return decoded


def _fingerprint(algorithm: str, kid: str, material: Any) -> str:
    if hasattr(material, "public_bytes"):
        text = material.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        text = material.encode("utf-8", "surrogatepass") if isinstance(material, str) else repr(material).encode()
    return hashlib.sha256(b"\0".join((algorithm.encode(), kid.encode("utf-8", "surrogatepass"), text))).hexdigest()


def _algorithms_of(public: object) -> tuple[str, ...]:
    """What a public key can verify, the usual one first. Raises KeyUnusable."""
    if isinstance(public, RSAPublicKey):
        if public.key_size < _MIN_RSA_BITS:
            raise KeyUnusable(f"is an RSA key of fewer than {_MIN_RSA_BITS} bits")
        return ("RS256", "RS384", "RS512")
    if isinstance(public, EllipticCurvePublicKey) and public.curve.name in _CURVES:
        return (_CURVES[public.curve.name],)
    if isinstance(public, Ed25519PublicKey):
        return ("EdDSA",)
    raise KeyUnusable("is of a type that is not supported")


def _configured(section: TokenSection) -> Iterator[tuple[str, Callable[[], VerificationKey]]]:
    """Name and maker of each key that is set."""
    for name, secret in (
        ("hmac_secret_key", section.hmac_secret_key),
        ("hmac_previous_secret_key", section.hmac_previous_secret_key),
    ):
        if secret:
            yield name, partial(VerificationKey, section.hmac_algorithm, secret.reveal())
    for name, pem, algorithm in (
        ("rsa_public_key", section.rsa_public_key, section.rsa_algorithm),
        ("ecdsa_public_key", section.ecdsa_public_key, ""),
        ("ed25519_public_key", section.ed25519_public_key, "EdDSA"),
    ):
        if pem:
            yield name, partial(VerificationKey.from_pem, pem, algorithm=algorithm)
    for key in section.keys:
        text = key.key.reveal()
        if key.algorithm in HMAC:
            yield f"keys[{key.kid}].key", partial(VerificationKey, key.algorithm, text, key.kid)
        else:
            pem = text.replace("\\n", "\n")
            yield f"keys[{key.kid}].key", partial(VerificationKey.from_pem, pem, algorithm=key.algorithm, kid=key.kid)
