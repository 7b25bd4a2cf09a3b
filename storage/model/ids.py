"""Identifiers of conversations: 26 characters of lower-case base32, 130 bits.

They are random, not time-ordered: conversations spread evenly over shards, and an id tells nothing.
"""

import base64
import hashlib
from collections.abc import Callable
from typing import Final

ID_LENGTH: Final = 26
EPOCH_LENGTH: Final = 8
INVITE_CODE_LENGTH: Final = 32
_THREAD_MARK: Final = "~"


def conversation_id(random: Callable[[int], bytes]) -> str:
    """A new id. `random(k)` gives k unpredictable bytes (`secrets.token_bytes`)."""
    return _base32(random(17), ID_LENGTH)


def direct_id(user_a: str, user_b: str) -> str:
    """The id of the direct conversation of two users, the same from either side."""
    first, second = sorted((user_a, user_b))
    return _base32(hashlib.sha256(f"direct:{len(first)}:{first}{second}".encode()).digest(), ID_LENGTH)


def thread_id(conversation: str, offset: int) -> str:
    """The id of the thread under the message at `offset` of `conversation`."""
    return f"{conversation}{_THREAD_MARK}{offset}"


def thread_root(conversation: str) -> tuple[str, int] | None:
    """(parent conversation, offset of the root message) of a thread's id, None of any other."""
    parent, mark, offset = conversation.partition(_THREAD_MARK)
    return (parent, int(offset)) if mark and offset.isdecimal() else None


def invite_code(random: Callable[[int], bytes]) -> str:
    """A new code: 32 characters, 160 bits that nobody guesses."""
    return _base32(random(20), INVITE_CODE_LENGTH)


def invite_id(code: str) -> str:
    """The id of the invite that has this code. Nobody finds the code by it."""
    return _base32(hashlib.sha256(f"invite:{code}".encode()).digest(), ID_LENGTH)


def epoch(random: Callable[[int], bytes]) -> str:
    """A new name for a generation of the database: 8 characters, never empty, never "_"."""
    return _base32(random(5), EPOCH_LENGTH)


def _base32(data: bytes, length: int) -> str:
    return base64.b32encode(data).decode().lower()[:length]
