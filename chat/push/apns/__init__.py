"""Apple's push notification service, by a client of our own over HTTP/2."""

from chat.push.apns.pool import Place, PoolState
from chat.push.apns.sender import Apns, ApnsSender, App, open_apns, tls
from chat.push.apns.settings import ApnsSettings, ConnectionSettings, PayloadSettings, TokenSettings
from chat.push.apns.tokens import InvalidKey, Key

__all__ = [
    "Apns",
    "ApnsSender",
    "ApnsSettings",
    "App",
    "ConnectionSettings",
    "InvalidKey",
    "Key",
    "PayloadSettings",
    "Place",
    "PoolState",
    "TokenSettings",
    "open_apns",
    "tls",
]
