"""Notifications and addresses for tests of push, and clocks that stand until they are moved."""

import functools
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from chat.push.sending import Address, Kind, Notification, Provider, Push


class Clock:
    """Stands still. Calling it tells the time in seconds."""

    def __init__(self, now_s: float = 1_800_000_000.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s

    def pass_s(self, seconds: float) -> None:
        self.now_s += seconds


@functools.cache
def account_key() -> rsa.RSAPrivateKey:
    """Of a service account. It takes long to make one, and all may have the same."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def notification(**changes: Any) -> Notification:
    made: dict[str, Any] = {
        "kind": Kind.ALERT,
        "job_id": "job-1",
        "collapse_id": "c" * 32,
        "conversation": "01hzzzzzzzzzzzzzzzzzzzzzzz",
        "upto": 7,
        "title": "Ada",
        "body": "Tea at five?",
        "badge": 4,
        "group": "direct",
    }
    return Notification(**{**made, **changes})


def address(value: str, provider: Provider = Provider.FCM, **changes: Any) -> Address:
    made: dict[str, Any] = {"device": "phone", "provider": provider, "app": "app", "kind": "token", "value": value}
    return Address(**{**made, **changes})


def push(
    to: Address, what: Notification | None = None, *, expires_at_s: float = 1_800_003_600.0, attempt: int = 1
) -> Push:
    return Push(to, what or notification(), expires_at_s, attempt)
