"""The configuration of a local deployment: what `hubbub dev` prefers to the defaults, and the file its processes read.

`hubbub dev` puts all layers together (its own preferences are the weakest) and writes what is in force into one file.
Its processes, and whoever sets HUBBUB_CONFIG to it, read nothing else, so that there is one answer to what is in force.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from chat.cli.dev_keys import Keys
from chat.config import Config, Layer, Loaded, Secret, load
from chat.config.keys import Key, describe
from chat.config.kinds import kind_of
from chat.config.layers import CONFIG_VARIABLE, PLATFORM_VARIABLES, PREFIX

PRESETS_NAME: Final = "hubbub dev"

NEWS: Final[Mapping[str, object]] = {
    "name": "news",
    "allow_subscribe_for_client": True,
    "presence": True,
    "join_leave": True,
    "allow_presence_for_subscriber": True,
    "history_size": 100,
    "history_ttl": "5m",
    "force_recovery": True,
    "allow_history_for_subscriber": True,
}
"""A namespace to try application events with: `POST /api/publish` to `news:…`, any signed-in user may subscribe."""

_HEAD: Final = """\
# Made anew by each `hubbub dev`: everything in force that is not the default. Has secrets in it.
# Other commands use it too: HUBBUB_CONFIG={path} hubbub token alice
"""


def presets(keys: Keys) -> dict[str, object]:
    """What `hubbub dev` prefers to the defaults, by dotted key."""
    return {
        "server.host": "127.0.0.1",
        "server.termination_delay": "0s",  # no balancer has to notice
        "token.hmac_secret_key": keys.token,
        "api.key": keys.api,
        "admin.secret": keys.admin,
        "secrets.keys": [keys.sealing],
        "channel.namespaces": [dict(NEWS)],
        "log.level": "warning",
    }


def effective(
    path: Path | None,
    environ: Mapping[str, str],
    flags: Mapping[str, object],
    keys: Keys,
    more: Mapping[str, object] = MappingProxyType({}),
) -> Loaded:
    """All layers together. `more` are further preferences, such as the URLs of servers that run. Raises ConfigError."""
    return load(path, environ, flags, presets={**presets(keys), **more}, presets_name=PRESETS_NAME)


def is_given(loaded: Loaded, key: str) -> bool:
    """Whether somebody other than us chose the value."""
    return loaded.origins[key].layer not in {Layer.DEFAULT, Layer.PRESET}


def as_file(loaded: Loaded, path: Path) -> str:
    """The text of a configuration file that brings everything in force that is not the default, secrets included."""
    return _HEAD.format(path=path) + "".join(f"{line}\n" for line in _lines(loaded))


def child_environment(environ: Mapping[str, str], config: Path) -> dict[str, str]:
    """The environment of a process that is to read this file and nothing else."""
    settled = {*PLATFORM_VARIABLES, *(f"{name}_FILE" for name in PLATFORM_VARIABLES)}
    kept = {name: text for name, text in environ.items() if name not in settled and not name.startswith(PREFIX)}
    return {**kept, CONFIG_VARIABLE: str(config)}


def _lines(loaded: Loaded) -> Iterator[str]:
    for table in describe(Config).every_table():
        owner: Any = loaded.config
        for name in table.path.split(".") if table.path else ():
            owner = getattr(owner, name)
        for key in table.keys:
            if loaded.origins[key.path].layer is not Layer.DEFAULT:
                yield f"{key.path} = {_toml(key, getattr(owner, key.name))}"


def _toml(key: Key, value: Any) -> str:
    row_type = key.row_type
    if row_type is not None:
        return f"[{', '.join(_inline_table(row_type, row) for row in value)}]"
    if isinstance(value, tuple):
        return _literal([_plain(key, item) for item in value])
    return _literal(_plain(key, value))


def _inline_table(row_type: type, row: Any) -> str:
    columns = [
        f"{column.name} = {_toml(column, value)}"
        for column in describe(row_type).keys
        if (value := getattr(row, column.name)) != column.default
    ]
    return f"{{{', '.join(columns)}}}"


def _plain(key: Key, value: Any) -> object:
    if isinstance(value, Secret):
        return value.reveal()
    return value if isinstance(value, str) else kind_of(key).show(value)


def _literal(value: object) -> str:
    """A TOML value: JSON's, but for one character that TOML wants escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
