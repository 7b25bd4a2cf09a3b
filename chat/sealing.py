"""Secrets that have to be stored are stored sealed: AES-256-GCM, under keys that are not in the database.

What is sealed says by which key, and can be opened only where it was put: it is bound to its collection and id. So a
copy of the database tells no secret, and nobody who can write to it can pass one off as another. What only has to be
recognised, like the code of an invite, is not sealed but kept as a digest, which nobody can turn back.

Keys rotate in three steps: add the new key behind the present one on every process, put it first, and drop the old one
when everything was sealed anew.
"""

import base64
import binascii
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chat.config import Config, ConfigError, Problem, Secret

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12

_VERSION: Final = "1"
_KEY: Final = re.compile(r"([A-Za-z0-9_-]{1,32}):([A-Za-z0-9_-]{43}=?)")
_SEALED: Final = re.compile(r"1\.([A-Za-z0-9_-]{1,32})\.([A-Za-z0-9_-]+)")


class SealingError(Exception):
    """Something sealed cannot be opened, or nothing can be sealed. The text is for operators, without any secret."""


class KeyMissing(SealingError):
    """It was sealed by a key that is not here; `key` is its id."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the key {key!r} is missing")
        self.key = key


class Sealer:
    """Seals with the first key, opens with any. Without keys it can do neither."""

    def __init__(self, keys: Mapping[str, bytes], random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        """Keys of KEY_BYTES by id, the present one first. `random(k)` gives k unpredictable bytes."""
        self._keys: Final = {name: AESGCM(key) for name, key in keys.items()}
        self._random: Final = random

    def __bool__(self) -> bool:
        return bool(self._keys)

    def __repr__(self) -> str:
        return f"Sealer({', '.join(self._keys)})"

    @classmethod
    def from_config(cls, config: Config) -> "Sealer":
        """The sealer of `secrets.keys`. Raises ConfigError for what is no key, or twice there."""
        keys: dict[str, bytes] = {}
        problems: list[Problem] = []
        for number, secret in enumerate(config.secrets.keys):
            name, key = _key(secret)
            if key is None:
                problems.append(Problem(f"secrets.keys[{number}]", "is not <id>:<32 bytes as base64url>; hubbub keys"))
            elif name in keys:
                problems.append(Problem(f"secrets.keys[{number}]", f"the id {name!r} is there twice"))
            else:
                keys[name] = key
        if problems:
            raise ConfigError(problems)
        return cls(keys)

    def seal(self, plain: bytes, *, about: str) -> str:
        """`about` is where it is put: collection and id. Raises SealingError without keys."""
        for name, cipher in self._keys.items():
            nonce = self._random(NONCE_BYTES)
            sealed = nonce + cipher.encrypt(nonce, plain, _associated(name, about))
            return f"{_VERSION}.{name}.{_encoded(sealed)}"
        raise SealingError("secrets.keys is empty: nothing can be sealed; hubbub keys makes a key")

    def open(self, sealed: str, *, about: str) -> bytes:
        """Raises KeyMissing, SealingError for what was not sealed here, not for this place, or was changed since."""
        name = key_of(sealed)
        cipher = self._keys.get(name)
        if cipher is None:
            raise KeyMissing(name)
        data = _decoded(sealed.rpartition(".")[2])
        try:
            return cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], _associated(name, about))
        except (InvalidTag, ValueError):
            raise SealingError(f"not sealed by this key {name!r} for this place, or changed since") from None

    def is_stale(self, sealed: str) -> bool:
        """Whether it is to be sealed anew: another key is the present one."""
        return key_of(sealed) != next(iter(self._keys), "")

    def reseal(self, sealed: str, *, about: str) -> str:
        """The same secret under the present key. Raises SealingError."""
        return self.seal(self.open(sealed, about=about), about=about)


def key_of(sealed: str) -> str:
    """The id of the key that something was sealed by. Raises SealingError for what is not sealed."""
    match = _SEALED.fullmatch(sealed)
    if match is None:
        raise SealingError("is not sealed")
    return match[1]


def new_key(random: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """A key as `secrets.keys` takes it, with an id of its own."""
    return f"{random(4).hex()}:{_encoded(random(KEY_BYTES))}"


def _key(secret: Secret) -> tuple[str, bytes | None]:
    match = _KEY.fullmatch(secret.reveal())
    if match is None:
        return "", None
    try:
        key = _decoded(match[2].rstrip("="))
    except SealingError:
        return "", None
    return match[1], key if len(key) == KEY_BYTES else None


def _associated(key: str, about: str) -> bytes:
    return f"{_VERSION}.{key}.{about}".encode()


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise SealingError("is not base64url") from None
