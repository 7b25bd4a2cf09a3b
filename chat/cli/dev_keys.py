"""The keys of a local deployment: made once, kept in the data directory, for nobody else to read."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from chat.auth.mint import new_secret
from chat.sealing import new_key


class KeysUnusable(Exception):
    """The file of keys is there and cannot be used. `str()` is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Secrets as text. `token` signs users' tokens, `api` opens the server API, `admin` signs admin links, `sealing`
    seals what is secret in the database.
    """

    token: str
    api: str
    admin: str
    sealing: str

    def __repr__(self) -> str:
        return "Keys(***)"


def keys_in(path: Path, *, make: Callable[[], str] = new_secret) -> tuple[Keys, bool]:
    """The keys of the file, and whether they were made just now. Only the owner can read the file afterwards.

    Raises KeysUnusable for a file that holds something else, OSError when it cannot be read or written.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        keys = Keys(token=make(), api=make(), admin=make(), sealing=new_key())
        write_private(path, json.dumps(asdict(keys), indent=2) + "\n")
        return keys, True
    path.chmod(0o600)
    try:
        found = json.loads(text)
        # Files of before there was one have no key for sealing.
        more = {} if "sealing" in found else {"sealing": new_key()}
        keys = Keys(**{field.name: {**found, **more}[field.name] for field in fields(Keys)})
    except (ValueError, KeyError, TypeError):
        raise KeysUnusable(f"{path} is damaged: delete it, and new keys are made") from None
    if more:
        write_private(path, json.dumps(asdict(keys), indent=2) + "\n")
    return keys, False


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, from the first byte on, whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
