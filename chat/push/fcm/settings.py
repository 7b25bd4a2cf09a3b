"""What can be set about Firebase: the vendor's limits, as far as they are known, and our own patience."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

_CHANNELS: Final = MappingProxyType({"direct": "direct", "mention": "mention", "group": "group"})


@dataclass(frozen=True, slots=True)
class FcmSettings:
    """`display`: who draws the notification. `app`: messages carry data alone, and the app's code shows them: only so
    can it leave out what it has shown, take away what was read, and open what is sealed. `system`: for apps without
    such code, and for iPhones behind Firebase.

    `channels`: the notification channel of Android for each group; those that an app has not made fall back to its
    default one. `plain_http`: endpoints without TLS are fine; for emulators.

    `quota_pause_s`: the least that the vendor wants to be left alone for when a quota is spent and it does not say for
    how long. `mending_pause_s`: how soon an iPhone is tried again when Firebase's own keys for APNs are bad.

    `refresh_early_s` before its end an access token is replaced; it serves until then. `retry_token_s`: how long a
    failure to get one stands, for everybody.
    """

    endpoint: str = "https://fcm.googleapis.com"
    scope: str = "https://www.googleapis.com/auth/firebase.messaging"
    plain_http: bool = False
    display: Literal["app", "system"] = "app"
    channels: Mapping[str, str] = field(default_factory=lambda: _CHANNELS)
    max_payload_bytes: int = 4096
    max_ttl_s: int = 28 * 24 * 3600
    deadline_s: float = 10.0
    connect_s: float = 5.0
    max_connections: int = 128
    keep_alive_s: float = 60.0
    quota_pause_s: float = 60.0
    mending_pause_s: float = 600.0
    refresh_early_s: float = 240.0
    token_deadline_s: float = 5.0
    retry_token_s: float = 1.0
    assertion_s: int = 3600
