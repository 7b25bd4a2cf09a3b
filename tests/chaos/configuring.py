"""How the processes of a cluster are configured and started."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

SECRET: Final = "a-secret-of-the-chaos-tests-that-is-long-enough-for-hmac"
API_KEY: Final = "an-api-key-of-the-chaos-tests"
DATABASE: Final = "chaos"

SETTINGS: Final[Mapping[str, object]] = {
    "server.host": "127.0.0.1",
    "server.shutdown_timeout": "8s",
    "mongodb.database": DATABASE,
    "redis.prefix": "chaos",
    "token.hmac_secret_key": SECRET,
    "api.key": API_KEY,
    # Peers that vanish are found while the run lasts.
    "client.ping_interval": "5s",
    "client.pong_timeout": "3s",
    "log.format": "json",
}


PHONES_KEY: Final = "chaos:Y2hhb3MtY2hhb3MtY2hhb3MtY2hhb3MtY2hhb3MtY2g"
PHONES_SETTINGS: Final[Mapping[str, object]] = {"secrets.keys": [PHONES_KEY]}
"""Where people have phones, the credentials of their app are in the database, sealed."""


def toml(settings: Mapping[str, object]) -> str:
    """Dotted keys as TOML."""
    return "".join(f"{key} = {_value(value)}\n" for key, value in settings.items())


def _value(value: object) -> str:
    match value:
        case bool() | int() | float() | str():
            return json.dumps(value)
        case Mapping():
            return "{" + ", ".join(f"{key} = {_value(one)}" for key, one in value.items()) + "}"
        case Sequence():
            return "[" + ", ".join(_value(one) for one in value) + "]"
        case _:
            raise TypeError(f"not for a configuration file: {value!r}")


def hubbub() -> str:
    return str(Path(sys.executable).with_name("hubbub"))


def environment() -> dict[str, str]:
    """Ours without what would be taken for configuration."""
    foreign = {"MONGODB_URL", "REDIS_URL", "PORT", "WEB_CONCURRENCY"}
    return {name: value for name, value in os.environ.items() if name not in foreign and "HUBBUB" not in name}
