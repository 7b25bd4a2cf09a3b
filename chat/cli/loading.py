"""Loads the configuration for a command: which file, which environment, which flags."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from chat.cli.outcome import say
from chat.config import Config, Loaded, load, locate
from chat.config.layers import CONFIG_VARIABLE

LOCAL_FILE: Final = Path(".hubbub/config.toml")
"""What `hubbub dev` writes: everything that is in force there."""


def load_config(path: Path | None, flags: Mapping[str, object] | None = None) -> Loaded:
    """The configuration in force. `flags` by dotted key; those that are None were not given. Raises ConfigError."""
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    return load(locate(path, os.environ, Path.cwd()), os.environ, given)


def load_running(path: Path | None) -> Loaded:
    """The configuration of the server that a person means: of `hubbub dev` in this directory, unless told otherwise."""
    if path is None and not os.environ.get(CONFIG_VARIABLE) and LOCAL_FILE.is_file():
        say(f"using {LOCAL_FILE} of hubbub dev (--config to use another)")
        path = LOCAL_FILE
    return load_config(path)


def base_url(config: Config, given: str | None = None) -> str:
    """Where the server answers, as seen from this machine or as `given`; without a slash at the end."""
    if given or config.server.public_url:
        return (given or config.server.public_url).rstrip("/")
    everywhere = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - recognised, not bound
    host = everywhere.get(config.server.host, config.server.host)
    scheme = "https" if config.server.tls.certificate else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{config.server.port}"
