"""Rules that the types of requests cannot state: sizes in bytes, and what the operator has configured. Pure.

Whatever breaks one is refused as a bad request that names the field and the rule.
"""

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from msgspec import UnsetType

from chat.usecases.ports import Limits
from realtime.protocol import codes
from realtime.protocol.codes import ClientError

T = TypeVar("T")


def given(value: T | UnsetType) -> T | None:
    """A field's value; None where it was left out."""
    return None if isinstance(value, UnsetType) else value


def check_size(size: int, limit: int, field: str) -> None:
    """Raises ClientError."""
    if size > limit:
        raise ClientError(codes.BAD_REQUEST, f"must have at most {limit} bytes, has {size}", field)


def check_json(value: object, limit: int, field: str) -> None:
    """The size of something as JSON text. Raises ClientError."""
    check_size(len(msgspec.json.encode(value)), limit, field)


def checked_custom(custom: dict[str, Any] | UnsetType, limits: Limits) -> dict[str, Any] | None:
    """What the application attached, None where it was left out. Raises ClientError."""
    if isinstance(custom, UnsetType):
        return None
    check_json(custom, limits.custom_bytes, "custom")
    return custom


def check_new_user(user: str, limits: Limits, field: str) -> None:
    """Who may come to be by being named must be able to sign in. Raises ClientError."""
    if limits.user_id_pattern.fullmatch(user) is None:
        raise ClientError(codes.BAD_REQUEST, "is no user id here (token.user_id_pattern)", field)


def check_new_users(users: Iterable[str], limits: Limits, field: str) -> None:
    """As `check_new_user`, for a list."""
    for index, user in enumerate(users):
        check_new_user(user, limits, f"{field}[{index}]")


def check_until(until: int | UnsetType, now: int, field: str = "until") -> None:
    """What is to hold until a time must be able to. Raises ClientError."""
    if not isinstance(until, UnsetType) and until <= now:
        raise ClientError(codes.BAD_REQUEST, "must be in the future", field)
