"""Keys of the log: `<conversation>:<offset as 11 hex digits>`, fixed width, so that they sort as the log does.

11 hex digits hold 2^44 entries a conversation. No conversation id contains the colon, so one conversation's keys are
exactly those between its first and its last.
"""

from typing import Final

_DIGITS: Final = 11
MAX_OFFSET: Final = 16**_DIGITS - 1


def log_key(conversation: str, offset: int) -> str:
    """The key of one entry. `offset` is 0…MAX_OFFSET; 0 is before the first entry and serves as a bound."""
    if not 0 <= offset <= MAX_OFFSET:
        raise ValueError(f"offset {offset} is outside 0…{MAX_OFFSET}")
    return f"{conversation}:{offset:011x}"


def parse_log_key(key: str) -> tuple[str, int]:
    """(conversation, offset) of a key."""
    conversation, _, digits = key.rpartition(":")
    return conversation, int(digits, 16)


def conversation_of(key: str) -> str:
    """The conversation alone, which is found faster."""
    return key[: -_DIGITS - 1]


def log_bounds(conversation: str) -> tuple[str, str]:
    """The smallest and the largest key that the conversation can have."""
    return log_key(conversation, 0), log_key(conversation, MAX_OFFSET)
